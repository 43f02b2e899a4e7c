import { backupJobIdOf, vmKeyOf } from '../domain/ids.ts'
import { backupJobOf, dueSlot, type Policy } from '../domain/policy.ts'
import type { VmDescription } from '../domain/vm.ts'
import { readClaim } from './claim.ts'
import { forEachBounded } from './for-each-bounded.ts'
import type { JobDeps } from './job-deps.ts'
import type { JobInstances } from './job-instances.ts'
import { readEnding, readOlder } from './job-records.ts'
import { listPolicies } from './policies.ts'
import { type ResumeOutcome, resumeForSlot } from './resume-job.ts'
import { selectVms } from './select-vms.ts'
import { type StartOutcome, startJob } from './start-job.ts'
import { safeMessage } from './step-failure.ts'

/** What a sweep needs. `windowHours` holds for policies that name no window. */
export interface SweepDeps extends Pick<JobDeps, 'access' | 'clock' | 'control' | 'inventory' | 'newToken' | 'vault'> {
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
  const found: Found = { outcomes: [], faults: [] }
  const note = (vmKey: string, outcome: SlotOutcome) => void found.outcomes.push({ vmKey, outcome })
  const isWanted = async (vmId: string) => {
    const vmKey = vmKeyOf(vmId)
    const known = await knownBefore(deps, { vmKey, slotJobId: backupJobIdOf(vmKey, slot, policy.name) }, found)
    if (known !== null) note(vmKey, known)
    return known === null
  }
  try {
    const selected = selectVms(deps, policy.selection, deps.subscriptionIds, isWanted)
    await forEachBounded(selected, startsAtOnce, async (vm) => {
      await startOne(deps, policy, slot, vm)
        .then((outcome) => note(vm.vmKey, outcome))
        .catch((error: unknown) => void found.faults.push(`${vm.name}: ${safeMessage(error)}`))
    })
  } catch (error) {
    found.faults.push(`The VMs of the policy could not be listed: ${safeMessage(error)}`)
  }
  return { ...summary(policy.name, slot, found), faults: found.faults }
}

type SlotOutcome = StartOutcome | (ResumeOutcome & { readonly kind: 'resumed' })

interface Found {
  readonly outcomes: { readonly vmKey: string; readonly outcome: SlotOutcome }[]
  readonly faults: string[]
}

/** What can be said and done by the VM's key alone, so that no VM is described at each sweep: its slot was started, its unfinished backup
 * goes on, or another job holds it. Null where the slot's own job is to be started, also where none of this can be found out. */
const knownBefore = async (
  deps: SweepDeps,
  { vmKey, slotJobId }: { readonly vmKey: string; readonly slotJobId: string },
  { faults }: Found,
): Promise<SlotOutcome | null> => {
  try {
    if ((await readEnding(deps.control, slotJobId)) !== null) return { kind: 'already', jobId: slotJobId }
    const running = await readClaim(deps.control, { jobId: slotJobId, vmKey })
    if (running?.claim.job.jobId === slotJobId || (await readOlder(deps.control, slotJobId)) !== null)
      return { kind: 'already', jobId: slotJobId }
    if (running !== null) return { kind: 'busy', running: running.claim }
    return await resumeForSlot(deps, vmKey, slotJobId)
  } catch (error) {
    faults.push(`${vmKey}: its last backup could not be looked at, or resumed: ${safeMessage(error)}`)
    return null
  }
}

const startOne = (deps: SweepDeps, policy: Policy, slot: Date, vm: VmDescription): Promise<StartOutcome> => {
  const occasion = { trigger: 'schedule' as const, policy: policy.name, at: slot, cause: policy.name }
  const job = backupJobOf(vm, policy, { ...occasion, now: deps.clock.now(), windowHours: deps.windowHours })
  return startJob(deps, job)
}

const summary = (policy: string, slot: Date, { outcomes }: Found): PolicySwept => ({
  ...nothing(policy, slot),
  started: outcomes.flatMap(({ vmKey, outcome }) =>
    outcome.kind === 'started' ? [{ jobId: outcome.jobId, vmKey }] : [],
  ),
  resumed: outcomes.flatMap(({ outcome }) => (outcome.kind === 'resumed' ? [outcome] : [])),
  already: outcomes.filter(({ outcome }) => outcome.kind === 'already').length,
  busy: outcomes.flatMap(({ vmKey, outcome }) =>
    outcome.kind === 'busy' ? [{ vmKey, runningJobId: outcome.running.job.jobId }] : [],
  ),
})
