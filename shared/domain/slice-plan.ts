import type { ChangedRange } from './extent.ts'

/** What the ranges of one slice come to. */
export interface CutSlice {
  readonly rangeCount: number
  readonly dataBytes: number
  readonly clearBytes: number
}

/** Object names have six digits for a slice. Half of them leave room for slices that end early by their number of ranges. */
const slicesMax = 500_000
const mebibyte = 1024 * 1024
const pageBytes = 4096

/** A full disk gives some slices to each of the threads that move them, so that none is left with a large last one. */
const slicesMin = 16
/** Below it, the requests around a slice would show. */
const slicesMinBytes = 128 * mebibyte

/** Data bytes of a slice: those asked for; fewer on a small disk, as its slices are moved at the same time, and more where a disk as large as
 * this would have too many. */
export const sliceBytesFor = (diskBytes: number, askedBytes: number): number => {
  const share = (slices: number) => Math.ceil(diskBytes / slices / mebibyte) * mebibyte
  return Math.max(Math.min(askedBytes, Math.max(slicesMinBytes, share(slicesMin))), share(slicesMax))
}

/** Data bytes of a slice where all of the ranges are known: equal slices, as many as threads share without a rest where they are few. Then all
 * threads end at about the same time, and a large change of a large disk is moved by all of them.
 * @param dataBytes of all ranges
 * @param sliceBytesMax a multiple of 1 MiB */
export const evenSliceBytes = (dataBytes: number, sliceBytesMax: number): number => {
  const [shared] = sharedCounts.find(([count, bytesMin]) => count * bytesMin <= dataBytes) ?? [1]
  const slices = Math.max(shared, Math.ceil(dataBytes / sliceBytesMax))
  return Math.max(1, Math.ceil(dataBytes / slices / mebibyte)) * mebibyte
}

/** A second thread takes 0.1 s to start; so much takes four times as long to move. */
const sharedBytesMin = 64 * mebibyte
/** Threads are two or four, rarely three. Many slices are as large as lets the requests around them not show. */
const sharedCounts: readonly (readonly [count: number, bytesMin: number])[] = [
  [16, slicesMinBytes],
  [8, slicesMinBytes],
  [4, sharedBytesMin],
  [2, sharedBytesMin],
]

/** Cuts a stream of ranges into slices, holding one range in memory. Ranges of one kind that touch become one. */
export interface SliceCutter {
  /** @param ranges in order of offset, behind all before, not overlapping, whole sectors
   * @returns each slice at the moment when it is complete, with all of its ranges handed over and none behind; it has to be taken to its end
   * @throws RangeError where a range breaks these rules or ends behind the disk */
  add(ranges: readonly ChangedRange[]): Generator<CutSlice>
  /** The slices that are left. */
  finish(): Generator<CutSlice>
}

/** @param limits `sliceBytes`: data bytes of a slice, a multiple of 4096. `rangesPerSlice` bounds a slice whose ranges are tiny or cleared.
 * @param handOver gets the ranges of the slices, one after another */
export const createSliceCutter = (
  limits: { readonly diskBytes: number; readonly sliceBytes: number; readonly rangesPerSlice: number },
  handOver: (range: ChangedRange) => void,
): SliceCutter => {
  const open = { rangeCount: 0, dataBytes: 0, clearBytes: 0 }
  let endBytes = 0
  let last: ChangedRange | null = null
  const close = (): CutSlice => {
    const slice = { ...open }
    Object.assign(open, { rangeCount: 0, dataBytes: 0, clearBytes: 0 })
    return slice
  }
  const take = (range: ChangedRange): void => {
    handOver(range)
    open.rangeCount += 1
    if (range.kind === 'data') open.dataBytes += range.lengthBytes
    else open.clearBytes += range.lengthBytes
  }
  const isTooLong = ({ kind, lengthBytes }: ChangedRange): boolean =>
    kind === 'data' && lengthBytes > limits.sliceBytes - open.dataBytes
  function* cut(range: ChangedRange): Generator<CutSlice, ChangedRange> {
    let rest = range
    while (isTooLong(rest)) {
      const [head, tail] = splitRange(rest, wholePages(rest.offsetBytes, limits.sliceBytes - open.dataBytes))
      if (head !== null) take(head)
      yield close()
      rest = tail
    }
    return rest
  }
  const completesNothing = (range: ChangedRange): boolean =>
    !isTooLong(range) && open.rangeCount + 1 < limits.rangesPerSlice
  function* place(range: ChangedRange): Generator<CutSlice> {
    take(isTooLong(range) ? yield* cut(range) : range)
    if (open.rangeCount >= limits.rangesPerSlice) yield close()
  }
  return {
    *add(ranges) {
      for (const range of ranges) {
        checkRange(range, endBytes, limits.diskBytes)
        endBytes = range.offsetBytes + range.lengthBytes
        const joined: ChangedRange | null = last && joinTouching(last, range)
        if (last !== null && joined === null) {
          if (completesNothing(last)) take(last)
          else yield* place(last)
        }
        last = joined ?? range
      }
    },
    *finish() {
      if (last !== null) yield* place(last)
      last = null
      if (open.rangeCount > 0) yield close()
    },
  }
}

/** So many bytes that no page lies in two slices: what is known of a page is known within one. */
const wholePages = (offsetBytes: number, lengthBytes: number): number =>
  Math.max(0, Math.floor((offsetBytes + lengthBytes) / pageBytes) * pageBytes - offsetBytes)

const joinTouching = (first: ChangedRange, second: ChangedRange): ChangedRange | null =>
  first.kind === second.kind && first.offsetBytes + first.lengthBytes === second.offsetBytes
    ? { ...first, lengthBytes: first.lengthBytes + second.lengthBytes }
    : null

const splitRange = (range: ChangedRange, headBytes: number): [ChangedRange | null, ChangedRange] => [
  headBytes > 0 ? { ...range, lengthBytes: headBytes } : null,
  { ...range, offsetBytes: range.offsetBytes + headBytes, lengthBytes: range.lengthBytes - headBytes },
]

const checkRange = (range: ChangedRange, afterBytes: number, diskBytes: number): void => {
  const { offsetBytes, lengthBytes } = range
  if (!(Number.isSafeInteger(offsetBytes) && Number.isSafeInteger(lengthBytes) && lengthBytes > 0))
    throw new RangeError(`a range at ${offsetBytes} has ${lengthBytes} bytes`)
  if (offsetBytes % 512 !== 0 || lengthBytes % 512 !== 0)
    throw new RangeError(`the range at ${offsetBytes} is not made of whole sectors`)
  if (offsetBytes < afterBytes)
    throw new RangeError(`the range at ${offsetBytes} comes after one that ends at ${afterBytes}`)
  if (offsetBytes + lengthBytes > diskBytes) throw new RangeError(`the range at ${offsetBytes} ends behind the disk`)
}
