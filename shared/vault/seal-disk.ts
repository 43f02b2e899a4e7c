import assert from 'node:assert/strict'
import type { DiskReport } from '../domain/job.ts'
import type { LayerReference } from '../domain/recovery-point.ts'
import type { IndexTotals } from '../format/index-footer.ts'
import { type DiskKey, layerIdOf, layerName } from '../format/names.ts'
import type { BlobCreator, BlobReader, CallOptions } from '../ports/blob-store.ts'
import { assembleLayer, noTotals, type SealedSlice } from './assemble-layer.ts'
import { checkTwin, createLayer } from './create-layer.ts'
import { type DiskPlan, requireDiskPlan } from './disk-plan.ts'
import { dropKeptMemory } from './kept-memory.ts'
import { callOptions } from './objects.ts'

/** The disk of a recovery point whose slices are all committed. */
export interface SealDiskRequest extends DiskKey {
  /** What the new layer lies on, newest first: the base's stack, or what the disk was compared with; not used by any other full transfer. */
  readonly parentStack: readonly LayerReference[]
  /** Passed on to the report. */
  readonly fullReason: string | null
  /** A larger layer is uploaded in parts of about this size. */
  readonly partBytes?: number
  readonly signal?: AbortSignal
}

/** What the disk's sealing made, the same for whoever seals it. */
export interface SealedDisk {
  readonly kind: 'sealed'
  /** For the commit record, newest first. */
  readonly stack: readonly LayerReference[]
  /** Null where nothing changed, or nothing differs from what the disk was compared with: no object is made and the stack is the base's. */
  readonly layer: LayerReference | null
  /** What the layer was made of; none where there is none. */
  readonly slices: readonly SealedSlice[]
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
  const parents = plan.transfer === 'full' && plan.comparedWith === null ? [] : request.parentStack
  if (plan.slices === 0) return sealUnchanged(plan, parents, request.fullReason)
  dropKeptMemory()
  const assembly = assembleLayer(deps.vault, plan, options)
  const name = layerName(layerIdOf(plan))
  const pieces = assembly.pieces()
  const first = await pieces.next()
  const nothing = assembly.assembled()
  if (nothing !== null && nothing.totals.runs === 0) {
    const report = reportOf(plan, request, nothing.totals, nothing.indexBytes)
    return { kind: 'sealed', stack: parents, layer: null, slices: [], report }
  }
  const created = await createLayer(deps.vault, name, startingWith(first, pieces), options, request.partBytes)
  const { layer, totals, indexBytes, slices } = assembly.assembled() ?? (await sealAside(deps.vault, plan, options))
  if (created === 'exists') await checkTwin(deps.vault, layer, options)
  const storedBytes = totals.segmentBytes + indexBytes + layer.lengthBytes
  const below = hidesAll(plan, totals) ? [] : parents
  const report = reportOf(plan, request, totals, storedBytes)
  return { kind: 'sealed', stack: [layer, ...below], layer, slices, report }
}

async function* startingWith<Value>(first: IteratorResult<Value>, rest: AsyncIterable<Value>): AsyncGenerator<Value> {
  if (!first.done) yield first.value
  yield* rest
}

/** True where nothing of what a disk was compared with is left to see: its new layer then stands alone. */
const hidesAll = ({ comparedWith, changedBytes }: DiskPlan, totals: IndexTotals): boolean =>
  comparedWith !== null && totals.changedBytes === changedBytes

/** What the layer would be, for a store that saw it exists and did not take all of it. */
const sealAside = async (vault: BlobReader, plan: DiskPlan, options: CallOptions) => {
  const assembly = assembleLayer(vault, plan, options)
  for await (const piece of assembly.pieces()) assert(piece.length > 0)
  const assembled = assembly.assembled()
  assert(assembled !== null)
  return assembled
}

/** The seal of a disk that has no slices follows from its plan. */
export const sealUnchanged = (
  plan: DiskPlan,
  parents: readonly LayerReference[],
  fullReason: string | null,
): SealedDisk => {
  const report = reportOf(plan, { fullReason }, noTotals, 0)
  return { kind: 'sealed', stack: parents, layer: null, slices: [], report }
}

const reportOf = (
  plan: DiskPlan,
  request: Pick<SealDiskRequest, 'fullReason'>,
  totals: IndexTotals,
  storedBytes: number,
): DiskReport => ({
  disk: plan.disk,
  kind: 'transferred',
  transfer: plan.transfer,
  fullReason: request.fullReason,
  sizeBytes: plan.sizeBytes,
  comparedWith: plan.comparedWith,
  allocatedBytes: plan.transfer === 'full' ? plan.dataBytes : null,
  changedBytes: plan.comparedWith === null ? plan.changedBytes : totals.changedBytes,
  readBytes: totals.readBytes,
  joinedBytes: totals.joinedBytes,
  storedPlainBytes: totals.dataBytes,
  storedBytes,
  milliseconds: totals.milliseconds,
  reason: null,
  hint: null,
})
