import { type FramePlace, proveFrame } from '../format/frame.ts'
import { directoryOf } from '../format/segment.ts'
import { openShard } from '../format/shard.ts'
import { VaultError } from '../format/vault-error.ts'
import { parseVaultName } from '../format/vault-name.ts'

/** A whole segment, every byte of it proven without a key.
 * @param onKey told of the data keys that its frames are under
 * @throws VaultError the first thing that is wrong */
export const checkSegment = (bytes: Uint8Array, name: string, onKey: (keyId: string) => void): void => {
  const { trailer, directory } = directoryOf(bytes, name)
  const parsed = parseVaultName(name)
  if (parsed.kind !== 'segment' || trailer.n !== parsed.n)
    throw wrongBirth(name, bytes.length, name, `segment ${trailer.n}`)
  let endBytes = 0
  let count = 0
  for (const frame of framesOf(directory, name, trailer.directoryPlaceBytes)) {
    if (frame.segment !== name) throw wrongBirth(name, trailer.directoryPlaceBytes, name, frame.segment)
    if (frame.placeBytes !== endBytes) throw malformed(name, endBytes, 'the frames do not follow each other')
    checkFrame(bytes, frame, onKey)
    endBytes += frame.storedBytes
    count += 1
  }
  if (endBytes !== trailer.directoryPlaceBytes || count !== trailer.frames)
    throw malformed(name, endBytes, 'the frames do not end where the directory begins')
}

/** One frame of a segment as an index names it. @throws VaultError */
export const checkFrame = (segment: Uint8Array, frame: FramePlace, onKey: (keyId: string) => void): void => {
  const end = frame.placeBytes + frame.storedBytes
  if (end > segment.length) throw new VaultError({ code: 'short', name: frame.segment, place: end })
  const { header } = proveFrame(segment.subarray(frame.placeBytes, end), frame)
  if (header.sealed !== null) onKey(header.sealed.keyId)
}

/** The frames of a directory in order of place. @throws VaultError */
export const framesOf = (directory: Uint8Array, name: string, place: number): readonly FramePlace[] => {
  const frames = new Set<FramePlace>()
  for (const { frame } of openShard(directory, { name, place }).placedRuns()) if (frame !== null) frames.add(frame)
  return [...frames].sort((a, b) => a.placeBytes - b.placeBytes)
}

const malformed = (name: string, place: number, detail: string): VaultError =>
  new VaultError({ code: 'malformed', name, place, detail })

const wrongBirth = (name: string, place: number, expected: string, actual: string): VaultError =>
  new VaultError({ code: 'wrong-birth', name, place, expected, actual })
