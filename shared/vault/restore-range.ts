import assert from 'node:assert/strict'
import type { CommittedDisk, RecoveryPoint } from '../domain/recovery-point.ts'
import type { KeyRing } from '../format/data-key.ts'
import type { BlobReader, CallOptions } from '../ports/blob-store.ts'
import type { DiskWriter } from '../ports/disk-writer.ts'
import { callOptions } from './objects.ts'
import { openStack, readStack } from './stack.ts'
import { createWriteJoiner } from './write-joiner.ts'

export interface RestoreRangeRequest {
  readonly recoveryPoint: RecoveryPoint
  readonly disk: string
  readonly fromOffsetBytes: number
  /** Stops soon after that many bytes were written; zeros cost nothing. */
  readonly budgetBytes: number
  readonly signal?: AbortSignal
}

export interface RestoredRange {
  /** `written`: the disk is complete up to its end; the footer is still to be written. */
  readonly kind: 'more' | 'written'
  /** Everything before it is written. */
  readonly nextOffsetBytes: number
  readonly writtenBytes: number
}

/** Writes a part of one disk into a fresh target that reads as zeros. Written again, from any offset, it does no harm.
 * @throws VaultError where stored bytes are damaged: nothing unproven is written; SourceError and StorageError of the ports */
export const restoreRange = async (
  deps: { readonly vault: BlobReader; readonly writer: DiskWriter; readonly keys?: KeyRing },
  request: RestoreRangeRequest,
): Promise<RestoredRange> => {
  const options = callOptions(request.signal)
  const disk = committedDisk(request.recoveryPoint, request.disk)
  const keys = deps.keys === undefined ? {} : { keys: deps.keys }
  const stack = await openStack(deps.vault, disk, { ...options, ...keys })
  const window = { offsetBytes: request.fromOffsetBytes, lengthBytes: disk.sizeBytes - request.fromOffsetBytes }
  assert(window.offsetBytes >= 0 && window.lengthBytes >= 0, 'the offset lies on the disk')
  return writeParts(deps.writer, readStack(stack, window, options), request, disk, options)
}

/** @throws AssertionError where the recovery point has no such disk */
const committedDisk = (recoveryPoint: RecoveryPoint, disk: string): CommittedDisk => {
  const found = recoveryPoint.disks.find((candidate) => candidate.disk === disk)
  assert(found !== undefined, `the recovery point has no disk ${disk}`)
  return found
}

const writeParts = async (
  writer: DiskWriter,
  parts: ReturnType<typeof readStack>,
  request: RestoreRangeRequest,
  disk: CommittedDisk,
  options: CallOptions,
): Promise<RestoredRange> => {
  const joiner = createWriteJoiner(writer, options)
  let nextOffsetBytes = request.fromOffsetBytes
  try {
    for await (const part of parts) {
      if (part.bytes !== null) await joiner.add(part.offsetBytes, part.bytes)
      nextOffsetBytes = part.offsetBytes + part.lengthBytes
      if (joiner.writtenBytes >= request.budgetBytes) break
    }
    await joiner.finish()
  } finally {
    await joiner.settle()
  }
  const kind = nextOffsetBytes === disk.sizeBytes ? 'written' : 'more'
  return { kind, nextOffsetBytes, writtenBytes: joiner.writtenBytes }
}
