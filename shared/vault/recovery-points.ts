import type { RecoveryPoint } from '../domain/recovery-point.ts'
import { digestHex } from '../format/digest.ts'
import { recoveryPointName, recoveryPointsPrefix, revisionsPrefix } from '../format/names.ts'
import { isDamage, VaultError } from '../format/vault-error.ts'
import { parseVaultName } from '../format/vault-name.ts'
import { type BlobReader, type CallOptions, type ObjectReader, StorageError } from '../ports/blob-store.ts'
import { type CommitRecord, parseCommitRecord } from './recovery-point-schema.ts'

/** A recovery point by its VM and its id. */
export interface RecoveryPointKey {
  readonly vmKey: string
  readonly recoveryPointId: string
}

/** A commit record as it was read. */
export interface FoundRecoveryPoint {
  readonly recoveryPoint: RecoveryPoint
  /** SHA-256 of all bytes of the FIRST revision, hex: what the next record names as `previous`. Null where that revision is damaged or gone: later ones
   * say by themselves what is to be restored, and what the chain should hold is unknown. */
  readonly digest: string | null
}

interface ListedRecoveryPoint {
  readonly recoveryPointId: string
  readonly revision: number
}

/** Names of the VM's recovery points with their newest revision, in order of id, which is the order of their times. Aborted and expired
 * ones are only told apart when they are read. */
export async function* listRecoveryPoints(
  reader: BlobReader,
  vmKey: string,
  options: CallOptions = {},
): AsyncGenerator<ListedRecoveryPoint> {
  let last: ListedRecoveryPoint | null = null
  for await (const { name } of reader.list(recoveryPointsPrefix(vmKey), options)) {
    const parsed = parseVaultName(name)
    if (parsed.kind !== 'recoveryPoint') continue
    const { recoveryPointId, revision } = parsed
    if (last !== null && last.recoveryPointId !== recoveryPointId) yield last
    last = { recoveryPointId, revision }
  }
  if (last !== null) yield last
}

const newestFirst = async (
  reader: BlobReader,
  vmKey: string,
  options: CallOptions,
): Promise<readonly ListedRecoveryPoint[]> => {
  const listed: ListedRecoveryPoint[] = []
  for await (const entry of listRecoveryPoints(reader, vmKey, options)) listed.push(entry)
  return listed.reverse()
}

/** One recovery point, its newest revision; null where it does not exist, was aborted or has expired. @throws VaultError */
export const readRecoveryPoint = async (
  reader: BlobReader,
  key: RecoveryPointKey,
  options: CallOptions = {},
): Promise<FoundRecoveryPoint | null> => {
  const newest = await newestRevision(reader, key, options)
  return newest === 0 ? null : readNewest(reader, key, newest, options)
}

/** One recovery point as it is, of which a revision was read before: that one where it still is the newest, as revisions never change.
 * @throws VaultError */
export const rereadRecoveryPoint = async (
  reader: BlobReader,
  seen: RecoveryPoint,
  options: CallOptions = {},
): Promise<RecoveryPoint | null> => {
  const newest = await newestRevision(reader, seen, options)
  if (newest === seen.revision) return seen
  return newest === 0 ? null : ((await readNewest(reader, seen, newest, options))?.recoveryPoint ?? null)
}

/** The highest revision there is; 0 where there is none. */
export const newestRevision = async (
  reader: BlobReader,
  key: RecoveryPointKey,
  options: CallOptions,
): Promise<number> => {
  let newest = 0
  for await (const { name } of reader.list(revisionsPrefix(key.vmKey, key.recoveryPointId), options)) {
    const parsed = parseVaultName(name)
    if (parsed.kind === 'recoveryPoint') newest = parsed.revision
  }
  return newest
}

/** The VM's recovery points that can be restored, in order of id; the others are passed over. Reads each record. @throws VaultError */
export async function* listLiveRecoveryPoints(
  reader: BlobReader,
  vmKey: string,
  options: CallOptions = {},
): AsyncGenerator<FoundRecoveryPoint> {
  for await (const { recoveryPointId, revision } of listRecoveryPoints(reader, vmKey, options)) {
    const found = await readNewest(reader, { vmKey, recoveryPointId }, revision, options)
    if (found !== null) yield found
  }
}

/** @param newest the highest revision there is. A record that is gone since it was listed has expired, as nothing else is removed. */
const readNewest = async (
  reader: BlobReader,
  key: RecoveryPointKey,
  newest: number,
  options: CallOptions,
): Promise<FoundRecoveryPoint | null> => {
  const found = await readRevision(reader, key, newest, options)
  if (found === null || !('disks' in found.record)) return null
  const first = newest === 1 ? found : await readFirst(reader, key, options)
  if (first === null) return readWithoutFirst(reader, key, found.record, options)
  if (first === 'damaged') return { recoveryPoint: found.record, digest: null }
  if (!('disks' in first.record)) throw revisedFence(key)
  return { recoveryPoint: found.record, digest: first.digest }
}

/** A first revision goes before the newest one alone where the recovery point has ended; else it was lost, and the newest one says by itself what is to
 * be restored. */
const readWithoutFirst = async (
  reader: BlobReader,
  key: RecoveryPointKey,
  found: RecoveryPoint,
  options: CallOptions,
): Promise<FoundRecoveryPoint | null> => {
  const newest = await newestRevision(reader, key, options)
  if (newest === found.revision) return { recoveryPoint: found, digest: null }
  return newest === 0 ? null : readNewest(reader, key, newest, options)
}

/** For the chain alone, where there is a later revision. */
const readFirst = async (
  reader: BlobReader,
  key: RecoveryPointKey,
  options: CallOptions,
): Promise<Awaited<ReturnType<typeof readRevision>> | 'damaged'> => {
  try {
    return await readRevision(reader, key, 1, options)
  } catch (error) {
    if (!isDamage(error)) throw error
    return 'damaged'
  }
}

/** The VM's newest recovery point, aborted and expired ones passed over; null where there is none. */
export const latestRecoveryPoint = async (
  reader: BlobReader,
  vmKey: string,
  options: CallOptions = {},
): Promise<FoundRecoveryPoint | null> => {
  for (const { recoveryPointId, revision } of await newestFirst(reader, vmKey, options)) {
    const found = await readNewest(reader, { vmKey, recoveryPointId }, revision, options)
    if (found !== null) return found
  }
  return null
}

/** The VM's newest recovery point whose record can be read, how many newer ones are damaged, and the ids of all that were ever decided: also of
 * aborted and expired ones, as a name stays for each. For backups: under an immutability policy a
 * damaged record cannot be removed, and must not keep the VM from being protected. A record of a later format is no damage.
 * @throws VaultError `unsupported-version` */
export const latestReadableRecoveryPoint = async (
  reader: BlobReader,
  vmKey: string,
  options: CallOptions = {},
): Promise<LatestReadable> => {
  let damaged = 0
  const listed = await newestFirst(reader, vmKey, options)
  const decided = listed.map(({ recoveryPointId }) => recoveryPointId)
  for (const { recoveryPointId, revision } of listed) {
    try {
      const found = await readNewest(reader, { vmKey, recoveryPointId }, revision, options)
      if (found !== null) return { found, damaged, decided }
    } catch (error) {
      if (!isDamage(error)) throw error
      damaged += 1
    }
  }
  return { found: null, damaged, decided }
}

interface LatestReadable {
  readonly found: FoundRecoveryPoint | null
  readonly damaged: number
  readonly decided: readonly string[]
}

/** One revision with the digest of all its bytes. */
export const readRevision = async (
  reader: ObjectReader,
  key: RecoveryPointKey,
  revision: number,
  options: CallOptions,
): Promise<{ readonly record: CommitRecord; readonly digest: string } | null> => {
  const name = recoveryPointName(key.vmKey, key.recoveryPointId, revision)
  const content = await reader.read(name, options).catch((error: unknown) => {
    throw isTooLarge(error) ? tooLong(name, error) : error
  })
  if (content === null) return null
  return { record: parseCommitRecord(content.bytes, name, { ...key, revision }), digest: digestHex(content.bytes) }
}

/** A record has 64 MiB at most, which is what a store reads as a whole. */
const isTooLarge = (error: unknown): boolean => error instanceof StorageError && error.fault.code === 'too-large'

const tooLong = (name: string, cause: unknown): VaultError =>
  new VaultError({ code: 'malformed', name, place: 0, detail: 'it is longer than a record may be' }, { cause })

const revisedFence = (key: RecoveryPointKey): VaultError =>
  new VaultError({
    code: 'malformed',
    name: recoveryPointName(key.vmKey, key.recoveryPointId, 1),
    place: 0,
    detail: 'a fence has no later revisions',
  })
