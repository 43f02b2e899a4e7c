/** A part of a disk, half-open: `[offsetBytes, offsetBytes + lengthBytes)`. Lists of extents are sorted by offset and do not
 * overlap; they may be empty. Offsets to 64 TiB are exact in a number. */
export interface Extent {
  readonly offsetBytes: number
  readonly lengthBytes: number
}

/** The offset of the first byte behind it. */
export const endOf = ({ offsetBytes, lengthBytes }: Extent): number => offsetBytes + lengthBytes

/** What the platform says of a part of a disk: `data` was written since the base (or is allocated, with no base), `clear` reads
 * as zeros now. Written is not the same as different. */
export interface ChangedRange extends Extent {
  readonly kind: 'data' | 'clear'
}
