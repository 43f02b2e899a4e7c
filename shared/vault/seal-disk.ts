import assert from 'node:assert/strict'
import type { DiskReport } from '../domain/job.ts'
import type { LayerReference } from '../domain/recovery-point.ts'
import { digestBytes, hexOf } from '../format/digest.ts'
import { footerTailBytes, type IndexTotals } from '../format/index-footer.ts'
import { type DiskKey, layerIdOf, layerName } from '../format/names.ts'
import { VaultError } from '../format/vault-error.ts'
import type { BlobCreator, BlobReader, CallOptions } from '../ports/blob-store.ts'
import { assembleLayer, noTotals } from './assemble-layer.ts'
import { type DiskPlan, requireDiskPlan } from './disk-plan.ts'
import { callOptions, readExactly } from './objects.ts'

export interface SealDiskRequest extends DiskKey {
  /** The base's stack, newest first; not used by a full transfer. */
  readonly parentStack: readonly LayerReference[]
  /** Passed on to the report. */
  readonly fullReason: string | null
  /** A larger layer is uploaded in parts of about this size. */
  readonly partBytes?: number
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
  const assembly = assembleLayer(deps.vault, plan, options)
  const parts = inParts(assembly.pieces(), request.partBytes ?? partBytesDefault)
  const created = await createLayer(deps.vault, layerName(layerIdOf(plan)), parts, options)
  const { layer, totals, indexBytes } = assembly.assembled() ?? (await sealAside(deps.vault, plan, options))
  if (created === 'exists') await checkTwin(deps.vault, layer, options)
  const storedBytes = totals.segmentBytes + indexBytes + layer.lengthBytes
  return { kind: 'sealed', stack: [layer, ...parents], layer, report: reportOf(plan, request, totals, storedBytes) }
}

/** What the layer would be, for a store that saw it exists and did not take all of it. */
const sealAside = async (vault: BlobReader, plan: DiskPlan, options: CallOptions) => {
  const assembly = assembleLayer(vault, plan, options)
  for await (const piece of assembly.pieces()) assert(piece.length > 0)
  const assembled = assembly.assembled()
  assert(assembled !== null)
  return assembled
}

/** One call for a layer up to this size; parts of this size for a larger one (a blob takes 50,000 of them). */
const partBytesDefault = 8 * 1024 * 1024

const createLayer = async (
  vault: BlobCreator,
  name: string,
  parts: AsyncGenerator<Uint8Array, undefined>,
  options: CallOptions,
): Promise<'created' | 'exists'> => {
  const first = await parts.next()
  assert(!first.done, 'a layer has a footer at least')
  const second = await parts.next()
  if (second.done) return vault.create(name, [first.value], options)
  async function* all(head: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
    yield* head
    yield* parts
  }
  return vault.createFromStream(name, all([first.value, second.value]), options)
}

async function* inParts(pieces: AsyncIterable<Uint8Array>, partBytes: number): AsyncGenerator<Uint8Array, undefined> {
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
  joinedBytes: totals.joinedBytes,
  storedPlainBytes: totals.dataBytes,
  storedBytes,
  milliseconds: totals.milliseconds,
  reason: null,
  hint: null,
})
