import { pageBytes } from '../format/sectors.ts'
import type { Run } from '../format/shard-builder.ts'
import { giveBackMemory, takeMemory } from './kept-memory.ts'
import type { ArrivedRead } from './read-ahead.ts'

/** Runs in order of offset and, if any of them is data, the plain bytes of their frame. */
export interface GatheredFrame {
  readonly runs: readonly Run[]
  /** Empty where all runs are zero. Good until the next frame is asked for; the receiver calls `free` when it no longer needs the bytes. */
  readonly plain: Buffer
  free(): void
}

/** Turns what was read into frames: pages of zeros become zero runs, the rest is gathered until a frame is full. */
export interface FrameGatherer {
  /** Yields each frame that is complete. A frame that lies whole in the read is a view of its bytes, all else is copied. */
  add(arrived: ArrivedRead): Generator<GatheredFrame>
  finish(): Generator<GatheredFrame>
}

/** A frame also ends here, so that a long list of cleared ranges around a little data does not pile up. */
export const runsPerFrameMax = 8192

/** Nothing gathered yet. Reads are added in order of offset.
 * @param capacityBytes of a frame's plain bytes */
export const createFrameGatherer = (capacityBytes: number): FrameGatherer => {
  const zeroPage = Buffer.alloc(pageBytes)
  let plain: Buffer = Buffer.alloc(0)
  let filledBytes = 0
  let runs: Run[] = []
  const addRun = (offsetBytes: number, lengthBytes: number, isZero: boolean): void => {
    const last = runs.at(-1)
    if (last !== undefined && last.isZero === isZero && last.offsetBytes + last.lengthBytes === offsetBytes)
      runs[runs.length - 1] = { ...last, lengthBytes: last.lengthBytes + lengthBytes }
    else runs.push({ offsetBytes, lengthBytes, isZero })
  }
  const close = (): GatheredFrame => {
    const buffer = plain
    const frame = {
      runs,
      plain: buffer.subarray(0, filledBytes),
      free: () => {
        if (buffer.length === capacityBytes) giveBackMemory(buffer)
      },
    }
    runs = []
    filledBytes = 0
    plain = Buffer.alloc(0)
    return frame
  }
  /** A frame of bytes that need not be gathered. */
  const closeWith = (whole: Buffer): GatheredFrame => {
    const frame = { runs, plain: whole, free: () => undefined }
    runs = []
    return frame
  }
  function* addData(offsetBytes: number, bytes: Buffer): Generator<GatheredFrame> {
    let at = 0
    while (at < bytes.length) {
      if (filledBytes === 0 && bytes.length - at >= capacityBytes) {
        addRun(offsetBytes + at, capacityBytes, false)
        yield closeWith(bytes.subarray(at, at + capacityBytes))
        at += capacityBytes
        continue
      }
      if (plain.length === 0) plain = takeMemory(capacityBytes)
      const count = Math.min(bytes.length - at, capacityBytes - filledBytes)
      bytes.copy(plain, filledBytes, at, at + count)
      addRun(offsetBytes + at, count, false)
      filledBytes += count
      at += count
      if (filledBytes === capacityBytes) yield close()
    }
  }
  return {
    *add({ read, bytes }) {
      for (const part of read.parts) {
        if (part.kind === 'clear') addRun(part.offsetBytes, part.lengthBytes, true)
        else {
          const from = part.offsetBytes - read.offsetBytes
          const wanted = bytes.subarray(from, from + part.lengthBytes)
          for (const stretch of stretches(wanted, part.offsetBytes, zeroPage)) {
            if (stretch.isZero) addRun(stretch.offsetBytes, stretch.lengthBytes, true)
            else {
              const begin = stretch.offsetBytes - part.offsetBytes
              yield* addData(stretch.offsetBytes, wanted.subarray(begin, begin + stretch.lengthBytes))
            }
          }
        }
        if (runs.length >= runsPerFrameMax) yield close()
      }
    },
    *finish() {
      if (runs.length > 0) yield close()
    },
  }
}

/** Cuts bytes at the disk's page boundaries into maximal stretches of zero pages and of others. */
function* stretches(bytes: Buffer, offsetBytes: number, zeroPage: Buffer): Generator<Run> {
  let begin = 0
  let wasZero = false
  let at = 0
  while (at < bytes.length) {
    const end = Math.min(bytes.length, at + pageBytes - ((offsetBytes + at) % pageBytes))
    const isZero = looksZero(bytes, at, end) && bytes.compare(zeroPage, 0, end - at, at, end) === 0
    if (at > begin && isZero !== wasZero) {
      yield { offsetBytes: offsetBytes + begin, lengthBytes: at - begin, isZero: wasZero }
      begin = at
    }
    wasZero = isZero
    at = end
  }
  if (at > begin) yield { offsetBytes: offsetBytes + begin, lengthBytes: at - begin, isZero: wasZero }
}

/** Three bytes tell most pages of data, for less than a call of the whole comparison takes. */
const looksZero = (bytes: Buffer, begin: number, end: number): boolean =>
  bytes[begin] === 0 && bytes[(begin + end) >>> 1] === 0 && bytes[end - 1] === 0
