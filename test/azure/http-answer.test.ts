import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { UnreadableAnswer } from '../../shared/azure/http/answer-head.ts'
import { createAnswerParser } from '../../shared/azure/http/answer-parser.ts'
import { fc } from '../support/fast-check.ts'

const crlf = (...lines: readonly string[]): Buffer => Buffer.from(`${lines.join('\r\n')}\r\n`, 'latin1')

/** The answer in pieces that end at the given places; what is wanted of the body directly is put there directly, as a socket would. */
const parse = (answer: Buffer, cuts: readonly number[], wantedBytes: number | null, isHead = false) => {
  const target = wantedBytes === null ? null : Buffer.alloc(wantedBytes)
  const pieces: Buffer[] = []
  const parser = createAnswerParser(isHead, () => target ?? ((piece) => pieces.push(Buffer.from(piece))))
  let isDone = false
  let from = 0
  for (const cut of [...cuts.toSorted((a, b) => a - b), answer.length]) {
    let piece = answer.subarray(from, Math.max(from, cut))
    from += piece.length
    for (let direct = parser.direct(); piece.length > 0 && direct !== null && !isDone; direct = parser.direct()) {
      const count = piece.copy(direct, 0, 0, Math.min(piece.length, direct.length))
      isDone = parser.filled(count)
      piece = piece.subarray(count)
    }
    if (piece.length > 0) isDone = parser.push(piece)
  }
  return { isDone, head: parser.head, body: target ?? Buffer.concat(pieces) }
}

const chunkedBody = (body: Buffer, sizes: readonly number[]): Buffer => {
  const parts: Buffer[] = []
  let at = 0
  for (const size of [...sizes, body.length]) {
    const chunk = body.subarray(at, at + size)
    if (chunk.length === 0) continue
    at += chunk.length
    parts.push(Buffer.from(`${chunk.length.toString(16)};x=1\r\n`), chunk, Buffer.from('\r\n'))
  }
  return Buffer.concat([...parts, Buffer.from('0\r\nx-trailer: 1\r\n\r\n')])
}

describe('an answer of HTTP/1.1', () => {
  it('reads the same wherever its bytes are cut, in either framing, into memory or in pieces', () => {
    const body = randomBytes(3000)
    const answers = {
      length: Buffer.concat([crlf('HTTP/1.1 206 Partial Content', `Content-Length: ${body.length}`, ''), body]),
      chunked: Buffer.concat([crlf('HTTP/1.1 206 OK', 'Transfer-Encoding: chunked', ''), chunkedBody(body, [1, 700])]),
      continued: Buffer.concat([
        crlf('HTTP/1.1 100 Continue', ''),
        crlf('HTTP/1.1 206 OK', 'content-length:3000', ''),
        body,
      ]),
    }
    fc.assert(
      fc.property(
        fc.constantFrom(...Object.values(answers)),
        fc.boolean(),
        fc.array(fc.nat(3200), { maxLength: 12 }),
        (answer, isDirect, cuts) => {
          const read = parse(answer, cuts, isDirect ? body.length : null)
          expect(read).toMatchObject({ isDone: true, head: { status: 206, isKept: true } })
          expect(read.body.equals(body)).toBe(true)
        },
      ),
      { numRuns: 300 },
    )
  })

  it('is not complete while any byte of it is missing', () => {
    const body = randomBytes(100)
    const length = Buffer.concat([crlf('HTTP/1.1 200 OK', 'Content-Length: 100', ''), body])
    const chunked = Buffer.concat([crlf('HTTP/1.1 200 OK', 'Transfer-Encoding: chunked', ''), chunkedBody(body, [60])])
    for (const answer of [length, chunked])
      for (let end = 0; end < answer.length; end += 1)
        expect(parse(answer.subarray(0, end), [], null).isDone).toBe(false)
  })

  it('has no body where the request was HEAD, or by its status', () => {
    expect(parse(crlf('HTTP/1.1 200 OK', 'Content-Length: 512', ''), [], null, true).isDone).toBe(true)
    expect(parse(crlf('HTTP/1.1 204 No Content', ''), [], null).isDone).toBe(true)
  })

  it.each([
    ['has no end but that of the connection', crlf('HTTP/1.1 200 OK', '')],
    ['has two framings', crlf('HTTP/1.1 200 OK', 'Content-Length: 1', 'Transfer-Encoding: chunked', '')],
    ['has two lengths', crlf('HTTP/1.1 200 OK', 'Content-Length: 1', 'Content-Length: 2', '')],
    ['has a length that is no number', crlf('HTTP/1.1 200 OK', 'Content-Length: +5', '')],
    ['has another coding', crlf('HTTP/1.1 200 OK', 'Transfer-Encoding: gzip, chunked', '')],
    ['is of another protocol', crlf('HTTP/2 200', '')],
    ['folds a header', crlf('HTTP/1.1 200 OK', 'A: 1', ' Content-Length: 5', '')],
    ['has a space before a colon', crlf('HTTP/1.1 200 OK', 'Content-Length : 5', '')],
    ['never ends its head', Buffer.alloc(40_000, 'HTTP/1.1 200 OK')],
    ['goes on behind its end', Buffer.concat([crlf('HTTP/1.1 200 OK', 'Content-Length: 1', ''), Buffer.from('ab')])],
    ['has a chunk without size', crlf('HTTP/1.1 200 OK', 'Transfer-Encoding: chunked', '', 'x', 'a')],
    ['has a chunk that is too long', crlf('HTTP/1.1 200 OK', 'Transfer-Encoding: chunked', '', '1', 'ab', '0', '')],
  ])('is refused where it %s', (_why, answer) => {
    expect(() => parse(answer, [], null)).toThrow(UnreadableAnswer)
  })

  it('is refused where its body is not as long as the memory for it', () => {
    const answer = Buffer.concat([crlf('HTTP/1.1 206 OK', 'Content-Length: 5', ''), Buffer.alloc(5)])
    expect(() => parse(answer, [], 4)).toThrow(UnreadableAnswer)
    const chunked = Buffer.concat([
      crlf('HTTP/1.1 206 OK', 'Transfer-Encoding: chunked', ''),
      chunkedBody(Buffer.alloc(5), []),
    ])
    expect(() => parse(chunked, [], 4)).toThrow(UnreadableAnswer)
    expect(() => parse(chunked, [], 6)).toThrow(UnreadableAnswer)
  })
})
