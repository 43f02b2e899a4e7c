import assert from 'node:assert/strict'
import type { AttemptKey } from '../format/frame-cipher.ts'
import { joinSegmentRanges, type SegmentRange } from '../format/segment-ranges.ts'
import { parseVaultName } from '../format/vault-name.ts'

/** Segments told apart by name; one bit for each, however many there are. */
export interface SegmentSet {
  add(name: string): void
  /** Sorted and joined, as an index footer wants them. */
  ranges(): SegmentRange[]
}

interface Numbers {
  readonly key: AttemptKey
  bits: Uint8Array
}

/** Empty. Memory: one bit for each number up to the largest of each attempt. */
export const createSegmentSet = (): SegmentSet => {
  const attempts = new Map<string, Numbers>()
  let last = ''
  return {
    add: (name) => {
      if (name === last) return
      last = name
      const parsed = parseVaultName(name)
      assert(parsed.kind === 'segment', 'a frame lies in a segment')
      const { id, disk, slice, attempt, n } = parsed
      const known = attempts.get(name.slice(0, -nCharacters)) ?? {
        key: { recoveryPointId: id, disk, slice, attempt },
        bits: new Uint8Array(8),
      }
      attempts.set(name.slice(0, -nCharacters), known)
      setBit(known, n)
    },
    ranges: () => joinSegmentRanges([...attempts.values()].flatMap((numbers) => [...rangesOf(numbers)])),
  }
}

/** The number at the end of a segment's name has five digits. */
const nCharacters = 5

const setBit = (numbers: Numbers, n: number): void => {
  const at = n >>> 3
  if (at >= numbers.bits.length) {
    const larger = new Uint8Array(Math.max(numbers.bits.length * 2, at + 1))
    larger.set(numbers.bits)
    numbers.bits = larger
  }
  numbers.bits[at] = (numbers.bits[at] ?? 0) | (1 << (n & 7))
}

function* rangesOf({ key, bits }: Numbers): Generator<SegmentRange> {
  let first = -1
  for (let n = 0; n <= bits.length * 8; n += 1) {
    const isIn = ((bits[n >>> 3] ?? 0) & (1 << (n & 7))) !== 0
    if (isIn && first < 0) first = n
    if (isIn || first < 0) continue
    yield { ...key, firstN: first, lastN: n - 1 }
    first = -1
  }
}
