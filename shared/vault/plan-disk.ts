import assert from 'node:assert/strict'
import type { ChangedRange } from '../domain/extent.ts'
import { type CutSlice, createSliceCutter, evenSliceBytes, sliceBytesFor } from '../domain/slice-plan.ts'
import { type DiskKey, planRunMarker, planSummaryName, slicePlanName } from '../format/names.ts'
import { encodeSealedJson } from '../format/sealed-json.ts'
import { formatVersion } from '../format/sectors.ts'
import { createSlicePlanEncoder } from '../format/slice-plan-codec.ts'
import { VaultError } from '../format/vault-error.ts'
import type { BlobCreator, CallOptions } from '../ports/blob-store.ts'
import type { Clock } from '../ports/clock.ts'
import type { DiskReader } from '../ports/disk-reader.ts'
import { type DiskPlan, isUnchanged, readDiskPlan, requireDiskPlan } from './disk-plan.ts'
import { takeNumber } from './numbers.ts'
import { callOptions } from './objects.ts'
import { createRemembered } from './remembered-objects.ts'

/** Whose ranges are listed, and where the plan goes. */
export interface PlanDiskDeps {
  readonly control: BlobCreator
  readonly reader: DiskReader
  readonly clock: Clock
}

/** How the disk's transfer is cut. */
export interface PlanDiskRequest extends DiskKey {
  /** True where the reader compares with a base: the transfer is then incremental. */
  readonly hasBase: boolean
  /** What the slices of a full transfer will be compared with: the reader's list then names what it has to hide, too. */
  readonly comparedWith?: DiskPlan['comparedWith']
  /** Data bytes of a slice: a multiple of 1 MiB, at most 64 GiB. */
  readonly sliceBytes: number
  readonly rangesPerSlice?: number
  /** True where the caller passes on by itself that an increment brings nothing: such a plan is answered and not stored. */
  readonly tellsUnchanged?: boolean
  readonly signal?: AbortSignal
}

/** A slice index is read as a whole; with 64 GiB of alternating zero and data pages it stays under 64 MiB. */
const sliceBytesMax = 64 * 1024 ** 3
const sliceBytesUnit = 1024 * 1024
/** Bounds a slice plan to about a MiB, and the index that is made of it. */
const rangesPerSliceDefault = 65_536

/** Lists what changed on one disk, once, and cuts it into slices. Key: (recoveryPointId, disk): a second run returns the plan that is
 * there and lists nothing. Runs at the same time are harmless: each writes below a number of its own, and the summary, created last,
 * settles whose slices count. Memory is that of one encoded slice plan, whatever the disk: ranges are encoded as they come.
 * @throws VaultError `bad-ranges` where the source's list is unordered; SourceError and StorageError of the ports */
export const planDisk = async (
  deps: PlanDiskDeps,
  request: PlanDiskRequest,
): Promise<{ readonly kind: 'planned' } & DiskPlan> => {
  const known = await readDiskPlan(deps.control, request, callOptions(request.signal))
  return known === null ? planDiskAnew(deps, request) : { kind: 'planned', ...known }
}

/** The same for a disk of which no plan was found. */
export const planDiskAnew = async (
  deps: PlanDiskDeps,
  request: PlanDiskRequest,
): Promise<{ readonly kind: 'planned' } & DiskPlan> => {
  assert(request.sliceBytes % sliceBytesUnit === 0 && request.sliceBytes > 0 && request.sliceBytes <= sliceBytesMax)
  const options = callOptions(request.signal)
  const plan = await writePlan(deps, request, options)
  if (request.tellsUnchanged && isUnchanged(plan)) return { kind: 'planned', ...plan }
  const created = await createRemembered(deps.control, planSummaryName(request), encodeSealedJson(plan), options)
  return { kind: 'planned', ...(created === 'created' ? plan : await requireDiskPlan(deps.control, request, options)) }
}

const writePlan = async (deps: PlanDiskDeps, request: PlanDiskRequest, options: CallOptions): Promise<DiskPlan> => {
  const { recoveryPointId, disk } = request
  const key = { recoveryPointId, disk }
  const listCallsBefore = deps.reader.counters.listCalls
  const sizeBytes = await deps.reader.sizeBytes(options)
  const listed = await listAhead(deps.reader.listRanges(null, options))
  const sliceBytes = sliceBytesOf(listed, sliceBytesFor(sizeBytes, request.sliceBytes))
  const transfer = request.hasBase ? ('incremental' as const) : ('full' as const)
  const comparedWith = request.comparedWith ?? null
  const totals = { slices: 0, dataBytes: 0, clearBytes: 0, rangeCount: 0 }
  let run = 0
  const encoder = createSlicePlanEncoder()
  const limits = { diskBytes: sizeBytes, sliceBytes, rangesPerSlice: request.rangesPerSlice ?? rangesPerSliceDefault }
  for await (const slice of cutSlices(listed, request, { ...limits, handOver: encoder.add })) {
    if (run === 0) run = await takeNumber(deps.control, (number) => planRunMarker(key, number), disk, options)
    const plan = { ...key, run, slice: totals.slices, transfer, diskBytes: sizeBytes, ...slice }
    await deps.control.create(slicePlanName(plan, run), encoder.finish(plan), options)
    totals.slices += 1
    totals.dataBytes += slice.dataBytes
    totals.clearBytes += slice.clearBytes
    totals.rangeCount += slice.rangeCount
  }
  const listCalls = deps.reader.counters.listCalls - listCallsBefore
  const changedBytes = totals.dataBytes + totals.clearBytes
  const plannedAt = deps.clock.now().toISOString()
  return {
    format: formatVersion,
    ...key,
    run,
    transfer,
    comparedWith,
    sizeBytes,
    ...totals,
    changedBytes,
    listCalls,
    sliceBytes,
    plannedAt,
  }
}

/** The beginning of a list, and what comes behind it. */
interface ListedAhead {
  readonly pages: readonly (readonly ChangedRange[])[]
  /** Null where the beginning is all of it. */
  readonly rest: AsyncIterable<readonly ChangedRange[]> | null
}

/** Most changes are known whole before any of them is cut; a long list is cut as it comes. */
const rangesAheadMax = 10_000

const listAhead = async (listing: AsyncIterable<readonly ChangedRange[]>): Promise<ListedAhead> => {
  const lister = listing[Symbol.asyncIterator]()
  const pages: (readonly ChangedRange[])[] = []
  for (let ranges = 0; ranges <= rangesAheadMax; ranges += pages.at(-1)?.length ?? 0) {
    const next = await lister.next()
    if (next.done === true) return { pages, rest: null }
    pages.push(next.value)
  }
  return { pages, rest: { [Symbol.asyncIterator]: () => lister } }
}

const sliceBytesOf = ({ pages, rest }: ListedAhead, sliceBytesMax: number): number => {
  if (rest !== null) return sliceBytesMax
  let dataBytes = 0
  for (const page of pages) for (const { kind, lengthBytes } of page) if (kind === 'data') dataBytes += lengthBytes
  return evenSliceBytes(dataBytes, sliceBytesMax)
}

/** Yields each slice when all of its ranges, and none behind them, were handed over. */
async function* cutSlices(
  listed: ListedAhead,
  key: DiskKey,
  {
    handOver,
    ...limits
  }: Parameters<typeof createSliceCutter>[0] & { readonly handOver: (range: ChangedRange) => void },
): AsyncGenerator<CutSlice> {
  const cutter = createSliceCutter(limits, handOver)
  for (const page of listed.pages) yield* checked(key, cutter.add(page))
  if (listed.rest !== null) for await (const page of listed.rest) yield* checked(key, cutter.add(page))
  yield* checked(key, cutter.finish())
}

function* checked({ recoveryPointId, disk }: DiskKey, slices: Generator<CutSlice>): Generator<CutSlice> {
  try {
    yield* slices
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause
    throw new VaultError({ code: 'bad-ranges', name: `${recoveryPointId}/${disk}`, detail: cause.message }, { cause })
  }
}
