import { UnreadableAnswer } from './answer-head.ts'

/** Takes the chunks of a body apart (RFC 9112, 7.1). */
export interface ChunkedBody {
  /** @param take gets each piece of content; good until it returns
   * @returns how many bytes belonged to the body, and whether it has ended */
  push(bytes: Buffer, take: (piece: Buffer) => void): { readonly usedBytes: number; readonly isDone: boolean }
}

/** A size line with its extensions, or one line of a trailer. */
const lineBytesMax = 4096
/** All trailer lines together. */
const trailerLinesMax = 64
const lineFeed = 10

/** For one body. Its `push` throws UnreadableAnswer where the bytes are no chunks, or a line or all trailers are longer than the limits above. */
export const createChunkedBody = (): ChunkedBody => {
  let state: 'size' | 'content' | 'contentEnd' | 'trailer' | 'done' = 'size'
  let line = ''
  let leftBytes = 0
  let trailerLines = 0
  const endOfLine = (): void => {
    if (!line.endsWith('\r')) throw new UnreadableAnswer('A line of a chunk does not end as it must.')
    const text = line.slice(0, -1)
    line = ''
    if (state === 'contentEnd') {
      if (text !== '') throw new UnreadableAnswer('A chunk is longer than it says.')
      state = 'size'
    } else if (state === 'size') {
      leftBytes = sizeOf(text)
      state = leftBytes === 0 ? 'trailer' : 'content'
    } else {
      trailerLines += 1
      if (trailerLines > trailerLinesMax) throw new UnreadableAnswer('The trailer is too long.')
      if (text === '') state = 'done'
    }
  }
  const takeLine = (bytes: Buffer, at: number): number => {
    const found = bytes.indexOf(lineFeed, at)
    const end = found < 0 ? bytes.length : found
    line += bytes.toString('latin1', at, end)
    if (line.length > lineBytesMax) throw new UnreadableAnswer('A line of a chunk is too long.')
    if (found >= 0) endOfLine()
    return found < 0 ? end : end + 1
  }
  return {
    push: (bytes, take) => {
      let at = 0
      while (at < bytes.length && state !== 'done') {
        if (state !== 'content') {
          at = takeLine(bytes, at)
          continue
        }
        const count = Math.min(leftBytes, bytes.length - at)
        take(bytes.subarray(at, at + count))
        at += count
        leftBytes -= count
        if (leftBytes === 0) state = 'contentEnd'
      }
      return { usedBytes: at, isDone: state === 'done' }
    },
  }
}

const sizeOf = (text: string): number => {
  const [, digits] = /^([0-9a-fA-F]{1,12})[\t ]*(?:;.*)?$/.exec(text) ?? []
  if (digits === undefined) throw new UnreadableAnswer('The size of a chunk cannot be read.')
  return Number.parseInt(digits, 16)
}
