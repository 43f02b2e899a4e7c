import { execFile } from 'node:child_process'
import { type FileHandle, mkdir, open, rename, rm, truncate } from 'node:fs/promises'
import { promisify } from 'node:util'
import { type ImageLayout, partsOf, piecesOf } from './image-layout.ts'

const run = promisify(execFile)

/** An open image. Parts that nobody wrote to yet, or that were cut short by another program, read as zeros. */
export interface OpenImage {
  readonly layout: ImageLayout
  /** Fills `target` from `offsetBytes`; the caller keeps inside the image. */
  read(target: Uint8Array, offsetBytes: number): Promise<void>
  write(bytes: Uint8Array, offsetBytes: number): Promise<void>
  /** Makes a range read as zeros, giving its space back where the file system can. */
  clear(offsetBytes: number, lengthBytes: number): Promise<void>
  close(): Promise<void>
}

/** Creates an image of zeros that takes no space; one that is there already keeps its bytes. */
export const createImage = async (layout: ImageLayout): Promise<void> => {
  if (layout.partBytes !== null) await mkdir(layout.path, { recursive: true })
  for (const part of partsOf(layout)) {
    const file = await open(part.path, 'a')
    await file.close()
    await truncate(part.path, part.lengthBytes)
  }
}

/** Makes an image larger in place. A single file that outgrows `fileBytesMax` becomes the first part of a folder.
 * @returns the new layout, which the caller must record */
export const growImage = async (layout: ImageLayout, sizeBytes: number, fileBytesMax: number): Promise<ImageLayout> => {
  const mustSplit = layout.partBytes === null && sizeBytes > fileBytesMax && layout.sizeBytes <= fileBytesMax
  const grown: ImageLayout = mustSplit
    ? { path: `${layout.path.replace(/\.img$/, '')}.parts`, sizeBytes, partBytes: fileBytesMax }
    : { ...layout, sizeBytes }
  if (mustSplit) await moveIntoFolder(layout.path, grown)
  await createImage(grown)
  return grown
}

const moveIntoFolder = async (file: string, folder: ImageLayout): Promise<void> => {
  await mkdir(folder.path, { recursive: true })
  const first = partsOf(folder)[0]
  // A crash between this rename and the new record is healed by the next try: the file is gone, so there is nothing to move.
  if (first !== undefined) await rename(file, first.path).catch(ignoreMissing)
}

/** Repeatable. */
export const removeImage = async (layout: ImageLayout): Promise<void> => {
  await rm(layout.path, { recursive: true, force: true })
}

/** Opens an image; part files are opened when first touched. */
export const openImage = (layout: ImageLayout, flags: 'r' | 'r+'): OpenImage => {
  const parts = partsOf(layout)
  const handles = new Map<number, Promise<FileHandle>>()
  const handleOf = (part: number): Promise<FileHandle> => {
    let handle = handles.get(part)
    if (handle === undefined) {
      handle = open(parts[part]?.path ?? layout.path, flags)
      handle.catch(() => handles.delete(part))
      handles.set(part, handle)
    }
    return handle
  }
  return {
    layout,
    async read(target, offsetBytes) {
      for (const piece of piecesOf(layout, offsetBytes, target.byteLength)) {
        await readOrZero(
          await handleOf(piece.part),
          target.subarray(piece.from, piece.from + piece.lengthBytes),
          piece.at,
        )
      }
    },
    async write(bytes, offsetBytes) {
      for (const piece of piecesOf(layout, offsetBytes, bytes.byteLength)) {
        await writeAll(await handleOf(piece.part), bytes.subarray(piece.from, piece.from + piece.lengthBytes), piece.at)
      }
    },
    async clear(offsetBytes, lengthBytes) {
      for (const piece of piecesOf(layout, offsetBytes, lengthBytes)) {
        const path = parts[piece.part]?.path ?? layout.path
        if (!(await punchHole(path, piece.at, piece.lengthBytes))) {
          await writeZeros(await handleOf(piece.part), piece.at, piece.lengthBytes)
        }
      }
    },
    async close() {
      const opened = [...handles.values()]
      handles.clear()
      for (const handle of await Promise.allSettled(opened)) {
        if (handle.status === 'fulfilled') await handle.value.close()
      }
    },
  }
}

const readOrZero = async (file: FileHandle, target: Uint8Array, position: number): Promise<void> => {
  for (let done = 0; done < target.byteLength; ) {
    const { bytesRead } = await file.read(target, done, target.byteLength - done, position + done)
    if (bytesRead === 0) {
      target.fill(0, done)
      return
    }
    done += bytesRead
  }
}

const writeAll = async (file: FileHandle, bytes: Uint8Array, position: number): Promise<void> => {
  for (let done = 0; done < bytes.byteLength; ) {
    const { bytesWritten } = await file.write(bytes, done, bytes.byteLength - done, position + done)
    done += bytesWritten
  }
}

/** Node cannot punch holes; fallocate of util-linux can. False where it is missing or the file system refuses. */
const punchHole = async (path: string, offsetBytes: number, lengthBytes: number): Promise<boolean> => {
  const range = ['--offset', String(offsetBytes), '--length', String(lengthBytes)]
  return run('fallocate', ['--punch-hole', ...range, path]).then(
    () => true,
    () => false,
  )
}

const writeZeros = async (file: FileHandle, offsetBytes: number, lengthBytes: number): Promise<void> => {
  const zeros = new Uint8Array(Math.min(lengthBytes, 1 << 20))
  for (let done = 0; done < lengthBytes; done += zeros.byteLength) {
    await writeAll(file, zeros.subarray(0, Math.min(zeros.byteLength, lengthBytes - done)), offsetBytes + done)
  }
}

const ignoreMissing = (error: NodeJS.ErrnoException): void => {
  if (error.code !== 'ENOENT') throw error
}
