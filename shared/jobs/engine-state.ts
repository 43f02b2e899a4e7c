import type { InstanceStatus } from './job-instances.ts'

/** What the engine says about a job that has no outcome yet, in its own word, and what that means. */
export interface EngineState {
  readonly state: 'running' | 'waiting' | 'suspended'
  /** The engine's own word; null where it does not know the instance. */
  readonly runtimeStatus: string | null
  /** When the engine changed the instance last: ISO time. */
  readonly runtimeStatusSince: string | null
  /** What can be done, where the job does not get on by itself. */
  readonly hint: string | null
}

/** An instance that is asked for is begun within seconds; after this long something is in its way. */
const pendingMsMax = 5 * 60_000

/** `waiting`: the platform ended the instance and the supervisor has not started the next attempt yet, or the engine has not begun it
 * for minutes. `suspended`: somebody suspended it. */
export const engineStateOf = (instance: InstanceStatus | null, now: Date): EngineState => {
  const runtimeStatus = instance?.runtimeStatus ?? null
  const since = instance?.updatedAt ?? null
  const as = (state: EngineState['state'], hint: string | null): EngineState => ({
    state,
    runtimeStatus,
    runtimeStatusSince: since,
    hint,
  })
  if (instance?.state !== 'running') return as('waiting', nextSweep)
  if (runtimeStatus === 'Suspended') return as('suspended', resumeInstance)
  const isLate = since !== null && now.getTime() - Date.parse(since) > pendingMsMax
  return runtimeStatus === 'Pending' && isLate ? as('waiting', notBegun) : as('running', null)
}

const nextSweep = 'The next sweep of the timer starts the instance of this job.'
const resumeInstance =
  'Somebody suspended the instance of this job. Resume it by the management API of Durable Functions, or cancel the job and resume the instance, which then ends. Its window goes on meanwhile.'
const notBegun =
  'The engine has not begun the instance of this job. Check that the function app runs, that its storage account answers, and how much other work waits.'
