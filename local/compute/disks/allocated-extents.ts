import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { open } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import type { Extent } from '../../../shared/domain/extent.ts'
import { type ImageLayout, type ImagePart, partsOf } from './image-layout.ts'

/** Managed disks answer in multiples of this, recorded in the tests of the .NET storage SDK (ManagedDiskTests). */
export const pageBytes = 4096
const scanBytes = 64 * 1024
/** filefrag counts in units of this size, so that no file system's block is rounded. */
const sectorBytes = 512
/** Debian keeps filefrag in /usr/sbin, which is not on the PATH of ordinary users. */
const filefragNames = ['filefrag', '/usr/sbin/filefrag', '/sbin/filefrag']

export interface ExtentFinder {
  /** The parts of an image that hold written data, sorted, joined where they touch, rounded out to 4096 and clipped to the
   * image's size. May name zeros that were written; never leaves out other bytes. Forces the files to disk first. */
  find(image: ImageLayout): AsyncIterable<Extent>
}

/** Asks the file system by filefrag (FIEMAP) where that works, and reads the file otherwise.
 * @param mode `scan` never asks the file system */
export const createExtentFinder = (mode: 'filefrag' | 'scan' = 'filefrag'): ExtentFinder => ({
  async *find(image) {
    yield* joined(alignedWithin(image.sizeBytes, everyPart(image, mode)))
  },
})

async function* everyPart(image: ImageLayout, mode: 'filefrag' | 'scan'): AsyncGenerator<Extent> {
  for (const part of partsOf(image)) {
    const found = mode === 'filefrag' ? await byFilefrag(part) : null
    for await (const extent of found ?? byScanning(part)) {
      yield { offsetBytes: part.offsetBytes + extent.offsetBytes, lengthBytes: extent.lengthBytes }
    }
  }
}

/** Starts filefrag and waits for its first line of substance. Null: not installed, or the file system has no FIEMAP. */
const byFilefrag = async (part: ImagePart): Promise<AsyncIterable<Extent> | null> => {
  for (const name of filefragNames) {
    const child = spawn(name, ['-s', '-e', `-b${sectorBytes}`, part.path], { stdio: ['ignore', 'pipe', 'ignore'] })
    const started = await once(child, 'spawn').then(
      () => true,
      () => false,
    )
    if (!started) continue
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
    for (let line = await lines.next(); !line.done; line = await lines.next()) {
      if (/^ *ext:/.test(line.value)) return extentLines(lines, child)
      if (/: 0 extents found/.test(line.value)) return noExtents()
    }
    return null
  }
  return null
}

async function* extentLines(lines: AsyncIterator<string>, child: ChildProcess): AsyncGenerator<Extent> {
  try {
    yield* parsedLines(lines)
  } finally {
    // Left early, filefrag would wait for ever for somebody to read on.
    child.kill()
  }
}

async function* parsedLines(lines: AsyncIterator<string>): AsyncGenerator<Extent> {
  for (let line = await lines.next(); !line.done; line = await lines.next()) {
    const match = /^ *\d+: *(\d+)\.\. *(\d+): *\d+\.\. *\d+: *\d+:(.*)$/.exec(line.value)
    if (match !== null) {
      const first = Number(match[1])
      const last = Number(match[2])
      // Space set aside by fallocate: it reads as zeros until somebody writes.
      if (/\bunwritten\b/.test(match[3] ?? '')) continue
      yield { offsetBytes: first * sectorBytes, lengthBytes: (last - first + 1) * sectorBytes }
    } else if (/ extents? found/.test(line.value)) {
      return
    }
  }
  throw new Error('filefrag ended without its closing line')
}

async function* noExtents(): AsyncGenerator<Extent> {}

async function* byScanning(part: ImagePart): AsyncGenerator<Extent> {
  const file = await open(part.path, 'r')
  try {
    // Nothing allocated: a sparse file of any size is answered at once.
    if ((await file.stat()).blocks === 0) return
    const buffer = Buffer.allocUnsafe(16 * scanBytes)
    const zeros = Buffer.alloc(scanBytes)
    for (let offsetBytes = 0; offsetBytes < part.lengthBytes; ) {
      const { bytesRead } = await file.read(buffer, 0, buffer.byteLength, offsetBytes)
      if (bytesRead === 0) return
      for (let at = 0; at < bytesRead; at += scanBytes) {
        const piece = buffer.subarray(at, Math.min(at + scanBytes, bytesRead))
        if (!piece.equals(zeros.subarray(0, piece.byteLength))) {
          yield { offsetBytes: offsetBytes + at, lengthBytes: piece.byteLength }
        }
      }
      offsetBytes += bytesRead
    }
  } finally {
    await file.close()
  }
}

async function* alignedWithin(sizeBytes: number, extents: AsyncIterable<Extent>): AsyncGenerator<Extent> {
  for await (const { offsetBytes, lengthBytes } of extents) {
    const start = Math.floor(offsetBytes / pageBytes) * pageBytes
    const end = Math.min(sizeBytes, Math.ceil((offsetBytes + lengthBytes) / pageBytes) * pageBytes)
    if (end > start) yield { offsetBytes: start, lengthBytes: end - start }
  }
}

async function* joined(extents: AsyncIterable<Extent>): AsyncGenerator<Extent> {
  let open: { start: number; end: number } | null = null
  for await (const { offsetBytes, lengthBytes } of extents) {
    const end = offsetBytes + lengthBytes
    if (open !== null && offsetBytes <= open.end) {
      open.end = Math.max(open.end, end)
      continue
    }
    if (open !== null) yield { offsetBytes: open.start, lengthBytes: open.end - open.start }
    open = { start: offsetBytes, end }
  }
  if (open !== null) yield { offsetBytes: open.start, lengthBytes: open.end - open.start }
}
