import type { BlobEntry, BlobReader } from '../../shared/ports/blob-store.ts'

/** What was taken of one object: parts of its bytes by `readRange`, or everything. */
interface Taken {
  isWhole: boolean
  readonly ranges: (readonly [number, number])[]
}

export interface WatchedReads {
  readonly reader: BlobReader
  /** False where whoever read would have had the same answers with `after` (null: no object) in the place of `before`: it would have ended the
   * same way. */
  wouldSee(name: string, before: Uint8Array, after: Uint8Array | null): boolean
}

/** Takes down what is read through it. Of what a listing says, names count for whether an object is there; a length or ETag that is looked at
 * counts as all of the object. */
export const watchReads = (reader: BlobReader): WatchedReads => {
  const taken = new Map<string, Taken>()
  const prefixes = new Set<string>()
  const of = (name: string): Taken => {
    const known = taken.get(name) ?? { isWhole: false, ranges: [] }
    taken.set(name, known)
    return known
  }
  const watched: BlobReader = {
    read: (name, options) => {
      of(name).isWhole = true
      return reader.read(name, options)
    },
    readRange: (name, offsetBytes, lengthBytes, options) => {
      of(name).ranges.push([offsetBytes, offsetBytes + lengthBytes])
      return reader.readRange(name, offsetBytes, lengthBytes, options)
    },
    async *list(prefix, options) {
      prefixes.add(prefix)
      for await (const entry of reader.list(prefix, options)) yield watchedEntry(entry, () => of(entry.name))
    },
  }
  const wouldSee = (name: string, before: Uint8Array, after: Uint8Array | null): boolean => {
    const known = taken.get(name)
    if (after === null) return known !== undefined || [...prefixes].some((prefix) => name.startsWith(prefix))
    if (known === undefined) return false
    return (
      known.isWhole || known.ranges.some(([begin, end]) => end > after.length || differs(before, after, begin, end))
    )
  }
  return { reader: watched, wouldSee }
}

const differs = (before: Uint8Array, after: Uint8Array, begin: number, end: number): boolean =>
  Buffer.compare(before.subarray(begin, end), after.subarray(begin, end)) !== 0

const watchedEntry = (entry: BlobEntry, onLook: () => Taken): BlobEntry =>
  new Proxy(entry, {
    get: (target, key) => {
      if (key !== 'name') onLook().isWhole = true
      return Reflect.get(target, key)
    },
  })
