import type { BlobReader, CallOptions } from '../ports/blob-store.ts'

const root = 'recovery-points/'

/** The keys of all VMs that have commit records, sorted. One listing call for each 5,000 records.
 * @param after only keys behind this one; null for all */
export async function* listVmKeys(
  reader: BlobReader,
  after: string | null,
  options: CallOptions = {},
): AsyncGenerator<string> {
  let last = after
  for await (const { name } of reader.list(root, options)) {
    const vmKey = name.slice(root.length, name.indexOf('/', root.length))
    if (last !== null && vmKey <= last) continue
    last = vmKey
    yield vmKey
  }
}
