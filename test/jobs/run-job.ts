import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { OrchestrationHandler } from 'durable-functions'
import { vi } from 'vitest'
import { handlerOf } from '../../functions/durable.ts'
import { inputOf } from '../../functions/durable-instances.ts'
import type { Claim, JobOutcome } from '../../shared/domain/job.ts'
import { type MaintenanceOutcome, nothingMaintained } from '../../shared/domain/maintenance.ts'
import type { JobDeps } from '../../shared/jobs/job-deps.ts'
import { stepFailure } from '../../shared/jobs/step-failure.ts'
import { runStory, type StoryRun } from '../support/run-story.ts'

type Step = (deps: unknown, input: unknown) => Promise<unknown>
const steps = new Map<string, Step>()
const folder = join(import.meta.dirname, '../../functions/activities')

/** The real activities and stories, with services that the test brings. Import this before anything from `functions/activities`. */
vi.mock('../../functions/services.ts', () => ({
  registerActivity: (activity: { name: string }, step: Step) => void steps.set(activity.name, step),
  registerStep: (activity: { name: string }, step: Step) => void steps.set(activity.name, step),
}))

const handlers = async (): Promise<Readonly<Record<string, OrchestrationHandler>>> => {
  const { protectVmStory } = await import('../../functions/orchestrators/protect-vm.ts')
  const { protectDiskStory } = await import('../../functions/orchestrators/protect-disk.ts')
  const { transferLaneStory } = await import('../../functions/orchestrators/transfer-lane.ts')
  const { restoreVmStory } = await import('../../functions/orchestrators/restore-vm.ts')
  const { restoreDiskStory } = await import('../../functions/orchestrators/restore-disk.ts')
  const { compareVmStory } = await import('../../functions/orchestrators/compare-vm.ts')
  const { maintainVaultStory } = await import('../../functions/orchestrators/maintain-vault.ts')
  return {
    protectVm: handlerOf(protectVmStory),
    protectDisk: handlerOf(protectDiskStory),
    transferLane: handlerOf(transferLaneStory),
    restoreVm: handlerOf(restoreVmStory),
    restoreDisk: handlerOf(restoreDiskStory),
    maintainVault: handlerOf(maintainVaultStory),
    compareVm: handlerOf(compareVmStory),
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
  input: unknown = inputOf(claim),
): Promise<JobRun> => {
  const story = ({ backup: 'protectVm', restore: 'restoreVm', comparison: 'compareVm' } as const)[claim.job.kind]
  const { state, instances } = await runWhole(deps, story, input, `${claim.job.jobId}.${claim.attempt}`, before)
  return {
    outcome: state.output as JobOutcome | undefined,
    error: state.error,
    instances,
    calls: instances.flatMap(({ calls }) => calls),
  }
}

/** Runs one pass over the vault in the same way. */
export const runMaintenance = async (
  deps: JobDeps & { readonly subscriptionIds: readonly string[] },
  passId: string,
): Promise<MaintenanceOutcome> => {
  const input = { passId, stage: 'expire', cursor: null, counts: nothingMaintained, problems: [] }
  const { state } = await runWhole(deps, 'maintainVault', input, 'maintenance', () => undefined)
  return state.output as MaintenanceOutcome
}

const runWhole = async (
  deps: JobDeps,
  story: string,
  input: unknown,
  instanceId: string,
  before: (activity: string, input: unknown) => void | Promise<void>,
): Promise<{ readonly state: StoryRun['state']; readonly instances: readonly StoryRun[] }> => {
  for (const file of readdirSync(folder)) await import(join(folder, file))
  const stories = await handlers()
  const instances: StoryRun[] = []
  const activity = async (name: string, given: unknown): Promise<unknown> => {
    await before(name, given)
    const outcome = await steps.get(name)!(deps, given).catch(failureOf)
    return JSON.parse(JSON.stringify(outcome ?? null)) as unknown
  }
  const run = async (name: string, given: unknown, id: string): Promise<StoryRun> => {
    const ended = await runStory(stories[name]!, given, id, { activity, child })
    instances.push(ended)
    return ended.continuedWith === undefined ? ended : run(name, ended.continuedWith, id)
  }
  const child = async (name: string, given: unknown, id: string) => {
    const { state } = await run(name, given, id)
    return state.error === null ? { outcome: state.output, seconds: 30 } : { throws: state.error, seconds: 30 }
  }
  const { state } = await run(story, input, instanceId)
  return { state, instances }
}
