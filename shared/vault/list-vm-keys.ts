import { recoveryPointsRoot } from '../format/names.ts'
import { parseVaultName } from '../format/vault-name.ts'
import type { BlobEntry, BlobReader, CallOptions } from '../ports/blob-store.ts'

/** The keys of all VMs that have commit records, in the order of `listVms`. One listing call for each 5,000 records.
 * @param after only keys behind this one; null for all */
export async function* listVmKeys(
  reader: BlobReader,
  after: string | null,
  options: CallOptions = {},
): AsyncGenerator<string> {
  for await (const { vmKey } of listVms(reader, after, options)) yield vmKey
}

/** A VM with its commit records as they were listed. */
export interface ListedVm {
  readonly vmKey: string
  /** All revisions, in order of their names. */
  readonly records: readonly BlobEntry[]
}

/** All VMs that have commit records, in the order in which their records are listed: that of their keys with a `/` behind each. Memory: the
 * records of one VM.
 * @param after only keys behind this one; null for all */
export async function* listVms(
  reader: BlobReader,
  after: string | null,
  options: CallOptions = {},
): AsyncGenerator<ListedVm> {
  let last = null as { readonly vmKey: string; readonly records: BlobEntry[] } | null
  for await (const entry of reader.list(recoveryPointsRoot, options)) {
    const vmKey = entry.name.slice(recoveryPointsRoot.length, entry.name.indexOf('/', recoveryPointsRoot.length))
    if (after !== null && `${vmKey}/` <= `${after}/`) continue
    if (last?.vmKey === vmKey) last.records.push(entry)
    else {
      if (last !== null) yield last
      last = { vmKey, records: [entry] }
    }
  }
  if (last !== null) yield last
}

/** The newest revision of a commit record, as it was listed. */
export interface ListedPoint {
  readonly vmKey: string
  readonly recoveryPointId: string
  readonly revision: number
  readonly hasOlder: boolean
  readonly etag: string
}

/** The newest revision of each recovery point that has a record below a prefix, all of one VM; in order of id. */
export const listNewest = async (
  reader: BlobReader,
  prefix: string,
  options: CallOptions = {},
): Promise<readonly ListedPoint[]> => {
  const records: BlobEntry[] = []
  for await (const entry of reader.list(prefix, options)) records.push(entry)
  return newestOf({ records })
}

/** The newest revision of each recovery point, in order of id. */
export const newestOf = ({ records }: Pick<ListedVm, 'records'>): readonly ListedPoint[] => {
  const points: ListedPoint[] = []
  for (const { name, etag } of records) {
    const parsed = parseVaultName(name)
    if (parsed.kind !== 'recoveryPoint') continue
    const { vmKey, recoveryPointId, revision } = parsed
    const hasOlder = points.at(-1)?.recoveryPointId === recoveryPointId
    if (hasOlder) points.pop()
    points.push({ vmKey, recoveryPointId, revision, hasOlder, etag })
  }
  return points
}
