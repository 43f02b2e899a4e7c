import type { ChangedRange } from '../domain/extent.ts'

/** Get Page Ranges answers at most 10,000 ranges a page; far more means that something else answered. */
const rangesMax = 1_000_000
/** No element of a page list comes near this. */
const elementBytesMax = 64 * 1024

/** What one page of a listing held. */
export interface PageList {
  /** In the order they came. */
  readonly ranges: readonly ChangedRange[]
  readonly nextMarker: string | null
}

/** The answer is no page list, or not all of one. */
export class PageListError extends Error {
  override readonly name = 'PageListError'
  /** Cut off: another try may bring the rest. */
  readonly isCut: boolean
  constructor(message: string, isCut: boolean) {
    super(message)
    this.isCut = isCut
  }
}

export interface PageListScan {
  push(piece: Buffer): void
  /** @throws PageListError where the list was not closed */
  finish(): PageList
}

/** Reads `<PageList>` piece by piece, holding no more text than one element. Elements of unknown name are an error: a range that is
 * not understood must not be skipped. `End` of the wire is the last byte, so a length is `End - Start + 1`. */
export const scanPageList = (): PageListScan => {
  const ranges: ChangedRange[] = []
  let nextMarker: string | null = null
  let text = ''
  let isClosed = false
  let range: { readonly kind: ChangedRange['kind']; start?: number; end?: number } | null = null

  const onTag = (tag: string, before: string): void => {
    switch (tag) {
      case 'PageRange':
      case 'ClearRange':
        range = { kind: tag === 'ClearRange' ? 'clear' : 'data' }
        return
      case '/Start':
        if (range !== null) range.start = toOffset(before)
        return
      case '/End':
        if (range !== null) range.end = toOffset(before)
        return
      case '/PageRange':
      case '/ClearRange':
        ranges.push(toRange(range))
        range = null
        if (ranges.length > rangesMax) throw new PageListError('A page list has no end.', false)
        return
      case '/NextMarker':
        nextMarker = before.trim() === '' ? null : unescapeXml(before.trim())
        return
      case '/PageList':
      case 'PageList/':
        isClosed = true
        return
      case 'PageList':
      case 'Start':
      case 'End':
      case 'NextMarker':
      case 'NextMarker/':
        return
      default:
        if (!tag.startsWith('?')) throw new PageListError('A page list holds something unknown.', false)
    }
  }

  return {
    push(piece) {
      // Offsets, tags and markers are ASCII; a byte order mark stands before the first tag, where nothing is looked at.
      text += piece.toString('latin1')
      let at = 0
      for (let open = text.indexOf('<', at); open >= 0; open = text.indexOf('<', at)) {
        const close = text.indexOf('>', open)
        if (close < 0) break
        onTag(text.slice(open + 1, close).replace(/\s+/g, ''), text.slice(at, open))
        at = close + 1
      }
      text = text.slice(at)
      if (text.length > elementBytesMax) throw new PageListError('A page list holds an endless element.', false)
    },
    finish() {
      if (!isClosed) throw new PageListError('A page list was cut off.', true)
      return { ranges, nextMarker }
    },
  }
}

const toOffset = (text: string): number => {
  const offset = /^\s*\d{1,16}\s*$/.test(text) ? Number(text) : Number.NaN
  if (!Number.isSafeInteger(offset)) throw new PageListError('A page list holds an offset that is none.', false)
  return offset
}

const toRange = (range: { readonly kind: ChangedRange['kind']; start?: number; end?: number } | null): ChangedRange => {
  if (range?.start === undefined || range.end === undefined || range.end < range.start) {
    throw new PageListError('A page list holds half a range.', false)
  }
  return { kind: range.kind, offsetBytes: range.start, lengthBytes: range.end - range.start + 1 }
}

const entities: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }

const unescapeXml = (text: string): string =>
  text.replace(/&(#x?[0-9a-f]+|\w+);/gi, (whole, name: string) => {
    if (name.startsWith('#x')) return String.fromCodePoint(Number.parseInt(name.slice(2), 16))
    if (name.startsWith('#')) return String.fromCodePoint(Number(name.slice(1)))
    return entities[name] ?? whole
  })
