import type { BlobReader } from '../ports/blob-store.ts'

/** A reader that counts what it is asked for; one page of a listing is not told apart from another. */
export interface MeteredReader extends BlobReader {
  readonly calls: number
  readonly readBytes: number
}

/** Counts from 0. A call that fails counts as a call. */
export const meteredReader = (reader: BlobReader): MeteredReader => {
  let calls = 0
  let readBytes = 0
  return {
    get calls() {
      return calls
    },
    get readBytes() {
      return readBytes
    },
    read: async (name, options) => {
      calls += 1
      const content = await reader.read(name, options)
      readBytes += content?.bytes.length ?? 0
      return content
    },
    readRange: async (name, offsetBytes, lengthBytes, options) => {
      calls += 1
      const bytes = await reader.readRange(name, offsetBytes, lengthBytes, options)
      readBytes += bytes?.length ?? 0
      return bytes
    },
    list: (prefix, options) => {
      calls += 1
      return reader.list(prefix, options)
    },
  }
}
