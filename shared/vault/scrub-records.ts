import type { CommittedDisk, RecoveryPoint } from '../domain/recovery-point.ts'
import { recoveryPointName } from '../format/names.ts'
import { VaultError } from '../format/vault-error.ts'
import type { BlobReader, CallOptions } from '../ports/blob-store.ts'
import { listRecoveryPoints, type RecoveryPointKey, readRevision } from './recovery-points.ts'

/** A recovery point that can be restored, as far as its record tells. */
export interface CheckedPoint {
  readonly recoveryPointId: string
  readonly keyId: string | null
  readonly disks: readonly Pick<CommittedDisk, 'disk' | 'sizeBytes' | 'stack' | 'sidecar'>[]
}

export interface DamagedRecord {
  readonly recoveryPointId: string
  readonly error: VaultError
  /** False for an older revision below a whole newest one, which alone says what is to be restored. */
  readonly isNeeded: boolean
}

export interface CheckedRecords {
  readonly points: readonly CheckedPoint[]
  readonly damaged: readonly DamagedRecord[]
}

/** Reads and proves what a restore needs of the VM's commit records, the newest revisions and the first ones, and the chain that runs through the
 * first ones. Where the first one is gone, the recovery point cannot be restored; where it is damaged below a later one, it can, and is checked.
 * A record that is gone leaves no trace: it may have ended and been collected.
 * @throws VaultError `unsupported-version` where a record is of a later format */
export const checkRecords = async (vault: BlobReader, vmKey: string, options: CallOptions): Promise<CheckedRecords> => {
  const points: CheckedPoint[] = []
  const damaged: DamagedRecord[] = []
  const firstDigests = new Map<string, string>()
  for await (const { recoveryPointId, revision } of listRecoveryPoints(vault, vmKey, options)) {
    const key = { vmKey, recoveryPointId }
    const tell = (error: VaultError, isNeeded = true): void => void damaged.push({ recoveryPointId, error, isNeeded })
    const found = await orTold(readRevision(vault, key, revision, options), tell)
    if (found === null || (found !== 'damaged' && !('disks' in found.record))) continue
    const tellFirst = (error: VaultError): void => tell(error, found === 'damaged')
    const first = revision === 1 ? found : await orTold(readRevision(vault, key, 1, options), tellFirst)
    if (first !== null && first !== 'damaged') firstDigests.set(recoveryPointId, first.digest)
    if (found === 'damaged' || !('disks' in found.record)) continue
    if (first === null) {
      tell(new VaultError({ code: 'object-missing', name: nameOf(key, 1) }))
      continue
    }
    const broken = first === 'damaged' ? null : brokenChain(found.record, firstDigests)
    if (broken !== null) tell(broken)
    points.push(found.record)
  }
  return { points, damaged }
}

const orTold = async <Value>(read: Promise<Value>, tell: (error: VaultError) => void): Promise<Value | 'damaged'> => {
  try {
    return await read
  } catch (error) {
    if (!(error instanceof VaultError) || error.fault.code === 'unsupported-version') throw error
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
