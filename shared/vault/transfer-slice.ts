import assert from 'node:assert/strict'
import type { ChangedRange } from '../domain/extent.ts'
import { type PlannedRead, planReads } from '../domain/read-plan.ts'
import { type DataKey, keyRingOf } from '../format/data-key.ts'
import type { FrameEncoding } from '../format/frame.ts'
import { createFrameCipher } from '../format/frame-cipher.ts'
import { encodeIndexFooter, footerDigestOf, type IndexTotals } from '../format/index-footer.ts'
import { attemptMarker, pageHashesName, type SliceKey, sliceIndexName } from '../format/names.ts'
import type { SegmentRange } from '../format/segment-ranges.ts'
import type { SlicePlan } from '../format/slice-plan-codec.ts'
import { VaultError } from '../format/vault-error.ts'
import type { ObjectCreator } from '../ports/blob-store.ts'
import type { Clock } from '../ports/clock.ts'
import type { DiskReader } from '../ports/disk-reader.ts'
import type { PageFilter } from './compare-pages.ts'
import type { Comparison } from './comparison.ts'
import { type DiskPlan, readSlicePlan, requireDiskPlan } from './disk-plan.ts'
import { createFrameGatherer, runsPerFrameMax } from './frame-gatherer.ts'
import { type BuiltIndex, createIndexBuilder } from './index-builder.ts'
import { takeNumber } from './numbers.ts'
import { callOptions } from './objects.ts'
import { openPageFilter } from './open-page-filter.ts'
import { createPageHashes, type PageHashes } from './page-hashes.ts'
import { readAhead } from './read-ahead.ts'
import { createSegmentWriter, type SegmentWriter, storedBytesMax } from './segment-writer.ts'
import { readSliceIndex, type SliceStats, statsOf } from './slice-index.ts'
import { createSliceWriter, type SliceWriter } from './slice-writer.ts'
import { type SourceMeter, sourceMeter } from './source-meter.ts'
import { noteStoredDamage } from './stored-damage.ts'
import { defaultTuning, type TransferTuning } from './transfer-tuning.ts'

/** Where a slice is read, and where it goes. */
export interface TransferSliceDeps {
  readonly vault: ObjectCreator
  readonly control: ObjectCreator
  readonly reader: DiskReader
  readonly clock: Clock
  /** The 8 random bytes of this run's nonces; drawn from the system's source where absent. */
  readonly drawNonce?: () => Uint8Array
}

/** One slice of a planned disk, and how it is moved. */
export interface TransferSliceRequest extends SliceKey {
  readonly jobId: string
  /** Asked at the start and then every few seconds. */
  readonly shouldStop?: () => Promise<boolean>
  /** Told after each read; must be quick. */
  readonly onProgress?: (progress: SliceProgress) => void
  /** zstd and no encryption where absent. */
  readonly encoding?: FrameEncoding
  /** Needed where the disk's plan says that its slices are compared. */
  readonly comparison?: Comparison
  /** What is stored and compared with may be encrypted under these; none where absent. */
  readonly comparisonKeys?: readonly DataKey[]
  /** True for a disk of an image: where all of it is moved, hashes of its pages are put aside for the sidecar that its seal may make. */
  readonly isOfImage?: boolean
  readonly tuning?: Partial<TransferTuning>
  readonly signal?: AbortSignal
}

/** How far a running slice is. Bytes are of the raw disk, but `storedBytes`. */
export interface SliceProgress {
  /** Changed bytes that are dealt with, of `totalBytes`. */
  readonly doneBytes: number
  readonly totalBytes: number
  /** Received from the source so far, read ahead included. */
  readonly readBytes: number
  /** In segments that are closed. */
  readonly storedBytes: number
}

/** `transferred`: the slice is committed, by this call or before it. `stopped`: it was told to stop, and is not committed. */
export type SliceTransfer = ({ readonly kind: 'transferred' } & SliceStats) | { readonly kind: 'stopped' }

/** Moves one slice of a planned disk into the vault. Key: (recoveryPointId, disk, slice): where the slice index exists nothing is read
 * and what it came to is returned. Each run takes an attempt number of its own, so runs at the same time never share a name; the first
 * to create the slice index wins, the segments of the others are garbage by name. Nothing is kept of a run that stopped.
 * @throws VaultError where the plan is missing or damaged; SourceError and StorageError of the ports */
export const transferSlice = async (deps: TransferSliceDeps, request: TransferSliceRequest): Promise<SliceTransfer> => {
  const options = callOptions(request.signal)
  const key = { recoveryPointId: request.recoveryPointId, disk: request.disk, slice: request.slice }
  const known = await readSliceIndex(deps.vault, key, options)
  if (known !== null) return { kind: 'transferred', ...statsOf(known.footer, known.bytes.length) }
  if (await request.shouldStop?.()) return { kind: 'stopped' }
  const diskPlan = await requireDiskPlan(deps.control, key, options)
  const plan = await readSlicePlan(deps.control, key, diskPlan.run, options)
  const filter = await filterOf(deps, request, diskPlan, plan)
  const attempt = await takeNumber(deps.control, (number) => attemptMarker(key, number), request.jobId, options)
  const startedAt = deps.clock.now().getTime()
  const hashes = hashesOf(request, diskPlan)
  const moved = await moveData(deps, request, plan, { attempt, filter, hashes }).finally(() => filter?.close())
  if (moved === 'stopped') return { kind: 'stopped' }
  if (filter != null && filter.damage !== null) await noteStoredDamage(deps.control, key, filter.damage, options)
  const milliseconds = Math.max(0, deps.clock.now().getTime() - startedAt)
  const index = encodeIndex(key, attempt, plan, tuningOf(request), { ...moved, milliseconds })
  if (hashes !== null) await deps.control.create(pageHashesName(key, attempt), hashes.finish(index.digest), options)
  const created = await deps.vault.create(sliceIndexName(key), index.parts, options)
  if (created === 'created') return { kind: 'transferred', ...index.stats }
  const winner = await readSliceIndex(deps.vault, key, options)
  if (winner === null) throw new VaultError({ code: 'object-missing', name: sliceIndexName(key) })
  return { kind: 'transferred', ...statsOf(winner.footer, winner.bytes.length) }
}

/** Disks that hold more have little of their image; slices that are larger would take the memory of others for their hashes. */
const hashedMax = { dataBytes: 64 * 1024 ** 3, sliceBytes: 2 * 1024 ** 3 }

/** Null where no sidecar can come of it. */
const hashesOf = ({ isOfImage, encoding }: TransferSliceRequest, plan: DiskPlan): PageHashes | null => {
  const isWhole = plan.transfer === 'full' && plan.comparedWith === null
  const isSmall = plan.dataBytes <= hashedMax.dataBytes && plan.sliceBytes <= hashedMax.sliceBytes
  return isOfImage === true && isWhole && isSmall ? createPageHashes(encoding?.key ?? null) : null
}

/** Null where everything that is read is stored. */
const filterOf = (
  deps: TransferSliceDeps,
  { comparison, comparisonKeys = [], signal }: TransferSliceRequest,
  { comparedWith }: DiskPlan,
  plan: SlicePlan,
): Promise<PageFilter> | null => {
  if (comparedWith === null) return null
  assert(comparison?.kind === comparedWith, 'a slice is compared with what its disk was planned against')
  const ranges = dataOf(plan.ranges)
  const keys = keyRingOf(comparisonKeys)
  return openPageFilter(
    { vault: deps.vault, keys },
    comparison,
    { ranges, diskBytes: plan.diskBytes },
    callOptions(signal),
  )
}

function* dataOf(ranges: Iterable<ChangedRange>): Generator<ChangedRange> {
  for (const range of ranges) if (range.kind === 'data') yield range
}

interface Moved {
  readonly built: BuiltIndex
  readonly segmentRanges: readonly SegmentRange[]
  readonly totals: Omit<IndexTotals, 'milliseconds'>
}

const defaultEncoding: FrameEncoding = { compression: 'zstd', key: null }

const moveData = async (
  deps: TransferSliceDeps,
  request: TransferSliceRequest,
  plan: SlicePlan,
  {
    attempt,
    filter,
    hashes,
  }: { readonly attempt: number; readonly filter: PageFilter | null; readonly hashes: PageHashes | null },
): Promise<Moved | 'stopped'> => {
  const tuning = tuningOf(request)
  const { compression, key } = request.encoding ?? defaultEncoding
  const segmentBytes = segmentBytesFor(plan, tuning)
  const limits = { ...tuning, segmentBytes, compression, options: callOptions(request.signal) }
  const cipher = key === null ? null : createFrameCipher(key, { ...keyOf(plan), attempt }, deps.drawNonce?.())
  const segments = createSegmentWriter(deps, { key: keyOf(plan), attempt, cipher }, limits)
  const writer = createSliceWriter(segments, createIndexBuilder(tuning), hashes)
  const source = sourceMeter(deps.reader)
  try {
    const end = await pump(deps, request, plan, { tuning, segments, writer, source, filter })
    if (end === 'stopped') return end
    const built = await writer.finish()
    const { dataBytes, zeroBytes, frames, runs } = built
    const { ranges: segmentRanges } = segments
    const plannedBytes = plan.dataBytes + plan.clearBytes
    const changedBytes = dataBytes + zeroBytes
    const isWhole = filter === null ? changedBytes === plannedBytes : changedBytes <= plannedBytes
    assert(isWhole, 'the runs of a slice are what its plan names, no more and, unless it is compared, no less')
    const stored = { segmentBytes: segments.segmentBytes }
    const totals = { changedBytes, ...source.totals(), dataBytes, zeroBytes, frames, runs, ...stored }
    return { built, segmentRanges, totals }
  } finally {
    await writer.settle()
  }
}

/** Reads, gathers and hands frames on until the slice is through or is asked to stop. */
const pump = async (
  deps: TransferSliceDeps,
  request: TransferSliceRequest,
  plan: SlicePlan,
  to: {
    readonly tuning: TransferTuning
    readonly segments: SegmentWriter
    readonly writer: SliceWriter
    readonly source: SourceMeter
    readonly filter: PageFilter | null
  },
): Promise<'through' | 'stopped'> => {
  const gatherer = createFrameGatherer(to.tuning.frameCapacityBytes)
  const isStopAsked = pacedStop(deps.clock, request, to.tuning.stopCheckMilliseconds)
  const reads = planReads(plan.ranges, to.tuning)
  const totalBytes = plan.dataBytes + plan.clearBytes
  let doneBytes = 0
  const readAheadBytes = readAheadBytesFor(plan, to.tuning)
  for await (const arrived of readAhead(deps.reader, reads, { ...to.tuning, readAheadBytes, signal: request.signal })) {
    const wanted = to.filter === null ? arrived : await to.filter.narrow(arrived)
    for (const frame of gatherer.add(wanted)) await to.writer.add(frame)
    to.source.arrived(arrived.read)
    doneBytes += changedBytesOf(arrived.read)
    const { readBytes } = to.source.totals()
    request.onProgress?.({ doneBytes, totalBytes, readBytes, storedBytes: to.segments.segmentBytes })
    if (await isStopAsked()) return 'stopped'
  }
  for (const frame of gatherer.finish()) await to.writer.add(frame)
  return 'through'
}

const encodeIndex = (
  key: SliceKey,
  attempt: number,
  plan: SlicePlan,
  tuning: TransferTuning,
  moved: Moved & { readonly milliseconds: number },
): { parts: Uint8Array[]; digest: string; stats: SliceStats } => {
  const { frameCapacityBytes } = tuning
  const totals: IndexTotals = { ...moved.totals, milliseconds: moved.milliseconds }
  const { segmentRanges } = moved
  const of = { attempt, frameCapacityBytes, diskBytes: plan.diskBytes, segmentRanges }
  const head = { kind: 'slice' as const, ...key, ...of, ...totals }
  const footer = encodeIndexFooter(head, moved.built.fences)
  const parts = [...moved.built.shards, footer]
  const lengthBytes = parts.reduce((sum, part) => sum + part.length, 0)
  const digest = footerDigestOf(footer, { name: sliceIndexName(key), place: lengthBytes - footer.length })
  return { parts, digest, stats: statsOf(head, lengthBytes) }
}

const keyOf = ({ recoveryPointId, disk, slice }: SliceKey): SliceKey => ({ recoveryPointId, disk, slice })

const tuningOf = (request: TransferSliceRequest): TransferTuning => ({ ...defaultTuning, ...request.tuning })

const changedBytesOf = (read: PlannedRead): number => read.parts.reduce((sum, part) => sum + part.lengthBytes, 0)

/** A slice has about so many segments, so that most of it is uploaded while it is still read. */
const segmentsMin = 8
/** Smaller ones would cost more requests than they save time. */
const segmentBytesMin = 4 * 1024 * 1024
/** Room for the headers of their frames. */
const headerBytes = 16 * 1024

/** No more than the slice can fill: a small slice should not hold the memory of a large one. */
const segmentBytesFor = (plan: SlicePlan, tuning: TransferTuning): number => {
  const frames = Math.ceil(plan.dataBytes / tuning.frameCapacityBytes) + Math.ceil(plan.rangeCount / runsPerFrameMax)
  return Math.min(
    tuning.segmentBytes,
    Math.max(segmentBytesMin, Math.ceil(plan.dataBytes / segmentsMin)) + headerBytes,
    plan.dataBytes + (frames + 1) * storedBytesMax(plan, 0) + Math.ceil(plan.dataBytes / 256),
  )
}

const readAheadBytesFor = ({ spanBytes }: SlicePlan, tuning: TransferTuning): number =>
  Math.min(tuning.readAheadBytes, spanBytes)

/** Asks at most once in a while, as the answer may cost a storage call. Time only paces the question here. */
const pacedStop = (clock: Clock, request: TransferSliceRequest, everyMilliseconds: number) => {
  let askedAt = clock.now().getTime()
  return async (): Promise<boolean> => {
    const now = clock.now().getTime()
    if (request.shouldStop === undefined || now - askedAt < everyMilliseconds) return false
    askedAt = now
    return request.shouldStop()
  }
}
