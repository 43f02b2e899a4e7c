import { backupJobOf, dueSlot, type Policy } from '../domain/policy.ts'
import type { VmDescription } from '../domain/vm.ts'
import { forEachBounded } from './for-each-bounded.ts'
import type { JobDeps } from './job-deps.ts'
import type { JobInstances } from './job-instances.ts'
import { readJobRecord } from './job-records.ts'
import { listPolicies } from './policies.ts'
import { type ResumeOutcome, resumeForSlot } from './resume-job.ts'
import { selectVms } from './select-vms.ts'
import { type StartOutcome, startJob } from './start-job.ts'
import { safeMessage } from './step-failure.ts'

export interface SweepDeps extends Pick<JobDeps, 'access' | 'clock' | 'control' | 'inventory' | 'newToken'> {
  readonly instances: JobInstances
  readonly subscriptionIds: readonly string[]
  readonly windowHours: number
}

/** What the sweep did for one policy. `busy` VMs are tried again by the next sweep. */
export interface PolicySwept {
  readonly policy: string
  readonly slot: string | null
  readonly started: readonly { readonly jobId: string; readonly vmKey: string }[]
  /** Backups of earlier slots that go on first; the slot's own start when the VMs are free again. */
  readonly resumed: readonly (ResumeOutcome & { readonly kind: 'resumed' })[]
  readonly already: number
  readonly busy: readonly { readonly vmKey: string; readonly runningJobId: string }[]
  /** What went wrong, in words: the document, the selection, or single VMs. */
  readonly faults: readonly string[]
}

/** Jobs started at the same time. */
const startsAtOnce = 8

/** Starts a backup of every VM of every policy whose slot has come; a VM whose last backup ended without a commit goes on with that one
 * first. Key: (VM, policy, slot), which makes the job's id, so that a slot
 * starts once, however often this runs. What is wrong with one policy or VM does not stop the others. */
export const startDueBackups = async (deps: SweepDeps): Promise<readonly PolicySwept[]> => {
  const swept: PolicySwept[] = []
  for await (const found of listPolicies(deps.control)) {
    if (found.kind === 'problem') swept.push({ ...nothing(found.name, null), faults: [found.problem] })
    else swept.push(await sweepPolicy(deps, found.policy))
  }
  return swept
}

const nothing = (policy: string, slot: Date | null): PolicySwept => ({
  policy,
  slot: slot?.toISOString() ?? null,
  started: [],
  resumed: [],
  already: 0,
  busy: [],
  faults: [],
})

const sweepPolicy = async (deps: SweepDeps, policy: Policy): Promise<PolicySwept> => {
  const slot = dueSlot(policy, deps.clock.now())
  if (slot === null) return nothing(policy.name, null)
  const outcomes: { vm: VmDescription; outcome: SlotOutcome }[] = []
  const faults: string[] = []
  try {
    await forEachBounded(selectVms(deps, policy.selection, deps.subscriptionIds), startsAtOnce, async (vm) => {
      await startOne(deps, policy, slot, vm, faults)
        .then((outcome) => void outcomes.push({ vm, outcome }))
        .catch((error: unknown) => void faults.push(`${vm.name}: ${safeMessage(error)}`))
    })
  } catch (error) {
    faults.push(`The VMs of the policy could not be listed: ${safeMessage(error)}`)
  }
  return { ...summary(policy.name, slot, outcomes), faults }
}

type SlotOutcome = StartOutcome | (ResumeOutcome & { readonly kind: 'resumed' })

/** @param faults is told where the unfinished backup could not be resumed: the slot's own then starts */
const startOne = async (
  deps: SweepDeps,
  policy: Policy,
  slot: Date,
  vm: VmDescription,
  faults: string[],
): Promise<SlotOutcome> => {
  const occasion = { trigger: 'schedule' as const, policy: policy.name, at: slot, cause: policy.name }
  const job = backupJobOf(vm, policy, { ...occasion, now: deps.clock.now(), windowHours: deps.windowHours })
  if ((await readJobRecord(deps.control, job.jobId)) !== null) return { kind: 'already', jobId: job.jobId }
  const resumed = await resumeForSlot(deps, vm.vmKey, job.jobId).catch((error: unknown) => {
    faults.push(`${vm.name}: the unfinished backup could not be resumed: ${safeMessage(error)}`)
    return null
  })
  return resumed ?? startJob(deps, job)
}

const summary = (
  policy: string,
  slot: Date,
  outcomes: readonly { readonly vm: VmDescription; readonly outcome: SlotOutcome }[],
): PolicySwept => ({
  ...nothing(policy, slot),
  started: outcomes.flatMap(({ vm, outcome }) =>
    outcome.kind === 'started' ? [{ jobId: outcome.jobId, vmKey: vm.vmKey }] : [],
  ),
  resumed: outcomes.flatMap(({ outcome }) => (outcome.kind === 'resumed' ? [outcome] : [])),
  already: outcomes.filter(({ outcome }) => outcome.kind === 'already').length,
  busy: outcomes.flatMap(({ vm, outcome }) =>
    outcome.kind === 'busy' ? [{ vmKey: vm.vmKey, runningJobId: outcome.running.job.jobId }] : [],
  ),
})
