import assert from 'node:assert/strict'
import type { CommittedDisk, RecoveryPoint } from '../domain/recovery-point.ts'
import type { KeyRing } from '../format/data-key.ts'
import { VaultError } from '../format/vault-error.ts'
import type { BlobReader } from '../ports/blob-store.ts'
import type { DiskWriter } from '../ports/disk-writer.ts'
import { callOptions } from './objects.ts'
import { type RestoreLane, restoreLane } from './restore-lane.ts'
import { createRestoreParts, cutPieces } from './restore-parts.ts'
import { openStack } from './stack.ts'

/** Which disk is written, from which offset on. */
export interface RestoreRangeRequest {
  readonly recoveryPoint: RecoveryPoint
  readonly disk: string
  readonly fromOffsetBytes: number
  /** Stops soon after that many bytes were written; zeros cost nothing. */
  readonly budgetBytes: number
  readonly signal?: AbortSignal
}

/** How far the disk is, in bytes of the raw disk. `writtenBytes`: without the zeros that were passed over. */
export interface RestoredRange {
  /** `written`: the disk is complete up to its end; the footer is still to be written. */
  readonly kind: 'more' | 'written'
  /** Everything before it is written. */
  readonly nextOffsetBytes: number
  readonly writtenBytes: number
}

/** What is read and written; without `keys` frames that are encrypted are refused. */
export interface RestoreRangeDeps {
  readonly vault: BlobReader
  readonly writer: DiskWriter
  readonly keys?: KeyRing
  /** Starts more lanes, in other threads: as many as there are at the time. Where it is absent, one lane does it all. */
  readonly startLanes?: (lane: RestoreLane) => readonly Promise<void>[]
}

/** Writes a part of one disk into a fresh target that reads as zeros. Written again, from any offset, it does no harm. Nothing is in flight
 * when it ends, in whatever way.
 * @throws VaultError where stored bytes are damaged: nothing unproven is written; SourceError and StorageError of the ports */
export const restoreRange = async (
  deps: RestoreRangeDeps,
  { recoveryPoint, disk: label, fromOffsetBytes, budgetBytes, signal }: RestoreRangeRequest,
): Promise<RestoredRange> => {
  const disk = committedDisk(recoveryPoint, label)
  const window = { offsetBytes: fromOffsetBytes, lengthBytes: disk.sizeBytes - fromOffsetBytes }
  assert(window.offsetBytes >= 0 && window.lengthBytes >= 0, 'the offset lies on the disk')
  const { layers } = await openStack(deps.vault, disk, callOptions(signal))
  const pieces = cutPieces(layers, window, budgetBytes)
  let lanes = 1
  const parts = createRestoreParts(fromOffsetBytes, pieces, budgetBytes, () => lanes)
  await allOrNone(signal, (until) => {
    const nextPart: RestoreLane['nextPart'] = async (written) => parts.take(written)
    const lane = { disk, budgetBytes, nextPart, signal: until }
    const elsewhere = pieces.length > 1 ? (deps.startLanes?.(lane) ?? []) : []
    lanes += elsewhere.length
    const known = elsewhere.map((ended) => ended.catch((error: unknown) => Promise.reject(knownHere(error, deps.keys))))
    return [restoreLane(deps, lane), ...known]
  })
  const { nextOffsetBytes, writtenBytes } = parts.result()
  const kind = nextOffsetBytes === disk.sizeBytes ? 'written' : 'more'
  return { kind, nextOffsetBytes, writtenBytes }
}

/** @throws AssertionError where the recovery point has no such disk */
const committedDisk = (recoveryPoint: RecoveryPoint, disk: string): CommittedDisk => {
  const found = recoveryPoint.disks.find((candidate) => candidate.disk === disk)
  assert(found !== undefined, `the recovery point has no disk ${disk}`)
  return found
}

/** Waits for all lanes; where one fails, the others are ended, and its error is thrown when they have.
 * @param start is given the signal that ends them */
const allOrNone = async (
  signal: AbortSignal | undefined,
  start: (until: AbortSignal) => readonly Promise<void>[],
): Promise<void> => {
  const end = new AbortController()
  const until = signal === undefined ? end.signal : AbortSignal.any([signal, end.signal])
  const failures: unknown[] = []
  const lanes = start(until).map((lane) =>
    lane.catch((error: unknown) => {
      failures.push(error)
      end.abort()
    }),
  )
  await Promise.all(lanes)
  if (failures.length > 0) throw failures[0]
}

/** Other threads are given the keys that could be opened. Why one could not be is known here alone. */
const knownHere = (error: unknown, keys: KeyRing | undefined): unknown => {
  if (keys === undefined || !(error instanceof VaultError) || error.fault.code !== 'key-missing') return error
  try {
    keys.find(error.fault.keyId)
    return error
  } catch (reason) {
    return reason
  }
}
