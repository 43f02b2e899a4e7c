import type { SegmentRange } from '../format/segment-ranges.ts'
import type { VaultName } from '../format/vault-name.ts'

/** What a commit record's newest revision says of its recovery point; `unreadable` where it is damaged or of a later format. */
export type PointState = 'live' | 'expired' | 'aborted' | 'unreadable'

/** What is known of a recovery point by its listing and its newest record. */
export interface MarkedPoint {
  readonly vmKey: string
  /** Its newest revision. */
  readonly newest: number
  readonly hasOlder: boolean
  readonly state: PointState
}

/** Something that cannot be read, and what is kept because of it. */
export interface Unreadable {
  readonly name: string
  readonly reason: string
  /** True for an older revision of a recovery point whose newest one is whole: it restores all the same, and only jobs that run may go by this one. */
  readonly isSuperseded: boolean
}

/** Everything that is known to be needed. It only ever grows while a pass goes on: what was needed at one look is kept. Memory: some 450
 * bytes for each disk of a recovery point, none for segments. */
export interface Reachability {
  readonly points: Map<string, MarkedPoint>
  /** Ids that intents speak for: nothing below them is touched. */
  readonly protectedIds: Set<string>
  /** Layer ids. */
  readonly layers: Set<string>
  readonly sidecars: Set<string>
  /** Ids of compactions that had made something before the intents were read. They have no commit record of their own: whoever is still at work
   * has an intent, and one that comes later is not here. */
  readonly compactions: Set<string>
  readonly unreadable: Unreadable[]
  /** A commit record is gone whose recovery point nobody ended: what it named is not known. */
  hasLost: boolean
  addSegments(ranges: Iterable<SegmentRange>): void
  needsSegment(segment: VaultName & { readonly kind: 'segment' }): boolean
  /** True for what may be given up as soon as nobody names it. */
  isDecided(id: string): boolean
}

/** Nothing is known yet, so nothing is decided. Looks are added to it as they are made. */
export const createReachability = (): Reachability => {
  const points = new Map<string, MarkedPoint>()
  const protectedIds = new Set<string>()
  const compactions = new Set<string>()
  const segments = new Map<string, number[]>()
  const unreadable: Unreadable[] = []
  const isOutOfDoubt = (id: string): boolean => {
    if (protectedIds.has(id)) return false
    const state = points.get(id)?.state
    // No record that can be read, or cannot, names anything of a recovery point that never was.
    if (state === 'aborted') return true
    if (unreadable.length > 0 || reach.hasLost || state === 'unreadable') return false
    return state !== undefined || compactions.has(id)
  }
  const reach: Reachability = {
    points,
    protectedIds,
    layers: new Set(),
    sidecars: new Set(),
    compactions,
    unreadable,
    hasLost: false,
    addSegments: (ranges) => {
      for (const range of ranges) {
        const key = sliceKeyOf(range.recoveryPointId, range)
        const known = segments.get(key)
        if (known === undefined) segments.set(key, [range.attempt, range.firstN, range.lastN])
        else if (!hasRange(known, range)) known.push(range.attempt, range.firstN, range.lastN)
      }
    },
    needsSegment: (segment) => {
      const { id, attempt, n } = segment
      return hasRange(segments.get(sliceKeyOf(id, segment)) ?? [], { attempt, firstN: n, lastN: n })
    },
    isDecided: isOutOfDoubt,
  }
  return reach
}

const sliceKeyOf = (id: string, { disk, slice }: { readonly disk: string; readonly slice: number }): string =>
  `${id}/${disk}/${slice}`

/** @param flat attempt, first and last n, one range after another; a slice has few */
const hasRange = (
  flat: readonly number[],
  { attempt, firstN, lastN }: Pick<SegmentRange, 'attempt' | 'firstN' | 'lastN'>,
): boolean => {
  for (let at = 0; at < flat.length; at += 3)
    if (flat[at] === attempt && (flat[at + 1] as number) <= firstN && (flat[at + 2] as number) >= lastN) return true
  return false
}
