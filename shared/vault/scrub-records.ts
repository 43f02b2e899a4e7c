import type { CommittedDisk, RecoveryPoint } from '../domain/recovery-point.ts'
import { recoveryPointName, recoveryPointsPrefix, revisionsPrefix } from '../format/names.ts'
import { isDamage, VaultError } from '../format/vault-error.ts'
import type { BlobReader, CallOptions } from '../ports/blob-store.ts'
import { type ListedPoint, listNewest } from './list-vm-keys.ts'
import { markOf } from './mark-vm.ts'
import { newestRevision, type RecoveryPointKey, readRevision } from './recovery-points.ts'
import type { VmMarks } from './vm-marks.ts'

/** A recovery point that can be restored, as far as its record tells. */
export interface CheckedPoint {
  readonly recoveryPointId: string
  readonly keyId: string | null
  readonly disks: readonly Pick<CommittedDisk, 'disk' | 'sizeBytes' | 'stack' | 'sidecar'>[]
}

/** A commit record that is damaged or gone, by its recovery point. */
export interface DamagedRecord {
  readonly recoveryPointId: string
  readonly error: VaultError
  /** False for an older revision below a whole newest one, which alone says what is to be restored. */
  readonly isNeeded: boolean
}

/** Which records of a VM are read. */
export interface RecordsRequest {
  readonly vmKey: string
  /** What was read before. A record that told of an end and is the same object is not read again. */
  readonly marks: Pick<VmMarks, 'points'>
  /** Names of records that are read in any case. */
  readonly suspects: ReadonlySet<string>
}

/** What the records of a VM say, in order of their recovery points. */
export interface CheckedRecords {
  readonly points: readonly CheckedPoint[]
  readonly damaged: readonly DamagedRecord[]
  /** Names, in order, of the records that no restore which begins at this time needs: revisions between the first and the newest, and what is marked to tell of an
   * end. They were not read, but for suspects. */
  readonly others: readonly string[]
}

/** Reads and proves what a restore needs of the VM's commit records, the newest revisions and the first ones, and the chain that runs through the
 * first ones; of the others only suspects. Where the first one is damaged or gone below a later one, the recovery point can be restored, and is checked.
 * Of a recovery point whose only record is gone the next one's tells.
 * @throws VaultError `unsupported-version` where a record is of a later format */
export const checkRecords = async (
  vault: BlobReader,
  { vmKey, marks, suspects }: RecordsRequest,
  options: CallOptions,
): Promise<CheckedRecords> => {
  const points: CheckedPoint[] = []
  const damaged: DamagedRecord[] = []
  const others: string[] = []
  const firstDigests = new Map<string, string>()
  const listed = new Set<string>()
  const named = new Set<string>()
  for (const point of await listNewest(vault, recoveryPointsPrefix(vmKey), options)) {
    const { recoveryPointId, revision } = point
    const key = { vmKey, recoveryPointId }
    listed.add(recoveryPointId)
    if (isKnownEnded(point, marks) && !suspects.has(nameOf(key, revision))) {
      others.push(nameOf(key, revision))
      continue
    }
    const tell = (error: VaultError, isNeeded = true): void => void damaged.push({ recoveryPointId, error, isNeeded })
    const found = await orTold(readRevision(vault, key, revision, options), tell)
    if (found === null || (found !== 'damaged' && !('disks' in found.record))) continue
    const older = Array.from({ length: Math.max(0, revision - 2) }, (_, index) => index + 2)
    others.push(...older.map((one) => nameOf(key, one)))
    for (const one of older.filter((one) => suspects.has(nameOf(key, one)))) {
      const error = await faultOfOlder(vault, { ...point, isWhole: found !== 'damaged' }, one, options)
      if (error !== null) tell(error, false)
    }
    const tellFirst = (error: VaultError): void => tell(error, found === 'damaged')
    const first = revision === 1 ? found : await orTold(readRevision(vault, key, 1, options), tellFirst)
    if (first !== null && first !== 'damaged') firstDigests.set(recoveryPointId, first.digest)
    if (found === 'damaged' || !('disks' in found.record)) continue
    if (first === null) {
      if ((await newestRevision(vault, key, options)) !== revision) continue
      tell(new VaultError({ code: 'object-missing', name: nameOf(key, 1) }), false)
    }
    const broken = first === null || first === 'damaged' ? null : brokenChain(found.record, firstDigests)
    if (broken !== null) tell(broken)
    points.push(found.record)
    if (found.record.previous !== null) named.add(found.record.previous.recoveryPointId)
  }
  for (const recoveryPointId of named)
    if (!listed.has(recoveryPointId) && (await isLost(vault, { vmKey, recoveryPointId }, options)))
      damaged.push(lostOf({ vmKey, recoveryPointId }))
  return { points, damaged, others }
}

const isKnownEnded = (point: ListedPoint, marks: RecordsRequest['marks']): boolean => {
  const state = markOf(marks, point)?.state
  return state === 'expired' || state === 'aborted'
}

/** What is wrong with a revision below the newest one. It may be gone where the recovery point has ended, and nowhere else.
 * @param newest `isWhole`: it says that the recovery point has not ended */
const faultOfOlder = async (
  vault: BlobReader,
  newest: ListedPoint & { readonly isWhole: boolean },
  older: number,
  options: CallOptions,
): Promise<VaultError | null> => {
  let fault: VaultError | null = null
  const found = await orTold(readRevision(vault, newest, older, options), (error) => {
    fault = error
  })
  if (found !== null) return fault
  if (!newest.isWhole || (await newestRevision(vault, newest, options)) !== newest.revision) return null
  return new VaultError({ code: 'object-missing', name: nameOf(newest, older) })
}

/** Asked behind the record that names it, which was created later. */
const isLost = async (vault: BlobReader, key: RecoveryPointKey, options: CallOptions): Promise<boolean> => {
  for await (const _ of vault.list(revisionsPrefix(key.vmKey, key.recoveryPointId), options)) return false
  return true
}

/** Nothing removes the newest record of a recovery point, be it one that tells of its end. */
const lostOf = (key: RecoveryPointKey): DamagedRecord => ({
  recoveryPointId: key.recoveryPointId,
  error: new VaultError({ code: 'object-missing', name: nameOf(key, 1) }),
  isNeeded: true,
})

const orTold = async <Value>(read: Promise<Value>, tell: (error: VaultError) => void): Promise<Value | 'damaged'> => {
  try {
    return await read
  } catch (error) {
    if (!isDamage(error)) throw error
    tell(error)
    return 'damaged'
  }
}

/** The record names the digest of all bytes of the one before it. */
const brokenChain = (record: RecoveryPoint, firstDigests: ReadonlyMap<string, string>): VaultError | null => {
  const expected = record.previous?.digest ?? undefined
  const actual = firstDigests.get(record.previous?.recoveryPointId ?? '')
  if (expected === undefined || actual === undefined || actual === expected) return null
  const name = nameOf(record, record.revision)
  return new VaultError({ code: 'digest-mismatch', name, place: 0, expected, actual })
}

const nameOf = ({ vmKey, recoveryPointId }: RecoveryPointKey, revision: number): string =>
  recoveryPointName(vmKey, recoveryPointId, revision)
