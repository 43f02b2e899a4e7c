import type { Extent } from '../domain/extent.ts'
import type { CommittedDisk } from '../domain/recovery-point.ts'
import type { KeyRing } from '../format/data-key.ts'
import type { CallOptions, ObjectReader } from '../ports/blob-store.ts'
import type { DiskWriter } from '../ports/disk-writer.ts'
import { dropKeptMemory } from './kept-memory.ts'
import { callOptions } from './objects.ts'
import { type OpenStack, openStack, readStackInGroups } from './stack.ts'
import { createWriteJoiner } from './write-joiner.ts'

/** One of several that write a disk at the same time, each a part at a time. */
export interface RestoreLane {
  readonly disk: CommittedDisk
  /** A part ends soon after so many bytes of it were written. */
  readonly budgetBytes: number
  /** Told what came of the part before, null at first. @returns null where nothing is left to do */
  readonly nextPart: (written: WrittenPart | null) => Promise<Extent | null>
  readonly signal?: AbortSignal
}

/** How far a part of the disk is, in bytes of the raw disk. `writtenBytes`: without the zeros that were passed over. */
export interface WrittenPart {
  readonly offsetBytes: number
  /** All of the part before it is written. */
  readonly nextOffsetBytes: number
  readonly writtenBytes: number
}

/** What a lane reads and writes; without `keys` frames that are encrypted are refused. */
export interface RestoreLaneDeps {
  readonly vault: ObjectReader
  readonly writer: DiskWriter
  readonly keys?: KeyRing
}

/** Writes parts of a disk until none is left; most frames are expanded into the write itself. Memory: some 22 MiB, whatever the size of the
 * disk. Nothing is in flight when it ends, in whatever way.
 * @throws VaultError where stored bytes are damaged: nothing unproven is written; SourceError and StorageError of the ports */
export const restoreLane = async (deps: RestoreLaneDeps, lane: RestoreLane): Promise<void> => {
  const options = callOptions(lane.signal)
  const keys = deps.keys === undefined ? {} : { keys: deps.keys }
  const stack = await openStack(deps.vault, lane.disk, { ...options, ...keys })
  let written: WrittenPart | null = null
  for (let part = await lane.nextPart(null); part !== null; part = await lane.nextPart(written))
    written = await writePart(deps.writer, stack, part, lane, options)
  dropKeptMemory()
}

const writePart = async (
  writer: DiskWriter,
  stack: OpenStack,
  part: Extent,
  { budgetBytes }: RestoreLane,
  options: CallOptions,
): Promise<WrittenPart> => {
  const joiner = createWriteJoiner(writer, options)
  let nextOffsetBytes = part.offsetBytes
  try {
    for await (const parts of readStackInGroups(stack, part, { ...options, memoryAt: joiner.memoryAt })) {
      await joiner.add(parts)
      nextOffsetBytes = endOf(parts) ?? nextOffsetBytes
      if (joiner.writtenBytes >= budgetBytes) break
    }
    await joiner.finish()
  } finally {
    await joiner.settle()
  }
  return { offsetBytes: part.offsetBytes, nextOffsetBytes, writtenBytes: joiner.writtenBytes }
}

const endOf = (parts: readonly Extent[]): number | null => {
  const last = parts.at(-1)
  return last === undefined ? null : last.offsetBytes + last.lengthBytes
}
