/** The 512 bytes behind the data of a fixed VHD (Microsoft, "Virtual Hard Disk Image Format Specification" 1.0, section "Hard
 * Disk Footer Format"; big-endian). Written apart from the one that restores use, so that neither hides a mistake of the other. */
export const footerBytes = 512

const at = {
  cookie: 0,
  features: 8,
  version: 12,
  dataOffset: 16,
  time: 24,
  creator: 28,
  originalSize: 40,
  currentSize: 48,
  geometry: 56,
  type: 60,
  checksum: 64,
  uniqueId: 68,
}
const fixedType = 2
/** VHD time counts seconds from 2000-01-01T00:00:00Z. */
const epochSeconds = 946_684_800

/** The footer that an exported disk ends with; the same for the same disk.
 * @param uniqueId 32 hex digits */
export const makeFooter = (sizeBytes: number, createdAt: Date, uniqueId: string): Buffer => {
  const footer = Buffer.alloc(footerBytes)
  footer.write('conectix', at.cookie, 'latin1')
  footer.writeUInt32BE(2, at.features)
  footer.writeUInt32BE(0x00010000, at.version)
  footer.writeBigUInt64BE(0xffff_ffff_ffff_ffffn, at.dataOffset)
  footer.writeUInt32BE(Math.max(0, Math.floor(createdAt.getTime() / 1000) - epochSeconds), at.time)
  footer.write('win \x00\x0a\x00\x00Wi2k', at.creator, 'latin1')
  footer.writeBigUInt64BE(BigInt(sizeBytes), at.originalSize)
  footer.writeBigUInt64BE(BigInt(sizeBytes), at.currentSize)
  writeGeometry(footer, sizeBytes)
  footer.writeUInt32BE(fixedType, at.type)
  Buffer.from(uniqueId, 'hex').copy(footer, at.uniqueId, 0, 16)
  footer.writeUInt32BE(checksumOf(footer), at.checksum)
  return footer
}

/** Why these bytes are not the footer of a fixed VHD of `sizeBytes`; null: they are. */
export const footerFault = (footer: Buffer, sizeBytes: number): string | null => {
  const cookie = footer.toString('latin1', at.cookie, at.cookie + 8)
  if (cookie !== 'conectix') return "The footer of the VHD is expected to have cookie value 'conectix'."
  const type = footer.readUInt32BE(at.type)
  if (type !== fixedType) return `Only fixed VHDs are supported: disk type ${type} where ${fixedType} is expected.`
  const currentSize = footer.readBigUInt64BE(at.currentSize)
  if (currentSize !== BigInt(sizeBytes))
    return `The footer names a disk of ${currentSize} bytes, the upload has ${sizeBytes}.`
  if (footer.readUInt32BE(at.checksum) !== checksumOf(footer)) return 'The checksum of the VHD footer is wrong.'
  return null
}

const checksumOf = (footer: Buffer): number => {
  let sum = 0
  for (const [index, byte] of footer.entries()) {
    if (index < at.checksum || index >= at.checksum + 4) sum += byte
  }
  return ~sum >>> 0
}

/** Cylinders, heads and sectors after the specification's appendix "CHS Calculation". */
const writeGeometry = (footer: Buffer, sizeBytes: number): void => {
  const sectors = Math.min(Math.floor(sizeBytes / 512), 65_535 * 16 * 255)
  let [perTrack, heads] = [255, 16]
  if (sectors < 65_535 * 16 * 63) {
    perTrack = 17
    heads = Math.max(4, Math.ceil(Math.floor(sectors / 17) / 1024))
    if (Math.floor(sectors / 17) >= heads * 1024 || heads > 16) [perTrack, heads] = [31, 16]
    if (perTrack === 31 && Math.floor(sectors / 31) >= heads * 1024) [perTrack, heads] = [63, 16]
  }
  footer.writeUInt16BE(Math.floor(Math.floor(sectors / perTrack) / heads), at.geometry)
  footer.writeUInt8(heads, at.geometry + 2)
  footer.writeUInt8(perTrack, at.geometry + 3)
}
