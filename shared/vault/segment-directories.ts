import { keepLatest } from '../domain/keep-latest.ts'
import { digestBytes, hexOf } from '../format/digest.ts'
import type { FramePlace } from '../format/frame.ts'
import { decodeSegmentTrailer, segmentTrailerBytes } from '../format/segment.ts'
import { VaultError } from '../format/vault-error.ts'
import type { BlobReader, CallOptions } from '../ports/blob-store.ts'
import { framesOf } from './check-segment.ts'
import { readExactly } from './objects.ts'

/** Finds a frame in the directory of the segment that an index says it lies in. */
export interface SegmentDirectories {
  /** @throws VaultError naming the segment where it is missing, its directory is damaged, or the directory tells of another frame there */
  check(frame: FramePlace): Promise<void>
}

/** Attempts whose listings, and segments whose directories, are kept. */
const listingsMax = 64
const directoriesMax = 512
/** One read from the end has most directories. */
const tailBytes = 32 * 1024

/** Keeps what it lists and reads, as far as the limits above go; for one pass over neighbouring frames. */
export const createSegmentDirectories = (reader: BlobReader, options: CallOptions): SegmentDirectories => {
  const listing = remembering(listingsMax, (prefix) => lengthsOf(reader, prefix, options))
  const directory = remembering(directoriesMax, async (name) => {
    const lengths = await listing(name.slice(0, name.lastIndexOf('-') + 1))
    const lengthBytes = lengths.get(name)
    if (lengthBytes === undefined) throw new VaultError({ code: 'object-missing', name })
    const bytes = await readDirectory(reader, name, lengthBytes, options)
    return new Map(framesOf(bytes, name, 0).map((frame) => [frame.placeBytes, frame]))
  })
  return {
    check: async (frame) => {
      const { segment: name, placeBytes: place } = frame
      const listed = (await directory(name)).get(place)
      if (listed === undefined || !isSame(listed, frame))
        throw new VaultError({
          code: 'malformed',
          name,
          place,
          detail: 'its directory differs from what an index names',
        })
    },
  }
}

const readDirectory = async (
  reader: BlobReader,
  name: string,
  lengthBytes: number,
  options: CallOptions,
): Promise<Uint8Array> => {
  if (lengthBytes < segmentTrailerBytes) throw new VaultError({ code: 'short', name, place: segmentTrailerBytes })
  const at = Math.max(0, lengthBytes - tailBytes)
  const tail = await readExactly(reader, name, { offsetBytes: at, lengthBytes: lengthBytes - at }, options)
  const place = lengthBytes - segmentTrailerBytes
  const trailer = decodeSegmentTrailer(tail.subarray(place - at), { name, place })
  const { directoryPlaceBytes: offsetBytes, directoryBytes } = trailer
  if (offsetBytes + directoryBytes !== place)
    throw new VaultError({ code: 'malformed', name, place, detail: 'the directory does not end at the trailer' })
  const bytes =
    offsetBytes >= at
      ? tail.subarray(offsetBytes - at, place - at)
      : await readExactly(reader, name, { offsetBytes, lengthBytes: directoryBytes }, options)
  const expected = hexOf(trailer.directoryDigest)
  const actual = hexOf(digestBytes(bytes))
  if (actual !== expected) throw new VaultError({ code: 'digest-mismatch', name, place: offsetBytes, expected, actual })
  return bytes
}

const lengthsOf = async (
  reader: BlobReader,
  prefix: string,
  options: CallOptions,
): Promise<ReadonlyMap<string, number>> => {
  const lengths = new Map<string, number>()
  for await (const { name, lengthBytes } of reader.list(prefix, options)) lengths.set(name, lengthBytes)
  return lengths
}

const isSame = (a: FramePlace, b: FramePlace): boolean =>
  a.segment === b.segment &&
  a.storedBytes === b.storedBytes &&
  a.plainBytes === b.plainBytes &&
  Buffer.compare(a.digest, b.digest) === 0 &&
  a.birth.recoveryPointId === b.birth.recoveryPointId &&
  a.birth.disk === b.birth.disk &&
  a.birth.slice === b.birth.slice &&
  a.birth.attempt === b.birth.attempt &&
  a.birth.ordinal === b.birth.ordinal

/** Keeps the last answers; those asked for longest ago go first. */
const remembering = <Value>(max: number, load: (key: string) => Promise<Value>) => {
  const known = new Map<string, Promise<Value>>()
  return (key: string): Promise<Value> => {
    const value = known.get(key) ?? load(key)
    value.catch(() => undefined)
    keepLatest(known, key, value, max)
    return value
  }
}
