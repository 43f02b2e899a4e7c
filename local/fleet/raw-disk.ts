import { open } from 'node:fs/promises'

/** Bytes at an offset of a raw image. */
export interface RawWrite {
  readonly offsetBytes: number
  readonly content: Buffer
}

/** Makes a raw image that is a hole wherever nothing is written. */
export const makeRawDisk = async (imagePath: string, sizeBytes: number, writes: readonly RawWrite[]): Promise<void> => {
  const image = await open(imagePath, 'w')
  try {
    await image.truncate(sizeBytes)
  } finally {
    await image.close()
  }
  await changeRawDisk(imagePath, writes)
}

/** Writes into an existing image in place, in order. */
export const changeRawDisk = async (imagePath: string, writes: readonly RawWrite[]): Promise<void> => {
  const image = await open(imagePath, 'r+')
  try {
    for (const { offsetBytes, content } of writes) await image.write(content, 0, content.length, offsetBytes)
  } finally {
    await image.close()
  }
}
