import { decodeFrameHeader, type FrameHeader } from '../../shared/format/frame.ts'
import type { MemoryBlobStore } from './memory-blob-store.ts'

/** A frame that a run tried to store. */
export interface WrittenFrame extends FrameHeader {
  readonly segment: string
}

/** Notes every frame that goes into a segment, also where the call fails or the name is taken: what left the process is out. */
export const noteWrittenFrames = (vault: MemoryBlobStore, written: WrittenFrame[]): void => {
  const { create } = vault
  vault.create = (name, parts, options) => {
    if (name.startsWith('segments/')) written.push(...framesIn(name, Buffer.concat(parts)))
    return create(name, parts, options)
  }
}

/** The frames of a segment, in order. */
export const framesIn = (segment: string, bytes: Buffer): WrittenFrame[] => {
  const frames: WrittenFrame[] = []
  let place = 0
  while (bytes.readUInt32BE(place) === 0x8944_5646) {
    const header = decodeFrameHeader(bytes.subarray(place), { name: segment, place })
    frames.push({ ...header, segment })
    place += header.headerBytes + header.payloadBytes
  }
  return frames
}
