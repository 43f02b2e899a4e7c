import { type AnswerHead, parseAnswerHead, UnreadableAnswer } from './answer-head.ts'
import { type ChunkedBody, createChunkedBody } from './chunked-body.ts'

/** Decides by the head what becomes of the body: memory that it must fill exactly, or a function that takes each piece. Pieces are good
 * until the function returns. What it throws ends the exchange. */
export type AnswerTaker = (head: AnswerHead) => Uint8Array | ((piece: Buffer) => void)

/** Reads one answer from bytes as they come, in whatever pieces. */
export interface AnswerParser {
  /** @returns whether the answer is complete. @throws UnreadableAnswer, also for bytes behind its end */
  push(bytes: Buffer): boolean
  /** Where the next bytes of the body belong, so that the socket can put them there itself; null where they have to be pushed. */
  direct(): Uint8Array | null
  /** Says that so many bytes lie where `direct` pointed to. @returns whether the answer is complete */
  filled(count: number): boolean
  readonly head: AnswerHead | null
  /** Bytes of the body's content so far. */
  readonly bodyBytes: number
}

/** Azure's heads are about 1 KiB. */
const headBytesMax = 32 * 1024
const endOfHead = Buffer.from('\r\n\r\n')

/** @param isBodiless of an answer to HEAD: its lengths are told and no body comes
 * @param takerOf is asked once the head is there, for what takes the body */
export const createAnswerParser = (isBodiless: boolean, takerOf: AnswerTaker): AnswerParser => {
  let pending: Buffer | null = null
  let head: AnswerHead | null = null
  let target: Uint8Array | null = null
  let takePiece: ((piece: Buffer) => void) | null = null
  let chunks: ChunkedBody | null = null
  let expectedBytes = 0
  let bodyBytes = 0

  const begin = (parsed: AnswerHead): void => {
    head = parsed
    const { framing } = parsed
    if (framing.kind === 'chunked') chunks = createChunkedBody()
    if (framing.kind === 'length') expectedBytes = framing.lengthBytes
    const taker = takerOf(parsed)
    if (typeof taker === 'function') takePiece = taker
    else target = taker
    if (target !== null && framing.kind !== 'chunked' && expectedBytes !== target.length)
      throw new UnreadableAnswer('The body has another length than was asked for.')
  }
  const take = (piece: Buffer): void => {
    if (target === null) takePiece?.(piece)
    else if (bodyBytes + piece.length > target.length) throw new UnreadableAnswer('The body is too long.')
    else target.set(piece, bodyBytes)
    bodyBytes += piece.length
  }
  const isEnd = (): boolean => {
    if (chunks !== null) return false
    return bodyBytes === expectedBytes
  }
  const pushBody = (bytes: Buffer): boolean => {
    let usedBytes: number
    let isDone: boolean
    if (chunks === null) {
      usedBytes = Math.min(bytes.length, expectedBytes - bodyBytes)
      if (usedBytes > 0) take(bytes.subarray(0, usedBytes))
      isDone = isEnd()
    } else {
      ;({ usedBytes, isDone } = chunks.push(bytes, take))
      if (isDone && target !== null && bodyBytes !== target.length)
        throw new UnreadableAnswer('The body has another length than was asked for.')
    }
    if (usedBytes < bytes.length) throw new UnreadableAnswer('Bytes came behind the end of the answer.')
    return isDone
  }
  const pushHead = (bytes: Buffer): boolean => {
    let rest = pending === null ? bytes : Buffer.concat([pending, bytes])
    pending = null
    for (;;) {
      const end = rest.indexOf(endOfHead)
      if ((end < 0 ? rest.length : end) > headBytesMax) throw new UnreadableAnswer('The head is too long.')
      if (end < 0) {
        pending = Buffer.from(rest)
        return false
      }
      const parsed = parseAnswerHead(rest.toString('latin1', 0, end), isBodiless)
      rest = rest.subarray(end + endOfHead.length)
      // 100 Continue and its like announce the answer; they are not it.
      if (parsed.status < 200) continue
      begin(parsed)
      return pushBody(rest)
    }
  }
  return {
    push: (bytes) => (head === null ? pushHead(bytes) : pushBody(bytes)),
    direct: () => (head === null || target === null || chunks !== null ? null : target.subarray(bodyBytes)),
    filled: (count) => {
      bodyBytes += count
      return isEnd()
    },
    get head() {
      return head
    },
    get bodyBytes() {
      return bodyBytes
    },
  }
}
