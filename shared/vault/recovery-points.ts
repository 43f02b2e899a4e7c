import type { RecoveryPoint } from '../domain/recovery-point.ts'
import { digestHex } from '../format/digest.ts'
import { recoveryPointName, recoveryPointsPrefix } from '../format/names.ts'
import { VaultError } from '../format/vault-error.ts'
import type { BlobReader, CallOptions } from '../ports/blob-store.ts'
import { type CommitRecord, parseCommitRecord } from './recovery-point-schema.ts'

export interface RecoveryPointKey {
  readonly vmKey: string
  readonly recoveryPointId: string
}

/** A commit record as it was read. */
export interface FoundRecoveryPoint {
  readonly recoveryPoint: RecoveryPoint
  /** SHA-256 of all bytes of the FIRST revision, hex: what the next record names as `previous`. */
  readonly digest: string
}

/** Names of the VM's recovery points with their newest revision, in order of id, which is the order of their times. An aborted one
 * is only told apart when it is read. */
export async function* listRecoveryPoints(
  reader: BlobReader,
  vmKey: string,
  options: CallOptions = {},
): AsyncGenerator<{ readonly recoveryPointId: string; readonly revision: number }> {
  const prefix = recoveryPointsPrefix(vmKey)
  let last: { recoveryPointId: string; revision: number } | null = null
  for await (const { name } of reader.list(prefix, options)) {
    const match = /^([a-z0-9.-]+)\/(\d{4})\.json$/.exec(name.slice(prefix.length))
    if (match === null) continue
    const [, recoveryPointId = '', revision] = match
    if (last !== null && last.recoveryPointId !== recoveryPointId) yield last
    last = { recoveryPointId, revision: Number(revision) }
  }
  if (last !== null) yield last
}

/** One recovery point, its newest revision; null where it does not exist or was aborted. @throws VaultError */
export const readRecoveryPoint = async (
  reader: BlobReader,
  key: RecoveryPointKey,
  options: CallOptions = {},
): Promise<FoundRecoveryPoint | null> => {
  const first = await readRevision(reader, key, 1, options)
  if (first === null || !('disks' in first.record)) return null
  let newest: RecoveryPoint = first.record
  for (;;) {
    const next = await readRevision(reader, key, newest.revision + 1, options)
    if (next === null) return { recoveryPoint: newest, digest: first.digest }
    if (!('disks' in next.record)) throw unexpectedAbort(key, newest.revision + 1)
    newest = next.record
  }
}

/** The VM's newest recovery point, aborted ones passed over; null where there is none. */
export const latestRecoveryPoint = async (
  reader: BlobReader,
  vmKey: string,
  options: CallOptions = {},
): Promise<FoundRecoveryPoint | null> => {
  const ids: string[] = []
  for await (const { recoveryPointId } of listRecoveryPoints(reader, vmKey, options)) ids.push(recoveryPointId)
  for (const recoveryPointId of ids.reverse()) {
    const found = await readRecoveryPoint(reader, { vmKey, recoveryPointId }, options)
    if (found !== null) return found
  }
  return null
}

/** The VM's newest recovery point whose record can be read, and how many newer ones are damaged. For backups: under an immutability policy a
 * damaged record cannot be removed, and must not keep the VM from being protected. A record of a later format is no damage.
 * @throws VaultError `unsupported-version` */
export const latestReadableRecoveryPoint = async (
  reader: BlobReader,
  vmKey: string,
  options: CallOptions = {},
): Promise<{ readonly found: FoundRecoveryPoint | null; readonly damaged: number }> => {
  const ids: string[] = []
  for await (const { recoveryPointId } of listRecoveryPoints(reader, vmKey, options)) ids.push(recoveryPointId)
  let damaged = 0
  for (const recoveryPointId of ids.reverse()) {
    try {
      const found = await readRecoveryPoint(reader, { vmKey, recoveryPointId }, options)
      if (found !== null) return { found, damaged }
    } catch (error) {
      if (!(error instanceof VaultError) || error.fault.code === 'unsupported-version') throw error
      damaged += 1
    }
  }
  return { found: null, damaged }
}

/** One revision with the digest of all its bytes. */
export const readRevision = async (
  reader: BlobReader,
  key: RecoveryPointKey,
  revision: number,
  options: CallOptions,
): Promise<{ readonly record: CommitRecord; readonly digest: string } | null> => {
  const name = recoveryPointName(key.vmKey, key.recoveryPointId, revision)
  const content = await reader.read(name, options)
  if (content === null) return null
  return { record: parseCommitRecord(content.bytes, name, { ...key, revision }), digest: digestHex(content.bytes) }
}

const unexpectedAbort = (key: RecoveryPointKey, revision: number): VaultError =>
  new VaultError({
    code: 'malformed',
    name: recoveryPointName(key.vmKey, key.recoveryPointId, revision),
    place: 0,
    detail: 'only a first revision can be a fence',
  })
