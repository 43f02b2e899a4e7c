/** Offsets and lengths of a disk are multiples of this; the unit of every index (Azure page blobs: 512-byte alignment). */
export const sectorBytes = 512
/** Zeros are looked for in pages of this size; the usual page of file systems and of the platform's change tracking. */
export const pageBytes = 4096
/** The largest frame a reader accepts; how large they are written is a field of the index (docs/format.md, section 3). */
export const frameCapacityBytesMax = 16 * 1024 * 1024
/** What a reader takes, far above what is written: half a megabyte, and 8 MiB for a full 32 TiB disk. */
export const shardBytesMax = 64 * 1024 * 1024
/** The longest footer a reader takes (docs/format.md, sections 6 and 8). */
export const footerBytesMax = 1024 * 1024 * 1024
/** The one version there is; a reader refuses any other. */
export const formatVersion = 1 as const
