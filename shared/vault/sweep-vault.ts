import { layersRoot, recoveryPointsRoot, segmentsRoot, sidecarsRoot, slicesRoot } from '../format/names.ts'
import { parseVaultName } from '../format/vault-name.ts'
import type { AccessTier, BlobEntry, CallOptions, VaultStore } from '../ports/blob-store.ts'
import type { Clock } from '../ports/clock.ts'
import { inBatches } from './in-batches.ts'
import type { Reachability } from './reachability.ts'

/** What is condemned, and there. */
interface Going {
  /** Recovery points that have ended and whose older records go. */
  readonly recoveryPointIds: readonly string[]
  /** Layers, as they were listed, in order. */
  readonly layers: readonly BlobEntry[]
}

/** What became of the objects that nothing needs. */
export interface Swept {
  readonly removed: number
  readonly removedBytes: number
  /** Kept by an immutability policy or a legal hold. */
  readonly retained: number
  readonly retainedBytes: number
  /** Left to a later pass, as their tier charges for its minimum time anyhow. */
  readonly early: number
  /** The object at which it was cut short; null where it came to its end. */
  readonly cutAt: string | null
}

/** How far one call goes. */
export interface SweepBudget {
  readonly objectsMax: number
  readonly hasTime?: () => boolean
  /** Where the sweep before was cut short. */
  readonly from?: string | null
}

const removalsAtOnce = 16
/** Objects that are looked at even where there is no time, so that every call comes further. */
const objectsMin = 1000

/** Where a sweep goes on of which nothing is left. */
export const vaultIsSwept = 'swept'

/** In the order in which they are swept. */
const roots = [recoveryPointsRoot, layersRoot, sidecarsRoot, slicesRoot, segmentsRoot] as const

/** Goes through the listings of the vault, whatever their length, and removes what is not needed. Layers go before the segments that they
 * use, and of a recovery point that has ended the oldest record first: nothing that is half removed looks whole. */
export const sweepVault = async (
  deps: { readonly vault: VaultStore; readonly clock: Pick<Clock, 'now'> },
  reach: Reachability,
  going: Going,
  { objectsMax, hasTime = () => true, from = null }: SweepBudget,
  options: CallOptions,
): Promise<Swept> => {
  const swept = { removed: 0, removedBytes: 0, retained: 0, retainedBytes: 0, early: 0 }
  const purge = (entry: BlobEntry) => purgeOne(deps, swept, entry, options)
  let looked = 0
  const isSpent = () => swept.removed >= objectsMax || (looked >= objectsMin && !hasTime())
  const recordsAtOnce = 1
  for (const root of roots.slice(from === null ? 0 : rootNumberOf(from))) {
    const garbage = garbageBelow(deps.vault, root, reach, going, options)
    const isRecords = root === recoveryPointsRoot
    const work = isRecords ? oldestFirst(purge) : async (entry: BlobEntry) => void (await purge(entry))
    const end = { at: null as string | null }
    const left = async function* (): AsyncGenerator<BlobEntry> {
      for await (const entry of garbage) {
        if (from !== null && isBefore(entry.name, from)) continue
        if (isSpent()) {
          end.at = entry.name
          return
        }
        looked += 1
        yield entry
      }
    }
    await inBatches(left(), isRecords ? recordsAtOnce : removalsAtOnce, work)
    if (end.at !== null) return { ...swept, cutAt: end.at }
  }
  return { ...swept, cutAt: null }
}

/** The roots' number where there is nothing left in any of them. */
const rootNumberOf = (from: string): number => {
  const number = roots.findIndex((root) => from.startsWith(root))
  return number === -1 ? roots.length : number
}

/** Whether a sweep that was cut short at `from` has looked at the object. The records of a recovery point are looked at again from the oldest on: an
 * older one may have stayed. */
const isBefore = (name: string, from: string): boolean => {
  const root = roots.find((one) => from.startsWith(one))
  if (root === undefined || !name.startsWith(root)) return false
  return name < (root === recoveryPointsRoot ? from.slice(0, from.lastIndexOf('/') + 1) : from)
}

/** A record stays where an older one of its recovery point could not be removed: alone, that one would look like the newest to a reader that
 * counts up. */
const oldestFirst = (purge: (entry: BlobEntry) => Promise<boolean>): ((entry: BlobEntry) => Promise<void>) => {
  let stuck: string | null = null
  return async (entry) => {
    const point = entry.name.slice(0, entry.name.lastIndexOf('/'))
    if (stuck !== point && !(await purge(entry))) stuck = point
  }
}

async function* garbageBelow(
  vault: VaultStore,
  root: string,
  reach: Reachability,
  going: Going,
  options: CallOptions,
): AsyncGenerator<BlobEntry> {
  const endedPoints = new Set(going.recoveryPointIds)
  for await (const entry of root === layersRoot ? going.layers : vault.list(root, options)) {
    const parsed = parseVaultName(entry.name)
    switch (parsed.kind) {
      case 'layer':
      case 'slice':
        if (isGone(reach, parsed)) yield entry
        break
      case 'sidecar':
        if (reach.isDecided(parsed.id) && !reach.sidecars.has(`${parsed.id}/${parsed.disk}`)) yield entry
        break
      case 'segment':
        if (reach.isDecided(parsed.id) && !reach.needsSegment(parsed)) yield entry
        break
      case 'recoveryPoint': {
        const point = reach.points.get(parsed.recoveryPointId)
        const isOld = point?.state === 'expired' && parsed.revision < point.newest
        if (isOld && endedPoints.has(parsed.recoveryPointId) && reach.isDecided(parsed.recoveryPointId)) yield entry
        break
      }
      case 'key':
      case 'other':
        break
      default:
        parsed satisfies never
    }
  }
}

/** A slice index stays as long as the layer that it was joined into: that one can be made again from it. */
const isGone = (reach: Reachability, { id, disk }: { readonly id: string; readonly disk: string }): boolean =>
  reach.isDecided(id) && !reach.layers.has(`${id}/${disk}`)

const dayMs = 24 * 3600 * 1000
/** Azure Blob Storage: an object that leaves its tier earlier is charged as if it had stayed. */
const minimumDays = { Hot: 0, Cool: 30, Cold: 90 } as const satisfies Record<AccessTier, number>

/** @returns whether it is gone. The clock decides about costs alone: garbage that stays longer harms nobody */
const purgeOne = async (
  { vault, clock }: { readonly vault: VaultStore; readonly clock: Pick<Clock, 'now'> },
  swept: { removed: number; removedBytes: number; retained: number; retainedBytes: number; early: number },
  { name, etag, lengthBytes, createdAt, tier }: BlobEntry,
  options: CallOptions,
): Promise<boolean> => {
  const minimumMs = minimumDays[tier ?? 'Hot'] * dayMs
  if (minimumMs > 0 && createdAt !== undefined && clock.now().getTime() - createdAt.getTime() < minimumMs) {
    swept.early += 1
    return false
  }
  const outcome = await vault.purge(name, etag, options)
  if (outcome === 'removed') {
    swept.removed += 1
    swept.removedBytes += lengthBytes
  }
  if (outcome === 'retained') {
    swept.retained += 1
    swept.retainedBytes += lengthBytes
  }
  return outcome === 'removed' || outcome === 'absent'
}
