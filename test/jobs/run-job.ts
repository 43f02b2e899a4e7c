import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { OrchestrationHandler } from 'durable-functions'
import { vi } from 'vitest'
import { handlerOf } from '../../functions/durable.ts'
import type { Claim, JobOutcome } from '../../shared/domain/job.ts'
import { refOf } from '../../shared/domain/job-ref.ts'
import type { JobDeps } from '../../shared/jobs/job-deps.ts'
import { stepFailure } from '../../shared/jobs/step-failure.ts'
import { runStory, type StoryRun } from '../support/run-story.ts'

type Step = (deps: unknown, input: unknown) => Promise<unknown>
const steps = new Map<string, Step>()
const folder = join(import.meta.dirname, '../../functions/activities')

/** The real activities and stories, with services that the test brings. Import this before anything from `functions/activities`. */
vi.mock('../../functions/services.ts', () => ({
  registerActivity: (activity: { name: string }, step: Step) => void steps.set(activity.name, step),
}))

const handlers = async (): Promise<Readonly<Record<string, OrchestrationHandler>>> => {
  const { protectVmStory } = await import('../../functions/orchestrators/protect-vm.ts')
  const { protectDiskStory } = await import('../../functions/orchestrators/protect-disk.ts')
  const { transferLaneStory } = await import('../../functions/orchestrators/transfer-lane.ts')
  const { restoreVmStory } = await import('../../functions/orchestrators/restore-vm.ts')
  const { restoreDiskStory } = await import('../../functions/orchestrators/restore-disk.ts')
  return {
    protectVm: handlerOf(protectVmStory),
    protectDisk: handlerOf(protectDiskStory),
    transferLane: handlerOf(transferLaneStory),
    restoreVm: handlerOf(restoreVmStory),
    restoreDisk: handlerOf(restoreDiskStory),
  }
}

/** As `registerActivity` does: what another try cannot cure is an outcome. */
const failureOf = (error: unknown): unknown => {
  const failure = stepFailure(error)
  if (failure === null) throw error
  return failure
}

export interface JobRun {
  readonly outcome: JobOutcome | undefined
  readonly error: string | null
  /** All instances of the job, children before their parents end. */
  readonly instances: readonly StoryRun[]
  /** All activity and child calls of all instances. */
  readonly calls: readonly string[]
}

/** Runs one attempt of a job: the real stories on the real replay engine, the real activities over the test's ports.
 * @param before called before each activity; may throw, which is what a worker that dies looks like */
export const runJob = async (
  deps: JobDeps,
  claim: Claim,
  before: (activity: string, input: unknown) => void | Promise<void> = () => undefined,
): Promise<JobRun> => {
  for (const file of readdirSync(folder)) await import(join(folder, file))
  const stories = await handlers()
  const instances: StoryRun[] = []
  const activity = async (name: string, input: unknown): Promise<unknown> => {
    await before(name, input)
    const outcome = await steps.get(name)!(deps, input).catch(failureOf)
    return JSON.parse(JSON.stringify(outcome ?? null)) as unknown
  }
  const run = async (name: string, input: unknown, instanceId: string): Promise<StoryRun> => {
    const ended = await runStory(stories[name]!, input, instanceId, { activity, child })
    instances.push(ended)
    return ended.continuedWith === undefined ? ended : run(name, ended.continuedWith, instanceId)
  }
  const child = async (name: string, input: unknown, instanceId: string) => {
    const { state } = await run(name, input, instanceId)
    return state.error === null ? { outcome: state.output, seconds: 30 } : { throws: state.error, seconds: 30 }
  }
  const story = claim.job.kind === 'backup' ? 'protectVm' : 'restoreVm'
  const { state } = await run(
    story,
    { job: claim.job, token: refOf(claim).token },
    `${claim.job.jobId}.${claim.attempt}`,
  )
  return {
    outcome: state.output as JobOutcome | undefined,
    error: state.error,
    instances,
    calls: instances.flatMap(({ calls }) => calls),
  }
}
