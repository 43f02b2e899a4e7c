import type { DiskReport } from '../domain/job.ts'
import { type Failed, failed, type JobRef } from '../domain/job-ref.ts'
import type { CommittedDisk, RecoveryPoint } from '../domain/recovery-point.ts'
import type { Consistency } from '../domain/vm.ts'
import { layerIdOf } from '../format/names.ts'
import type { SnapshotSet } from '../ports/compute.ts'
import {
  type Committed,
  commitRecoveryPoint,
  type RecoveryPointDraft,
  readCommitted,
} from '../vault/commit-recovery-point.ts'
import { findKeyRecord } from '../vault/open-data-key.ts'
import { type BackupPlan, type PlannedDisk, planMissing, readBackupPlan, readSources } from './backup-plan.ts'
import { claimOf } from './claim.ts'
import type { JobDeps } from './job-deps.ts'
import { publishImageBases } from './publish-image-bases.ts'
import { readSealed, type SealedDisk } from './seal-planned-disk.ts'
import { tellingDamage } from './telling-damage.ts'

type CommitDeps = Pick<JobDeps, 'clock' | 'control' | 'vault'>

/** The commit in numbers, for the business event. */
export interface CommittedJob {
  readonly kind: 'committed'
  readonly consistency: Consistency
  readonly storedBytes: number
}

/** Makes the recovery point visible: one record for all disks. Key: the recovery point; the first record wins. */
export const commitJob = async (deps: CommitDeps, ref: JobRef): Promise<CommittedJob | Failed> => {
  const claim = await claimOf(deps.control, ref)
  return 'kind' in claim ? claim : commitClaimed(deps, ref)
}

/** The same where the caller has just seen the claim.
 * @param told the reports of disks; where one names no change, there may be nothing else that was recorded of the disk */
export const commitClaimed = async (
  deps: CommitDeps,
  ref: JobRef,
  told: readonly DiskReport[] = [],
): Promise<CommittedJob | Failed> => {
  const plan = await readBackupPlan(deps.control, ref.recoveryPointId)
  const sources = await readSources(deps.control, ref.recoveryPointId)
  if (plan === null || sources === null) return committedBefore(deps, ref, plan, planMissing)
  const disks = await Promise.all(
    plan.disks.map((planned) => committedDisk(deps, { ref, plan, planned, sources, told })),
  )
  const complete = disks.filter((disk) => disk !== null)
  if (complete.length < disks.length) return committedBefore(deps, ref, plan, notSealed)
  const committed = await tellingDamage(deps, ref.vmKey, () =>
    commitReadable(deps, draftOf(deps, plan, sources, complete)),
  )
  return committed.kind === 'committed' ? committedJob(deps, plan, committed.recoveryPoint) : aborted
}

/** A process remembers a data key for some minutes, also one whose record is gone since: nobody else could open what was stored under it.
 * @throws VaultError `key-missing` where the vault has lost the key that this backup stored under: then nothing is committed */
const commitReadable = async (deps: CommitDeps, draft: RecoveryPointDraft): Promise<Committed> => {
  try {
    if (draft.keyId !== null && draft.disks.some((disk) => isStored(draft, disk)))
      await findKeyRecord(deps.vault, draft.keyId)
  } catch (error) {
    const settled = await readCommitted(deps.vault, draft)
    if (settled !== null) return settled
    throw error
  }
  return commitRecoveryPoint(deps, draft)
}

/** Whether the disk has a layer of this very recovery point. */
const isStored = (draft: RecoveryPointDraft, { disk, stack }: CommittedDisk): boolean =>
  stack.some(({ layerId }) => layerId === layerIdOf({ ...draft, disk }))

/** Where what the commit is made from is gone, an earlier run of this step may have made it. */
const committedBefore = async (
  deps: CommitDeps,
  ref: JobRef,
  plan: BackupPlan | null,
  why: Failed,
): Promise<CommittedJob | Failed> => {
  const found = await readCommitted(deps.vault, ref)
  return found?.kind === 'committed' ? committedJob(deps, plan, found.recoveryPoint) : why
}

const committedJob = async (
  deps: CommitDeps,
  plan: BackupPlan | null,
  recoveryPoint: RecoveryPoint,
): Promise<CommittedJob> => {
  if (plan !== null) await publishImageBases(deps, plan, recoveryPoint)
  const { consistency, disks } = recoveryPoint
  return { kind: 'committed', consistency, storedBytes: disks.reduce((sum, { storedBytes }) => sum + storedBytes, 0) }
}

interface DiskToCommit {
  readonly ref: JobRef
  readonly plan: BackupPlan
  readonly planned: PlannedDisk
  readonly sources: SnapshotSet
  readonly told: readonly DiskReport[]
}

const unchangedAsTold = ({ disk, base }: PlannedDisk, told: readonly DiskReport[]): SealedDisk | null => {
  const report = told.find((candidate) => candidate.disk === disk)
  if (base === null || report?.transfer !== 'incremental' || report.changedBytes > 0) return null
  return { stack: base.stack, sidecar: null, report }
}

const committedDisk = async (
  deps: CommitDeps,
  { ref, plan, planned, sources, told }: DiskToCommit,
): Promise<CommittedDisk | null> => {
  const label = planned.disk
  const sealed = unchangedAsTold(planned, told) ?? (await readSealed(deps.control, { ...ref, disk: label }))
  const vmDisk = plan.vm.disks.find(({ disk }) => disk === label)
  const source = sources.disks.find(({ disk }) => disk === label)?.source
  if (sealed === null || vmDisk === undefined || source === undefined) return null
  const { report, stack } = sealed
  return {
    disk: label,
    name: vmDisk.name,
    sizeBytes: report.sizeBytes,
    source,
    transfer: report.transfer ?? 'full',
    fullReason: report.fullReason,
    stack,
    sidecar: sealed.sidecar,
    compression: plan.encoding.compression,
    changedBytes: report.changedBytes,
    readBytes: report.readBytes,
    joinedBytes: report.joinedBytes,
    storedPlainBytes: report.storedPlainBytes,
    storedBytes: report.storedBytes,
  }
}

const draftOf = (
  deps: CommitDeps,
  { job, vm, disks: planned, encoding, previous }: BackupPlan,
  sources: SnapshotSet,
  disks: readonly CommittedDisk[],
): RecoveryPointDraft => {
  const base = planned.find(
    ({ disk, base }) => base !== null && disks.some((d) => d.disk === disk && d.fullReason === null),
  )
  return {
    recoveryPointId: job.recoveryPointId,
    vmKey: job.vmKey,
    jobId: job.jobId,
    takenAt: sources.takenAt,
    committedAt: deps.clock.now().toISOString(),
    consistency: sources.consistency,
    consistentAcrossDisks: sources.kind === 'restorePoint',
    baseRecoveryPointId: base?.base?.recoveryPointId ?? null,
    previous,
    keyId: encoding.keyId,
    vm,
    disks,
  }
}

const notSealed = failed(
  'disk-not-sealed',
  'A disk of this recovery point has no layer in the vault.',
  'Start a new backup. Check that nothing but the function app removes objects below plans/.',
)

const aborted = failed(
  'recovery-point-aborted',
  'This recovery point was given up by a collection pass, as its job looked abandoned.',
  'Start a new backup.',
)
