import type { ChangedRange } from '../domain/extent.ts'
import { createByteReader } from './byte-reader.ts'
import { createByteWriter } from './byte-writer.ts'
import { digestBytes, hexOf } from './digest.ts'
import type { SliceKey } from './names.ts'
import { formatVersion, sectorBytes } from './sectors.ts'
import { VaultError } from './vault-error.ts'

/** What one slice has to transfer: the ranges that the platform named, in order of offset. */
export interface SlicePlan extends SliceKey {
  readonly run: number
  readonly transfer: 'full' | 'incremental'
  readonly diskBytes: number
  readonly dataBytes: number
  readonly clearBytes: number
  readonly ranges: readonly ChangedRange[]
}

const planMagic = Buffer.from('DVPLAN\0\0', 'latin1')

export const encodeSlicePlan = (plan: SlicePlan): Buffer => {
  const writer = createByteWriter(256 + plan.ranges.length * 4)
  writer.raw(planMagic)
  writer.u8(formatVersion)
  writer.u8(plan.transfer === 'full' ? 0 : 1)
  writer.zeros(2)
  for (const value of [plan.run, plan.slice, plan.ranges.length]) writer.u32(value)
  for (const value of [plan.diskBytes, plan.dataBytes, plan.clearBytes]) writer.u64(value)
  writer.text(plan.recoveryPointId)
  writer.text(plan.disk)
  let end = 0
  for (const range of plan.ranges) {
    writer.varint((range.offsetBytes - end) / sectorBytes)
    writer.varint((range.lengthBytes / sectorBytes) * 2 + (range.kind === 'clear' ? 1 : 0))
    end = range.offsetBytes + range.lengthBytes
  }
  writer.raw(digestBytes(writer.view()))
  return writer.finish()
}

/** @throws VaultError; the plan's own digest is checked before anything is parsed */
export const decodeSlicePlan = (bytes: Uint8Array, name: string): SlicePlan => {
  const origin = { name, place: 0 }
  const bodyBytes = Math.max(0, bytes.length - 32)
  const expected = hexOf(bytes.subarray(bodyBytes))
  const actual = hexOf(digestBytes(bytes.subarray(0, bodyBytes)))
  if (actual !== expected) throw new VaultError({ code: 'digest-mismatch', ...origin, expected, actual })
  const reader = createByteReader(bytes.subarray(0, bodyBytes), origin)
  reader.magic(planMagic)
  reader.version()
  const transfer = reader.u8() === 0 ? 'full' : 'incremental'
  reader.zeros(2)
  const numbers = { run: reader.u32(), slice: reader.u32() }
  const count = reader.u32()
  const sizes = { diskBytes: reader.u64(), dataBytes: reader.u64(), clearBytes: reader.u64() }
  const key = { recoveryPointId: reader.text(), disk: reader.text() }
  let end = 0
  const ranges = Array.from({ length: count }, (): ChangedRange => {
    const offsetBytes = end + reader.varint() * sectorBytes
    const coded = reader.varint()
    const lengthBytes = Math.floor(coded / 2) * sectorBytes
    end = offsetBytes + lengthBytes
    return { offsetBytes, lengthBytes, kind: coded % 2 === 1 ? 'clear' : 'data' }
  })
  if (reader.remaining > 0) reader.fail('bytes are left behind the ranges')
  return { ...key, ...numbers, transfer, ...sizes, ranges }
}
