/** An answer that cannot be what HTTP/1.1 allows, or more than this client takes. Holds no byte of it. */
export class UnreadableAnswer extends Error {
  override readonly name = 'UnreadableAnswer'
}

/** How long the body is, as its head says (RFC 9112, 6.3). A body that only the end of the connection ends is refused: a cut one looks
 * just the same. */
export type BodyFraming =
  | { readonly kind: 'length'; readonly lengthBytes: number }
  | { readonly kind: 'chunked' }
  | { readonly kind: 'none' }

/** Status line and header of one answer, and how long its body is. */
export interface AnswerHead {
  readonly status: number
  /** Names in lower case; values of repeated names joined by a comma. */
  readonly headers: ReadonlyMap<string, string>
  readonly framing: BodyFraming
  /** Whether the connection may be used for another request. */
  readonly isKept: boolean
}

const statusLine = /^HTTP\/1\.([01]) (\d{3})(?: [\t\x20-\x7e\x80-\xff]*)?$/
const headerLine = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[\t ]*([\t\x20-\x7e\x80-\xff]*?)[\t ]*$/

/** Reads status line and header lines, the empty line left out.
 * @param text the bytes as latin1
 * @param isBodiless true where the request was HEAD
 * @throws UnreadableAnswer for anything that leaves room for doubt where the answer ends */
export const parseAnswerHead = (text: string, isBodiless: boolean): AnswerHead => {
  const [first = '', ...lines] = text.split('\r\n')
  const [, minor, digits] = statusLine.exec(first) ?? []
  const status = Number(digits)
  if (minor === undefined || status < 100) throw new UnreadableAnswer('The status line is not that of HTTP/1.1.')
  const headers = new Map<string, string>()
  for (const line of lines) {
    const [, name, value] = headerLine.exec(line) ?? []
    if (name === undefined || value === undefined) throw new UnreadableAnswer('A header line cannot be read.')
    const key = name.toLowerCase()
    const before = headers.get(key)
    headers.set(key, before === undefined ? value : `${before}, ${value}`)
  }
  const connection = headers.get('connection')?.toLowerCase() ?? ''
  const isKept = minor === '1' ? !/\bclose\b/.test(connection) : /\bkeep-alive\b/.test(connection)
  return { status, headers, framing: framingOf(status, headers, isBodiless), isKept }
}

const framingOf = (status: number, headers: ReadonlyMap<string, string>, isBodiless: boolean): BodyFraming => {
  const length = headers.get('content-length')
  const coding = headers.get('transfer-encoding')?.toLowerCase()
  if (length !== undefined && coding !== undefined)
    throw new UnreadableAnswer('The answer has both a length and a transfer coding.')
  if (length !== undefined && !/^\d{1,15}$/.test(length)) throw new UnreadableAnswer('The length is not a number.')
  if (coding !== undefined && coding !== 'chunked') throw new UnreadableAnswer('The transfer coding is not known.')
  if (isBodiless || status < 200 || status === 204 || status === 304) return { kind: 'none' }
  if (coding !== undefined) return { kind: 'chunked' }
  if (length === undefined) throw new UnreadableAnswer('The answer does not say where it ends.')
  return { kind: 'length', lengthBytes: Number(length) }
}
