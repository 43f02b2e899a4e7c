import { createHash } from 'node:crypto'

/** A fixed VHD is the raw disk and 512 bytes behind it. */
export const vhdFooterBytes = 512

/** The footer of a fixed VHD (Virtual Hard Disk Image Format Specification 1.0, "Hard Disk Footer Format"), big-endian. The same
 * arguments give the same bytes, so that writing it again changes nothing.
 * @param sizeBytes of the raw disk, a multiple of 512
 * @param name anything that tells the disk from others; its digest becomes the footer's unique id */
export const fixedVhdFooter = (sizeBytes: number, name: string): Uint8Array => {
  const footer = Buffer.alloc(vhdFooterBytes)
  footer.write('conectix', 0, 'latin1')
  footer.writeUInt32BE(2, 8) // features: reserved bit, always set
  footer.writeUInt32BE(0x0001_0000, 12) // format version 1.0
  footer.fill(0xff, 16, 24) // data offset: a fixed disk has no dynamic header
  footer.writeUInt32BE(0, 24) // time stamp: none
  footer.write('dvlt', 28, 'latin1') // creator application
  footer.writeUInt32BE(0x0001_0000, 32) // creator version
  footer.write('Wi2k', 36, 'latin1') // creator host system
  footer.writeBigUInt64BE(BigInt(sizeBytes), 40) // original size
  footer.writeBigUInt64BE(BigInt(sizeBytes), 48) // current size
  const { cylinders, heads, sectors } = geometryOf(sizeBytes)
  footer.writeUInt16BE(cylinders, 56)
  footer.writeUInt8(heads, 58)
  footer.writeUInt8(sectors, 59)
  footer.writeUInt32BE(2, 60) // disk type: fixed
  createHash('sha256').update(name).digest().copy(footer, 68, 0, 16) // unique id
  footer.writeUInt32BE(~footer.reduce((sum, byte) => sum + byte, 0) >>> 0, 64) // checksum of all other bytes
  return footer
}

/** The specification's appendix "CHS Calculation". */
const geometryOf = (
  sizeBytes: number,
): { readonly cylinders: number; readonly heads: number; readonly sectors: number } => {
  const total = Math.min(Math.floor(sizeBytes / 512), 65_535 * 16 * 255)
  if (total >= 65_535 * 16 * 63) return { cylinders: Math.floor(Math.floor(total / 255) / 16), heads: 16, sectors: 255 }
  const heads = Math.max(4, Math.floor((Math.floor(total / 17) + 1023) / 1024))
  if (heads <= 16 && Math.floor(total / 17) < heads * 1024) {
    return { cylinders: Math.floor(Math.floor(total / 17) / heads), heads, sectors: 17 }
  }
  const sectors = Math.floor(total / 31) < 16 * 1024 ? 31 : 63
  return { cylinders: Math.floor(Math.floor(total / sectors) / 16), heads: 16, sectors }
}
