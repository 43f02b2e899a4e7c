import type { ChangedRange } from './extent.ts'

/** The ranges of one slice, with their bytes by kind. */
export interface CutSlice {
  readonly ranges: readonly ChangedRange[]
  readonly dataBytes: number
  readonly clearBytes: number
}

/** Object names have six digits for a slice. Half of them leave room for slices that end early by their number of ranges. */
const slicesMax = 500_000
const mebibyte = 1024 * 1024

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

/** Cuts a stream of ranges into slices, holding one slice in memory. Ranges of one kind that touch become one. */
export interface SliceCutter {
  /** @param ranges in order of offset, behind all before, not overlapping, whole sectors
   * @returns the slices that are now complete, in order; often none
   * @throws RangeError where a range breaks these rules or ends behind the disk */
  add(ranges: readonly ChangedRange[]): CutSlice[]
  /** The slices that are left. */
  finish(): CutSlice[]
}

/** @param limits `sliceBytes`: data bytes of a slice, a multiple of 4096. `rangesPerSlice` bounds the memory of a slice whose ranges
 * are tiny or cleared. */
export const createSliceCutter = (limits: {
  readonly diskBytes: number
  readonly sliceBytes: number
  readonly rangesPerSlice: number
}): SliceCutter => {
  const open = { ranges: [] as ChangedRange[], dataBytes: 0, clearBytes: 0 }
  let endBytes = 0
  let last: ChangedRange | null = null
  const close = (): CutSlice => {
    const slice = { ...open }
    Object.assign(open, { ranges: [], dataBytes: 0, clearBytes: 0 })
    return slice
  }
  const take = (range: ChangedRange): void => {
    open.ranges.push(range)
    if (range.kind === 'data') open.dataBytes += range.lengthBytes
    else open.clearBytes += range.lengthBytes
  }
  function* place(range: ChangedRange): Generator<CutSlice> {
    let rest = range
    while (rest.kind === 'data' && rest.lengthBytes > limits.sliceBytes - open.dataBytes) {
      const [head, tail] = splitRange(rest, limits.sliceBytes - open.dataBytes)
      if (head !== null) take(head)
      yield close()
      rest = tail
    }
    take(rest)
    if (open.ranges.length >= limits.rangesPerSlice) yield close()
  }
  return {
    add: (ranges) => {
      const complete: CutSlice[] = []
      for (const range of ranges) {
        checkRange(range, endBytes, limits.diskBytes)
        endBytes = range.offsetBytes + range.lengthBytes
        const joined: ChangedRange | null = last && joinTouching(last, range)
        if (last !== null && joined === null) complete.push(...place(last))
        last = joined ?? range
      }
      return complete
    },
    finish: () => {
      const complete = last === null ? [] : [...place(last)]
      last = null
      return open.ranges.length === 0 ? complete : [...complete, close()]
    },
  }
}

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
