import assert from 'node:assert/strict'
import type { ChangedRange } from '../domain/extent.ts'
import { type ByteReader, createByteReader } from './byte-reader.ts'
import { createByteWriter } from './byte-writer.ts'
import { digestBytes, digestOfParts, hexOf } from './digest.ts'
import type { SliceKey } from './names.ts'
import { formatVersion, sectorBytes } from './sectors.ts'
import { VaultError } from './vault-error.ts'

/** What one slice has to transfer comes to. */
export interface SlicePlanHead extends SliceKey {
  readonly run: number
  readonly transfer: 'full' | 'incremental'
  readonly diskBytes: number
  readonly rangeCount: number
  readonly dataBytes: number
  readonly clearBytes: number
}

/** What one slice has to transfer: the ranges that the platform named. */
export interface SlicePlan extends SlicePlanHead {
  /** From the beginning of the first range to the end of the last. */
  readonly spanBytes: number
  /** In order of offset. Decoded as they are taken, each time anew: there may be tens of thousands. */
  readonly ranges: Iterable<ChangedRange>
}

const planMagic = Buffer.from('DVPLAN\0\0', 'latin1')

/** Encodes the plans of one slice after another, each range as it comes, in memory that is used again. */
export interface SlicePlanEncoder {
  /** @param range behind those before it */
  add(range: ChangedRange): void
  /** The plan of all ranges that were added since the last one; its bytes are good until the next range is added. */
  finish(head: SlicePlanHead): readonly Uint8Array[]
}

/** Starts with a plan without ranges. */
export const createSlicePlanEncoder = (): SlicePlanEncoder => {
  const ranges = createByteWriter(64 * 1024)
  let isFinished = false
  let count = 0
  let end = 0
  const begin = (): void => {
    if (!isFinished) return
    ranges.clear()
    isFinished = false
    count = 0
    end = 0
  }
  return {
    add: (range) => {
      begin()
      ranges.varint((range.offsetBytes - end) / sectorBytes)
      ranges.varint((range.lengthBytes / sectorBytes) * 2 + (range.kind === 'clear' ? 1 : 0))
      end = range.offsetBytes + range.lengthBytes
      count += 1
    },
    finish: (head) => {
      begin()
      assert(count === head.rangeCount, 'a plan tells of the ranges that were added for it')
      isFinished = true
      const parts = [encodeHead(head), ranges.view()]
      return [...parts, digestOfParts(...parts)]
    },
  }
}

const encodeHead = (head: SlicePlanHead): Buffer => {
  const writer = createByteWriter(256)
  writer.raw(planMagic)
  writer.u8(formatVersion)
  writer.u8(head.transfer === 'full' ? 0 : 1)
  writer.zeros(2)
  for (const value of [head.run, head.slice, head.rangeCount]) writer.u32(value)
  for (const value of [head.diskBytes, head.dataBytes, head.clearBytes]) writer.u64(value)
  writer.text(head.recoveryPointId)
  writer.text(head.disk)
  return writer.view()
}

/** @throws VaultError; the plan's own digest is checked before anything is parsed, and every range before the plan is handed out */
export const decodeSlicePlan = (bytes: Uint8Array, name: string): SlicePlan => {
  const origin = { name, place: 0 }
  const bodyBytes = Math.max(0, bytes.length - 32)
  const expected = hexOf(bytes.subarray(bodyBytes))
  const actual = hexOf(digestBytes(bytes.subarray(0, bodyBytes)))
  if (actual !== expected) throw new VaultError({ code: 'digest-mismatch', ...origin, expected, actual })
  const body = bytes.subarray(0, bodyBytes)
  const reader = createByteReader(body, origin)
  reader.magic(planMagic)
  reader.version()
  const kind = reader.u8()
  if (kind > 1) reader.fail(`a transfer of kind ${kind} is not known`)
  reader.zeros(2)
  const numbers = { run: reader.u32(), slice: reader.u32() }
  const rangeCount = reader.u32()
  const sizes = { diskBytes: reader.u64(), dataBytes: reader.u64(), clearBytes: reader.u64() }
  const key = { recoveryPointId: reader.text(), disk: reader.text() }
  const rangesAt = reader.at
  const spanBytes = spanOf(reader, rangeCount)
  if (reader.remaining > 0) reader.fail('bytes are left behind the ranges')
  const ranges = { [Symbol.iterator]: () => rangesFrom(createByteReader(body, origin, rangesAt), rangeCount) }
  const transfer = kind === 0 ? 'full' : 'incremental'
  return { ...key, ...numbers, transfer, ...sizes, rangeCount, spanBytes, ranges }
}

function* rangesFrom(reader: ByteReader, count: number): Generator<ChangedRange> {
  let end = 0
  for (let left = count; left > 0; left -= 1) {
    const offsetBytes = end + reader.varint() * sectorBytes
    const coded = reader.varint()
    const lengthBytes = Math.floor(coded / 2) * sectorBytes
    end = offsetBytes + lengthBytes
    yield { offsetBytes, lengthBytes, kind: coded % 2 === 1 ? 'clear' : 'data' }
  }
}

/** Passes over all ranges. */
const spanOf = (reader: ByteReader, count: number): number => {
  let first = 0
  let end = 0
  for (let index = 0; index < count; index += 1) {
    const offsetBytes = end + reader.varint() * sectorBytes
    end = offsetBytes + Math.floor(reader.varint() / 2) * sectorBytes
    if (index === 0) first = offsetBytes
  }
  return end - first
}
