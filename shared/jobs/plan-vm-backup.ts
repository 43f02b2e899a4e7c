import { isRecoveryPointOf } from '../domain/ids.ts'
import type { BackupJob } from '../domain/job.ts'
import { type Failed, failed, jobEnded, refOf, superseded } from '../domain/job-ref.ts'
import type { RecoveryPoint } from '../domain/recovery-point.ts'
import type { VmDescription } from '../domain/vm.ts'
import { plansRoot } from '../format/names.ts'
import type { BlobReader } from '../ports/blob-store.ts'
import { checkBase } from '../vault/check-base.ts'
import { writeIntent } from '../vault/intents.ts'
import { latestReadableRecoveryPoint } from '../vault/recovery-points.ts'
import {
  type BackupPlan,
  decidePlan,
  planMissing,
  readBackupPlan,
  type Unfinished,
  windowEndOf,
} from './backup-plan.ts'
import { chooseBase } from './choose-base.ts'
import { chooseComparisons, findImageDisks, type ImageDisk } from './choose-comparison.ts'
import { claimOf } from './claim.ts'
import { vmPlanName } from './control-names.ts'
import type { JobDeps } from './job-deps.ts'
import { readEnding } from './job-records.ts'
import { planEncoding } from './plan-encoding.ts'
import { type SourcesTaken, takeFor, takeSources } from './take-sources.ts'
import { readUnfinished } from './unfinished.ts'

type PlanDeps = Pick<JobDeps, 'access' | 'clock' | 'control' | 'inventory' | 'keys' | 'vault'>

/** What a backup will do. `deadline`: when the transfers are stopped; null for never. */
export interface VmPlanned {
  readonly kind: 'planned'
  readonly disks: readonly string[]
  readonly deadline: string | null
}

interface PlanInput {
  readonly job: BackupJob
  readonly token: string
}

/** Decides which disks are transferred and what each is compared with. Key: the recovery point; the first plan stays, so a later
 * attempt goes on with the same one even where the VM has changed since. */
export const planVmBackup = async (deps: PlanDeps, { job, token }: PlanInput): Promise<VmPlanned | Failed> => {
  const claim = await claimOf(deps.control, refOf({ job, token }))
  if ('kind' in claim) return claim
  // Asked for every time: a late twin that decided again would write the intent of a job that may be over.
  const found = await readBackupPlan(deps.control, job.recoveryPointId)
  if (found === null && (await hasLostPlan(deps.control, job.recoveryPointId))) return planMissing
  const plan = found ?? (await decide(deps, job)).plan
  return 'kind' in plan ? plan : plannedOf(plan, job)
}

/** True where others of the backup's notes are there, which come behind its plan: by another plan what they stand for would lie on another base. */
const hasLostPlan = async (control: BlobReader, recoveryPointId: string): Promise<boolean> => {
  let hasOthers = false
  for await (const { name } of control.list(`${plansRoot}${recoveryPointId}/`)) {
    if (name === vmPlanName(recoveryPointId)) return false
    hasOthers = true
  }
  return hasOthers && (await readBackupPlan(control, recoveryPointId)) === null
}

/** The same, with the first ask for the platform's copies. Of a first attempt everything is decided at once, without a look for what an earlier run may
 * have decided: each of its objects has one creator, so a run that comes second takes what the first one made, and the copies have one name.
 *
 * Copies could not be taken back, so nobody asks for those of a job that is over. Whoever finds a plan looks at the claim. Whoever made it just now needs no
 * look: a job that ends without a plan takes the plan's name first (`closePlan`), so this one had not ended, and a later attempt of it finds this plan and
 * asks for copies of the same name. */
export const beginVmBackup = async (
  deps: PlanDeps & Pick<JobDeps, 'snapshots'>,
  { attempt, ...input }: PlanInput & { readonly attempt: number },
): Promise<(VmPlanned & { readonly sources: SourcesTaken }) | Failed> => {
  const { job } = input
  const decided = attempt > 1 ? null : await decide(deps, job)
  if (decided?.plan === jobEnded) return jobEnded
  if (decided === null || !decided.isNew) return goOn(deps, input, decided?.plan ?? null)
  return { ...plannedOf(decided.plan, job), sources: await takeFor(deps, decided.plan, job.source) }
}

/** Goes on with a plan that may be there.
 * @param why what came of deciding anew, to be answered where none is there */
const goOn = async (
  deps: PlanDeps & Pick<JobDeps, 'snapshots'>,
  input: PlanInput,
  why: BackupPlan | Failed | null,
): Promise<(VmPlanned & { readonly sources: SourcesTaken }) | Failed> => {
  const { job } = input
  if (why !== null && 'kind' in why && (await readBackupPlan(deps.control, job.recoveryPointId)) === null) return why
  const planned = await planVmBackup(deps, input)
  if (planned.kind === 'failed') return planned
  return { ...planned, sources: await takeSources(deps, refOf(input), job.source) }
}

const plannedOf = (plan: BackupPlan, job: BackupJob): VmPlanned => ({
  kind: 'planned',
  disks: plan.disks.map(({ disk }) => disk),
  deadline: windowEndOf(plan, job),
})

/** `isNew`: this very run has decided it. */
type Decided =
  | { readonly isNew: true; readonly plan: BackupPlan }
  | { readonly isNew: false; readonly plan: BackupPlan | Failed }

const decide = async (deps: PlanDeps, job: BackupJob): Promise<Decided> => {
  const draft = await draftOf(deps, job)
  if ('kind' in draft) return { isNew: false, plan: draft }
  const plan = await decidePlan(deps.control, draft)
  return plan === draft ? { isNew: true, plan } : { isNew: false, plan: plan ?? superseded }
}

const draftOf = async (deps: PlanDeps, job: BackupJob): Promise<BackupPlan | Failed> => {
  const vm = await deps.inventory.find(job.vmId)
  if (vm === null) return vmNotFound
  const obstacle = obstacleOf(vm, job)
  if (obstacle !== null) return obstacle
  const encoding = await planEncoding(deps, job)
  if ('kind' in encoding) return encoding
  const unfinished = await readUnfinished(deps.control, job.vmKey)
  const { found, damaged, decided } = await latestReadableRecoveryPoint(deps.vault, job.vmKey)
  if (await hasEnded(deps.control, job, { decided, unfinished })) return jobEnded
  const seen = found?.recoveryPoint ?? null
  const imageDisks = await findImageDisks(deps.control, vm, seen, encoding.keyId !== null)
  const intent = await writeIntent(deps.control, intentOf(job, seen, imageDisks))
  const latest = seen === null ? null : await checkBase(deps, intent, seen)
  const disks = vm.disks.filter(({ disk }) => !job.excludedDisks.includes(disk))
  const chosen = await Promise.all(disks.map((disk) => chooseBase(disk, job.source, latest, deps.access.exists)))
  const planned = await chooseComparisons(deps, chosen, { latest, imageDisks, intent })
  return {
    job,
    vm,
    disks: planned.map((disk) => {
      if (disk.base !== null) return disk
      if (damaged > 0) return { ...disk, fullReason: 'base-record-damaged' }
      return latest === null && seen !== null ? { ...disk, fullReason: 'base-ended' } : disk
    }),
    encoding,
    previous: found === null ? null : { recoveryPointId: found.recoveryPoint.recoveryPointId, digest: found.digest },
    unfinished,
    plannedAt: deps.clock.now().toISOString(),
  }
}

/** True where a sweep that looked at the slot before this one took the claim late, when the slot's job had run and ended. Both looks are behind the claim, and
 * no ending gives that back before they show it: a backup that ended has its recovery point decided, committed or fenced off, under a name that stays,
 * or is the VM's unfinished one; this one is fenced off before its note goes, so the note is read first. Where neither shows it, no record is looked for. */
const hasEnded = async (
  control: BlobReader,
  { jobId }: BackupJob,
  { decided, unfinished }: { readonly decided: readonly string[]; readonly unfinished: Unfinished | null },
): Promise<boolean> => {
  const isPossible = unfinished?.jobId === jobId || decided.some((id) => isRecoveryPointOf(id, jobId))
  return isPossible && (await readEnding(control, jobId))?.outcome != null
}

const intentOf = (job: BackupJob, latest: RecoveryPoint | null, imageDisks: readonly ImageDisk[]) => ({
  kind: 'backup' as const,
  id: job.recoveryPointId,
  vmKey: job.vmKey,
  dependsOn: [
    ...new Set([latest, ...imageDisks.map(({ base }) => base)].flatMap((built) => built?.recoveryPointId ?? [])),
  ],
})

const obstacleOf = (vm: VmDescription, job: BackupJob): Failed | null => {
  const unsupported = vm.unsupported.filter(({ disk }) => !job.excludedDisks.includes(disk))
  if (unsupported.length > 0)
    return failed(
      'unsupported-disk',
      `These disks cannot be backed up: ${unsupported.map(({ disk, reason }) => `${disk} (${reason})`).join(', ')}.`,
      'Exclude them by excludedDisks of the policy or of the request. The other disks are then backed up.',
    )
  if (vm.disks.every(({ disk }) => job.excludedDisks.includes(disk)))
    return failed('no-disks', 'Every disk of this VM is excluded.', 'Take at least one disk out of excludedDisks.')
  return null
}

const vmNotFound = failed(
  'vm-not-found',
  'The VM does not exist, or the function app may not read it.',
  'Check the VM id, and that the identity of the function app has the role Reader on the VM’s resource group.',
)
