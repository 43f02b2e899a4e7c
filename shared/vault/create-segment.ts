import { type CallOptions, type ObjectCreator, StorageError } from '../ports/blob-store.ts'

/** Creates a segment under a name that belongs to one run. Where it exists, an earlier try of this very call had taken effect, unless the
 * attempt's marker was lost and its number given to two runs: then the other's bytes lie there, and an index of this run would name frames
 * that are not its own. The trailer tells, as it holds the digest of the directory and that the digests of all frames.
 * @param parts of the whole object; the last one is the trailer
 * @throws Error where other bytes lie there; another try takes another attempt number */
export const createSegment = async (
  vault: ObjectCreator,
  name: string,
  parts: readonly Uint8Array[],
  options: CallOptions,
): Promise<void> => {
  if ((await vault.create(name, parts, options)) === 'created') return
  const trailer = parts.at(-1)!
  const lengthBytes = parts.reduce((sum, part) => sum + part.length, 0)
  const stored = await vault
    .readRange(name, lengthBytes - trailer.length, trailer.length, options)
    .catch((error: unknown) => {
      if (error instanceof StorageError && error.fault.code === 'short-object') return null
      throw error
    })
  if (stored === null || Buffer.compare(stored, trailer) !== 0)
    throw new Error(
      `The segment ${name} was written by another run. The step is repeated under another attempt number.`,
    )
}
