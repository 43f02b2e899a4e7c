import { execFile } from 'node:child_process'
import { mkdir, open, rename, rm, truncate } from 'node:fs/promises'
import { promisify } from 'node:util'
import { createExtentFinder, type ExtentFinder } from './allocated-extents.ts'
import { type ImageLayout, type ImagePart, partsOf } from './image-layout.ts'
import { createImage } from './sparse-image.ts'

const run = promisify(execFile)
const chunkBytes = 1 << 20
const holeBytes = 64 * 1024

/** Copies an image as it is now. Runs of zeros become holes, so a sparse disk of any size costs only what it holds. The copy
 * appears under its name when it is whole.
 * @param target has the source's parts, or more of them behind; larger than the source means zeros at the end */
export const copyImage = async (source: ImageLayout, target: ImageLayout, finder: ExtentFinder): Promise<void> => {
  const temporary: ImageLayout = { ...target, path: `${target.path}.tmp` }
  await rm(temporary.path, { recursive: true, force: true })
  try {
    if (temporary.partBytes !== null) await mkdir(temporary.path, { recursive: true })
    const targets = partsOf(temporary)
    for (const [index, part] of partsOf(source).entries()) {
      const copy = targets[index]
      if (copy === undefined) throw new Error('The copy of an image has fewer parts than its source.')
      await copyFile(part, copy, finder)
    }
    await createImage(temporary)
    await rm(target.path, { recursive: true, force: true })
    await rename(temporary.path, target.path)
  } catch (error) {
    await rm(temporary.path, { recursive: true, force: true })
    throw error
  }
}

/** GNU cp knows holes and reflinks. Elsewhere (BusyBox, macOS) the options are refused and the file is copied here. */
const copyFile = async (source: ImagePart, target: ImagePart, finder: ExtentFinder): Promise<void> => {
  const copied = await run('cp', ['--reflink=auto', '--sparse=always', '--', source.path, target.path]).then(
    () => true,
    () => false,
  )
  if (!copied) await copyExtents(source, target, finder)
  // Another program may have made an adopted file longer than the disk it is: what is too much must not come back as growth.
  await truncate(target.path, source.lengthBytes)
  await truncate(target.path, target.lengthBytes)
}

/** The same without cp: only allocated extents are read, and of them only what is not zero is written. */
export const copyExtents = async (
  source: ImagePart,
  target: ImagePart,
  finder: ExtentFinder = createExtentFinder(),
): Promise<void> => {
  const layout: ImageLayout = { path: source.path, sizeBytes: source.lengthBytes, partBytes: null }
  const [from, to] = [await open(source.path, 'r'), await open(target.path, 'w')]
  try {
    const buffer = Buffer.allocUnsafe(chunkBytes)
    const zeros = Buffer.alloc(holeBytes)
    for await (const { offsetBytes, lengthBytes } of finder.find(layout)) {
      for (let done = 0; done < lengthBytes; ) {
        const wanted = Math.min(chunkBytes, lengthBytes - done)
        const { bytesRead } = await from.read(buffer, 0, wanted, offsetBytes + done)
        if (bytesRead === 0) break
        for (let at = 0; at < bytesRead; at += holeBytes) {
          const piece = buffer.subarray(at, Math.min(at + holeBytes, bytesRead))
          if (!piece.equals(zeros.subarray(0, piece.byteLength))) {
            await to.write(piece, 0, piece.byteLength, offsetBytes + done + at)
          }
        }
        done += bytesRead
      }
    }
  } finally {
    await Promise.all([from.close(), to.close()])
  }
}
