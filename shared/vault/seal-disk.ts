import type { DiskReport } from '../domain/job.ts'
import type { LayerReference } from '../domain/recovery-point.ts'
import { digestBytes, hexOf } from '../format/digest.ts'
import { encodeIndexFooter, type FenceKey, footerTailBytes, type IndexTotals } from '../format/index-footer.ts'
import { type DiskKey, layerIdOf, layerName, sliceIndexName } from '../format/names.ts'
import { VaultError } from '../format/vault-error.ts'
import type { BlobCreator, BlobReader, CallOptions } from '../ports/blob-store.ts'
import { type DiskPlan, requireDiskPlan } from './disk-plan.ts'
import { callOptions, readExactly } from './objects.ts'
import { readSliceIndex, type SliceIndex } from './slice-index.ts'

export interface SealDiskRequest extends DiskKey {
  /** The base's stack, newest first; not used by a full transfer. */
  readonly parentStack: readonly LayerReference[]
  /** Passed on to the report. */
  readonly fullReason: string | null
  readonly signal?: AbortSignal
}

export interface SealedDisk {
  readonly kind: 'sealed'
  /** For the commit record, newest first. */
  readonly stack: readonly LayerReference[]
  /** Null where nothing changed: no object is made and the stack is the base's. */
  readonly layer: LayerReference | null
  readonly report: DiskReport
}

/** Makes one layer of the slices of a disk. Key: (recoveryPointId, disk): the bytes follow from the slice indexes alone, so a second
 * sealer finds what it would have made, and that is checked. Memory is that of one slice index and one part.
 * @throws VaultError `object-missing` while a slice is not committed, `twin-differs` where another layer lies under the name */
export const sealDisk = async (
  deps: { readonly vault: BlobCreator; readonly control: BlobReader },
  request: SealDiskRequest,
): Promise<SealedDisk> => {
  const options = callOptions(request.signal)
  const plan = await requireDiskPlan(deps.control, request, options)
  const parents = plan.transfer === 'full' ? [] : request.parentStack
  if (plan.slices === 0)
    return { kind: 'sealed', stack: parents, layer: null, report: reportOf(plan, request, noTotals, 0) }
  const sealing = beginSealing(deps.vault, plan, options)
  const created = await createLayer(deps.vault, layerName(layerIdOf(plan)), sealing.parts(), options)
  const { layer, totals, indexBytes } = sealing.sealed()
  if (created === 'exists') await checkTwin(deps.vault, layer, options)
  const storedBytes = totals.segmentBytes + indexBytes + layer.lengthBytes
  return { kind: 'sealed', stack: [layer, ...parents], layer, report: reportOf(plan, request, totals, storedBytes) }
}

/** Sums of bytes and counts; the rest of a footer is not summed. */
const noTotals: IndexTotals = {
  segments: 0,
  changedBytes: 0,
  readBytes: 0,
  readCalls: 0,
  dataBytes: 0,
  zeroBytes: 0,
  segmentBytes: 0,
  milliseconds: 0,
  frames: 0,
  runs: 0,
}

const plus = (sum: IndexTotals, slice: IndexTotals): IndexTotals => ({
  segments: sum.segments + slice.segments,
  changedBytes: sum.changedBytes + slice.changedBytes,
  readBytes: sum.readBytes + slice.readBytes,
  readCalls: sum.readCalls + slice.readCalls,
  dataBytes: sum.dataBytes + slice.dataBytes,
  zeroBytes: sum.zeroBytes + slice.zeroBytes,
  segmentBytes: sum.segmentBytes + slice.segmentBytes,
  milliseconds: sum.milliseconds + slice.milliseconds,
  frames: sum.frames + slice.frames,
  runs: sum.runs + slice.runs,
})

/** A layer as it streams out, and what it came to once it has. */
const beginSealing = (vault: BlobReader, plan: DiskPlan, options: CallOptions) => {
  const fences: FenceKey[] = []
  let totals = noTotals
  let frameCapacityBytes = 0
  let indexBytes = 0
  let shardBytes = 0
  let footer = Buffer.alloc(0)
  async function* parts(): AsyncGenerator<Uint8Array> {
    for (let slice = 0; slice < plan.slices; slice += 1) {
      const index = await requireSliceIndex(vault, plan, slice, options)
      for (const { fence, bytes } of provenShards(index)) {
        fences.push({ ...fence, placeBytes: shardBytes, digest: Buffer.from(fence.digest) })
        shardBytes += bytes.length
        yield bytes
      }
      totals = plus(totals, index.footer)
      frameCapacityBytes = Math.max(frameCapacityBytes, index.footer.frameCapacityBytes)
      indexBytes += index.bytes.length
    }
    const { recoveryPointId, disk, slices, sizeBytes } = plan
    const head = { kind: 'layer' as const, recoveryPointId, disk, slice: slices, attempt: 0, frameCapacityBytes }
    footer = Buffer.from(encodeIndexFooter({ ...head, diskBytes: sizeBytes, ...totals }, fences))
    yield footer
  }
  const sealed = () => {
    const digest = hexOf(digestBytes(footer.subarray(0, footer.length - footerTailBytes)))
    const lengthBytes = shardBytes + footer.length
    const layer = { layerId: layerIdOf(plan), lengthBytes, footerBytes: footer.length, digest }
    return { layer, totals, indexBytes }
  }
  return { parts, sealed }
}

const requireSliceIndex = async (
  vault: BlobReader,
  plan: DiskPlan,
  slice: number,
  options: CallOptions,
): Promise<SliceIndex> => {
  const key = { recoveryPointId: plan.recoveryPointId, disk: plan.disk, slice }
  const index = await readSliceIndex(vault, key, options)
  if (index === null) throw new VaultError({ code: 'object-missing', name: sliceIndexName(key) })
  return index
}

function* provenShards(index: SliceIndex): Generator<{ fence: FenceKey; bytes: Uint8Array }> {
  for (let number = 0; number < index.footer.shards; number += 1) {
    const fence = index.footer.fence(number)
    const bytes = index.bytes.subarray(fence.placeBytes, fence.placeBytes + fence.lengthBytes)
    const actual = hexOf(digestBytes(bytes))
    const expected = hexOf(fence.digest)
    if (actual !== expected)
      throw new VaultError({ code: 'digest-mismatch', name: index.name, place: fence.placeBytes, expected, actual })
    yield { fence, bytes }
  }
}

/** One call for a layer up to this size; parts of this size for a larger one (a blob takes 50,000 of them). */
const partBytes = 8 * 1024 * 1024

const createLayer = async (
  vault: BlobCreator,
  name: string,
  pieces: AsyncIterable<Uint8Array>,
  options: CallOptions,
): Promise<'created' | 'exists'> => {
  const parts = inParts(pieces)
  const first = await parts.next()
  const second = await parts.next()
  if (first.done) return vault.create(name, [], options)
  if (second.done) return vault.create(name, [first.value], options)
  async function* all(): AsyncGenerator<Uint8Array> {
    yield first.value as Uint8Array
    yield second.value as Uint8Array
    yield* parts
  }
  return vault.createFromStream(name, all(), options)
}

async function* inParts(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, undefined> {
  let gathered: Uint8Array[] = []
  let lengthBytes = 0
  for await (const piece of pieces) {
    gathered.push(piece)
    lengthBytes += piece.length
    if (lengthBytes < partBytes) continue
    yield Buffer.concat(gathered)
    gathered = []
    lengthBytes = 0
  }
  if (lengthBytes > 0) yield Buffer.concat(gathered)
  return undefined
}

/** The footer proves everything before it, so equal footers are equal layers. */
const checkTwin = async (vault: BlobReader, layer: LayerReference, options: CallOptions): Promise<void> => {
  const name = layerName(layer.layerId)
  const range = { offsetBytes: layer.lengthBytes - layer.footerBytes, lengthBytes: layer.footerBytes }
  const footer = await readExactly(vault, name, range, options)
  const digest = hexOf(digestBytes(footer.subarray(0, footer.length - footerTailBytes)))
  if (digest !== layer.digest) throw new VaultError({ code: 'twin-differs', name })
}

const reportOf = (plan: DiskPlan, request: SealDiskRequest, totals: IndexTotals, storedBytes: number): DiskReport => ({
  disk: plan.disk,
  kind: 'transferred',
  transfer: plan.transfer,
  fullReason: request.fullReason,
  sizeBytes: plan.sizeBytes,
  allocatedBytes: plan.transfer === 'full' ? plan.changedBytes : null,
  changedBytes: plan.changedBytes,
  readBytes: totals.readBytes,
  storedPlainBytes: totals.dataBytes,
  storedBytes,
  milliseconds: totals.milliseconds,
  reason: null,
  hint: null,
})
