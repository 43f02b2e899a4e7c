import { type PointInTime, type Retention, toExpire } from '../domain/retention.ts'
import { recoveryPointName } from '../format/names.ts'
import { formatVersion } from '../format/sectors.ts'
import { nullIfDamaged } from '../format/vault-error.ts'
import type { BlobCreator, BlobReader, CallOptions } from '../ports/blob-store.ts'
import { inBatches } from './in-batches.ts'
import { type ListedVm, newestOf } from './list-vm-keys.ts'
import { markOf } from './mark-vm.ts'
import { createSealed } from './objects.ts'
import { listRecoveryPoints, type RecoveryPointKey, readRevision } from './recovery-points.ts'
import type { VmMarks } from './vm-marks.ts'

/** Ends a recovery point by its next revision: it is neither listed nor restored from then on, what it alone needs may be collected. A restore
 * or a backup that has written its intent goes on undisturbed. Key: the recovery point; repeatable. One whose newest record is damaged can be
 * ended, too. */
export const expireRecoveryPoint = async (
  vault: BlobCreator,
  { vmKey, recoveryPointId, revision }: RecoveryPointKey & { readonly revision: number },
  options: CallOptions = {},
): Promise<void> => {
  for (let next = revision + 1; ; next += 1) {
    const name = recoveryPointName(vmKey, recoveryPointId, next)
    const record = { format: formatVersion, expired: true, recoveryPointId, revision: next, vmKey }
    if ((await createSealed(vault, name, record, options)) === 'created') return
    const there = await readRevision(vault, { vmKey, recoveryPointId }, next, options).catch(nullIfDamaged)
    if (there !== null && !('disks' in there.record)) return
  }
}

/** What one call may end of one VM, and by which rules. */
export interface ExpireRequest {
  readonly vmKey: string
  /** Of all policies that the VM is under: what one of them keeps is kept. Null among them, or none at all: everything is kept. */
  readonly retentions: readonly (Retention | null)[]
  /** Calendar of the periods. */
  readonly timeZone: string
  /** Recovery points that are known to have lost something: none of them is kept in the place of a sound one. */
  readonly damaged: ReadonlySet<string>
  /** Recovery points that one call ends, at most. */
  readonly expiryMax: number
}

/** The ids that ended by this call, in the order of their ending. `more`: the call ended as many as it may. */
export interface Expired {
  readonly kind: 'done' | 'more'
  readonly expired: readonly string[]
}

const readsAtOnce = 16

/** Ends the recovery points of a VM that its retention does not keep, oldest first. The choice is by the times at which they were taken,
 * which is policy; what may be removed because of it is decided without any clock. A recovery point whose record is damaged counts for
 * nothing and is left as it is. @throws VaultError `unsupported-version` */
export const expireRecoveryPoints = async (
  vault: BlobCreator,
  request: ExpireRequest,
  options: CallOptions = {},
): Promise<Expired> => {
  const { vmKey, retentions, timeZone, damaged, expiryMax } = request
  if (retentions.length === 0 || retentions.includes(null)) return { kind: 'done', expired: [] }
  const points = await pointsOf(vault, vmKey, options)
  const kept = retentions.filter((retention) => retention !== null)
  const known = [...points.values()].map((point) => ({ ...point, isDamaged: damaged.has(point.recoveryPointId) }))
  const ending = toExpire(known, kept, timeZone)
  const now = ending.slice(0, expiryMax)
  for (const { recoveryPointId, revision } of now)
    await expireRecoveryPoint(vault, { vmKey, recoveryPointId, revision }, options)
  const expired = now.map(({ recoveryPointId }) => recoveryPointId)
  return { kind: ending.length > now.length ? 'more' : 'done', expired }
}

/** False where by what was read before of the VM's records nothing ends. Nothing is ended by marks alone: who is told true reads the records. */
export const mayExpire = (
  vm: ListedVm,
  marks: VmMarks,
  {
    retentions,
    timeZone,
    damaged,
  }: Pick<ExpireRequest, 'timeZone' | 'damaged'> & { readonly retentions: readonly Retention[] },
): boolean => {
  const points: PointInTime[] = []
  for (const listed of newestOf(vm)) {
    const mark = markOf(marks, listed)
    if (mark === null) return true
    const { recoveryPointId } = listed
    if (mark.takenAt !== null)
      points.push({ recoveryPointId, takenAt: mark.takenAt, isDamaged: damaged.has(recoveryPointId) })
  }
  return toExpire(points, retentions, timeZone).length > 0
}

const pointsOf = async (
  vault: BlobReader,
  vmKey: string,
  options: CallOptions,
): Promise<Map<string, PointInTime & { readonly revision: number }>> => {
  const points = new Map<string, PointInTime & { readonly revision: number }>()
  await inBatches(listRecoveryPoints(vault, vmKey, options), readsAtOnce, async ({ recoveryPointId, revision }) => {
    const found = await readRevision(vault, { vmKey, recoveryPointId }, revision, options).catch(nullIfDamaged)
    if (found === null || !('disks' in found.record)) return
    points.set(recoveryPointId, { recoveryPointId, takenAt: found.record.takenAt, revision })
  })
  return points
}
