import { randomBytes } from 'node:crypto'
import type { ContainerClient } from '@azure/storage-blob'
import { type CallOptions, type ObjectCreator, StorageError } from '../ports/blob-store.ts'
import { isThere } from './blob-reads.ts'
import { isConditionNotMet, withContainer } from './blob-writes.ts'
import { blockBytesMin, blocksOf, bodyOf } from './block-bodies.ts'
import { storageCodeOf } from './storage-faults.ts'
import { withTries } from './storage-tries.ts'

/** Azure Blob Storage: at most 50,000 blocks in one blob (Put Block List). */
const blocksPerBlobMax = 50_000

/** Creates one object from a stream, one or two blocks at a time in memory; see BlobCreator.createFromStream. Staged blocks become
 * visible together or, where the call fails, never: the service drops them after a week. */
export const createFromBlocks = async (
  container: ContainerClient,
  objects: ObjectCreator,
  name: string,
  parts: AsyncIterable<Uint8Array>,
  options?: CallOptions,
): Promise<'created' | 'exists'> => {
  const runId = randomBytes(8).toString('hex')
  const ids: string[] = []
  for await (const block of blocksOf(parts)) {
    // A block below the least size is the last one. Alone, it needs no staging: one request does it.
    if (ids.length === 0 && block.byteLength < blockBytesMin) return objects.create(name, [block], options)
    if (ids.length >= blocksPerBlobMax) throw new StorageError({ code: 'too-large', name })
    const id = blockIdOf(runId, ids.length)
    await stage(container, name, id, block, options)
    ids.push(id)
  }
  // An empty list would commit an empty object just as well, but not make a missing container.
  return ids.length === 0 ? objects.create(name, [], options) : commit(container, name, ids, options)
}

/** Ids of one blob must have one length (Put Block). They carry a text of this run's own: two writers of one name share the
 * blob's uncommitted blocks, and one must never commit the other's. */
const blockIdOf = (runId: string, index: number): string =>
  Buffer.from(`${runId}-${String(index).padStart(5, '0')}`).toString('base64')

const stage = async (
  container: ContainerClient,
  name: string,
  id: string,
  block: Uint8Array,
  options?: CallOptions,
): Promise<void> => {
  await withTries(name, block.byteLength, options, ({ abortSignal }) =>
    withContainer(container, abortSignal, () =>
      container.getBlockBlobClient(name).stageBlock(id, bodyOf([block]), block.byteLength, { abortSignal }),
    ),
  )
}

const commit = (
  container: ContainerClient,
  name: string,
  ids: string[],
  options?: CallOptions,
): Promise<'created' | 'exists'> =>
  withTries(name, 0, options, async ({ abortSignal }) => {
    const blob = container.getBlockBlobClient(name)
    try {
      await blob.commitBlockList(ids, { abortSignal, conditions: { ifNoneMatch: '*' } })
      return 'created'
    } catch (error) {
      if (isConditionNotMet(error)) return 'exists'
      // The commit of another writer drops our blocks, and the service may notice that first.
      if (storageCodeOf(error) === 'InvalidBlockList' && (await isThere(container, name, abortSignal))) return 'exists'
      throw error
    }
  })
