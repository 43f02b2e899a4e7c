import { join } from 'node:path'

/** Where the bytes of one content lie. A small image is one raw file; a large one is a folder of sparse files that follow
 * one another, because ext4 ends a file at 16 TiB while managed disks reach 32 TiB. */
export interface ImageLayout {
  /** The raw file, or the folder of part files. */
  readonly path: string
  readonly sizeBytes: number
  /** Bytes per part file, a multiple of 4096; null: one raw file. */
  readonly partBytes: number | null
}

export interface ImagePart {
  readonly path: string
  /** Offset of the part's first byte in the image. */
  readonly offsetBytes: number
  readonly lengthBytes: number
}

/** The files of an image in order of offset; together they cover it exactly. */
export const partsOf = (image: ImageLayout): readonly ImagePart[] => {
  if (image.partBytes === null) return [{ path: image.path, offsetBytes: 0, lengthBytes: image.sizeBytes }]
  const parts: ImagePart[] = []
  for (let offsetBytes = 0; offsetBytes < image.sizeBytes; offsetBytes += image.partBytes) {
    const name = `part-${String(parts.length).padStart(4, '0')}.img`
    const lengthBytes = Math.min(image.partBytes, image.sizeBytes - offsetBytes)
    parts.push({ path: join(image.path, name), offsetBytes, lengthBytes })
  }
  return parts
}

/** Cuts a range of an image at the borders of its part files.
 * @returns pieces in order, with the offset inside their part and inside the range */
export const piecesOf = (
  image: ImageLayout,
  offsetBytes: number,
  lengthBytes: number,
): readonly { readonly part: number; readonly at: number; readonly from: number; readonly lengthBytes: number }[] => {
  if (image.partBytes === null) return lengthBytes > 0 ? [{ part: 0, at: offsetBytes, from: 0, lengthBytes }] : []
  const pieces = []
  for (let from = 0; from < lengthBytes; ) {
    const part = Math.floor((offsetBytes + from) / image.partBytes)
    const at = offsetBytes + from - part * image.partBytes
    const pieceBytes = Math.min(lengthBytes - from, image.partBytes - at)
    pieces.push({ part, at, from, lengthBytes: pieceBytes })
    from += pieceBytes
  }
  return pieces
}
