import type { ChangedRange } from '../domain/extent.ts'

/** Get Page Ranges answers at most 10,000 ranges a page; far more means that something else answered. */
const rangesMax = 1_000_000
const rangesAtFirst = 10_000
/** No element of a page list comes near this. */
const elementBytesMax = 64 * 1024

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

/** Reads `<PageList>` piece by piece, one list after another in the same memory: a listing may have millions of ranges, and no object or
 * string is made of any of them before it is asked for. */
export interface PageListScan {
  /** Forgets what was read and begins with another list. */
  begin(): void
  push(piece: Uint8Array): void
  /** What the list held; good until the next one begins. @throws PageListError where the list was not closed */
  finish(): PageList
}

/** What one page of a listing held. */
export interface PageList {
  readonly count: number
  /** In the order they came. */
  rangeAt(index: number): ChangedRange
  readonly nextMarker: string | null
}

type Tag = 'open' | 'openClear' | 'close' | 'startIs' | 'endIs' | 'markerIs' | 'closeList' | 'nothing'

const tags: readonly (readonly [string, Tag])[] = [
  ['/Start', 'startIs'],
  ['/End', 'endIs'],
  ['PageRange', 'open'],
  ['ClearRange', 'openClear'],
  ['/PageRange', 'close'],
  ['/ClearRange', 'close'],
  ['Start', 'nothing'],
  ['End', 'nothing'],
  ['PageList', 'nothing'],
  ['NextMarker', 'nothing'],
  ['NextMarker/', 'nothing'],
  ['/NextMarker', 'markerIs'],
  ['/PageList', 'closeList'],
  ['PageList/', 'closeList'],
]
const tagBytesMax = 11
const tagsByLength = Array.from({ length: tagBytesMax + 1 }, (_, length) =>
  tags.filter(([name]) => name.length === length).map(([name, tag]) => ({ bytes: Buffer.from(name, 'latin1'), tag })),
)

const lessThan = 0x3c
const greaterThan = 0x3e
/** An offset that has not come. */
const absent = -1

/** Elements of unknown name are an error: a range that is not understood must not be skipped. `End` of the wire is the last byte, so a
 * length is `End - Start + 1`. Offsets, tags and markers are ASCII; a byte order mark stands before the first tag, where nothing is
 * looked at. */
export const createPageListScan = (): PageListScan => {
  const ranges = createRangeColumns()
  /** The text since the last tag and the tag behind it, as far as they have come. */
  const element = Buffer.allocUnsafeSlow(elementBytesMax)
  let elementBytes = 0
  /** Where the tag begins in the element; negative while there is only text. */
  let tagAt = -1
  let nextMarker: string | null = null
  let isClosed = false
  let kind: ChangedRange['kind'] | null = null
  let start = absent
  let end = absent

  const closeRange = (): void => {
    if (kind === null || start === absent || end < start)
      throw new PageListError('A page list holds half a range.', false)
    ranges.add(kind, start, end - start + 1)
    kind = null
  }
  const onTag = (): void => {
    const tag = tagOf(element, tagAt, elementBytes)
    switch (tag) {
      case 'open':
      case 'openClear':
        kind = tag === 'open' ? 'data' : 'clear'
        start = absent
        end = absent
        return
      case 'startIs':
        if (kind !== null) start = offsetIn(element, tagAt)
        return
      case 'endIs':
        if (kind !== null) end = offsetIn(element, tagAt)
        return
      case 'close':
        closeRange()
        return
      case 'markerIs':
        nextMarker = unescapeXml(element.toString('latin1', 0, tagAt).trim()) || null
        return
      case 'closeList':
        isClosed = true
        return
      case 'nothing':
        return
      default:
        tag satisfies never
    }
  }

  return {
    begin() {
      ranges.clear()
      elementBytes = 0
      tagAt = -1
      nextMarker = null
      isClosed = false
      kind = null
    },
    push(piece) {
      for (let at = 0; at < piece.length; at += 1) {
        const byte = piece[at] as number
        if (byte === greaterThan && tagAt >= 0) {
          onTag()
          elementBytes = 0
          tagAt = -1
        } else if (byte === lessThan && tagAt < 0) tagAt = elementBytes
        else if (elementBytes < elementBytesMax) element[elementBytes++] = byte
        else throw new PageListError('A page list holds an endless element.', false)
      }
    },
    finish() {
      if (!isClosed) throw new PageListError('A page list was cut off.', true)
      return { count: ranges.count(), rangeAt: ranges.at, nextMarker }
    },
  }
}

/** Ranges as columns of numbers. */
const createRangeColumns = () => {
  let capacity = rangesAtFirst
  let offsets = new Float64Array(capacity)
  let lengths = new Float64Array(capacity)
  let cleared = new Uint8Array(capacity)
  let count = 0
  const grow = (): void => {
    if (count >= rangesMax) throw new PageListError('A page list has no end.', false)
    capacity *= 2
    const before = { offsets, lengths, cleared }
    offsets = new Float64Array(capacity)
    lengths = new Float64Array(capacity)
    cleared = new Uint8Array(capacity)
    offsets.set(before.offsets)
    lengths.set(before.lengths)
    cleared.set(before.cleared)
  }
  return {
    count: () => count,
    clear: () => {
      count = 0
    },
    add: (kind: ChangedRange['kind'], offsetBytes: number, lengthBytes: number): void => {
      if (count === capacity) grow()
      offsets[count] = offsetBytes
      lengths[count] = lengthBytes
      cleared[count] = kind === 'clear' ? 1 : 0
      count += 1
    },
    at: (index: number): ChangedRange => ({
      kind: cleared[index] === 1 ? 'clear' : 'data',
      offsetBytes: offsets[index] as number,
      lengthBytes: lengths[index] as number,
    }),
  }
}

/** @throws PageListError for a tag that is not known */
const tagOf = (element: Buffer, from: number, to: number): Tag => {
  for (const { bytes, tag } of tagsByLength[to - from] ?? []) if (isAt(element, from, bytes)) return tag
  const name = element.toString('latin1', from, to).replace(/\s+/g, '')
  const known = tags.find(([other]) => other === name)
  if (known === undefined && !name.startsWith('?'))
    throw new PageListError('A page list holds something unknown.', false)
  return known?.[1] ?? 'nothing'
}

const isAt = (element: Buffer, from: number, expected: Buffer): boolean => {
  for (let at = 0; at < expected.length; at += 1) if (element[from + at] !== expected[at]) return false
  return true
}

const digitsMax = 16

/** The number that is all of the text before a tag. @throws PageListError for anything else */
const offsetIn = (element: Buffer, to: number): number => {
  let at = 0
  let last = to
  while (at < last && isSpace(element[at])) at += 1
  while (last > at && isSpace(element[last - 1])) last -= 1
  let offset = last > at && last - at <= digitsMax ? 0 : Number.NaN
  for (; at < last; at += 1) {
    const digit = (element[at] as number) - 0x30
    offset = digit >= 0 && digit <= 9 ? offset * 10 + digit : Number.NaN
  }
  if (!Number.isSafeInteger(offset)) throw new PageListError('A page list holds an offset that is none.', false)
  return offset
}

const isSpace = (byte: number | undefined): boolean =>
  byte === 0x20 || (byte !== undefined && byte >= 0x09 && byte <= 0x0d)

const entities: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }

const unescapeXml = (text: string): string =>
  text.replace(/&(#x?[0-9a-f]+|\w+);/gi, (whole, name: string) => {
    if (name.startsWith('#x')) return String.fromCodePoint(Number.parseInt(name.slice(2), 16))
    if (name.startsWith('#')) return String.fromCodePoint(Number(name.slice(1)))
    return entities[name] ?? whole
  })
