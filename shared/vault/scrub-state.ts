import * as v from 'valibot'
import { digestHex } from '../format/digest.ts'
import { encodeSealedJson } from '../format/sealed-json.ts'
import { formatVersion } from '../format/sectors.ts'
import { nullIfUnreadable } from '../format/vault-error.ts'
import type { BlobReader, CallOptions, ControlStore } from '../ports/blob-store.ts'
import { readSealed } from './objects.ts'

const stampSchema = v.object({
  /** When the last whole check of it ended; empty before the first. Orders checks, nothing else. */
  checkedAt: v.string(),
  /** How far the check that goes on has come; null where none does. */
  next: v.nullable(v.string()),
  /** The round in which it was last seen to be needed. */
  round: v.number(),
})

/** When a part of the vault was checked: a layer, a sidecar, all segments of one disk below one id, or those records of one VM that are not read at
 * each visit. */
export type CheckStamp = Readonly<v.InferOutput<typeof stampSchema>>

/** What has no stamp is checked first. */
export const neverChecked: CheckStamp = { checkedAt: '', next: null, round: 0 }

const turnSchema = v.object({
  format: v.literal(formatVersion),
  round: v.number(),
  /** The VM that was visited last; null at the beginning of a round. */
  after: v.nullable(v.string()),
  /** False where some VM of this round had more to be checked than its turn takes. */
  isWhole: v.boolean(),
})

const shardSchema = v.object({ format: v.literal(formatVersion), stamps: v.record(v.string(), stampSchema) })

/** Whose turn it is. Losing it begins the round anew. */
export type Turn = Readonly<Omit<v.InferOutput<typeof turnSchema>, 'format'>>

const turnName = 'scrub/turn.json'

/** The first round where nothing is noted, or what is cannot be read. */
export const readTurn = async (control: BlobReader, options: CallOptions): Promise<Turn> => {
  const parsed = v.safeParse(turnSchema, await readTolerantly(control, turnName, options))
  if (!parsed.success) return { round: 1, after: null, isWhole: true }
  const { format: _, ...turn } = parsed.output
  return turn
}

/** The last writer wins: a turn that is lost costs checks that were made before. */
export const writeTurn = (control: ControlStore, turn: Turn, options: CallOptions): Promise<void> =>
  control.put(turnName, encodeSealedJson({ format: formatVersion, ...turn }), options)

/** Stamps are kept in 256 objects at most, by a hash of what they are about: disks of several VMs may need one and the same layer, and it is
 * checked once for all. */
export interface CheckStamps {
  of(unit: string): Promise<CheckStamp>
  set(unit: string, stamp: CheckStamp): Promise<void>
  /** Writes what has changed. Stamps that were not seen for two rounds are about nothing that is needed: they go. */
  save(round: number): Promise<void>
}

/** Reads stamps as they are asked for; what is set is written by `save` alone. */
export const openCheckStamps = (control: ControlStore, options: CallOptions): CheckStamps => {
  const shards = new Map<string, Map<string, CheckStamp>>()
  const changed = new Set<string>()
  const shardOf = async (name: string): Promise<Map<string, CheckStamp>> => {
    const known = shards.get(name)
    if (known !== undefined) return known
    const parsed = v.safeParse(shardSchema, await readTolerantly(control, name, options))
    const shard = new Map(Object.entries(parsed.success ? parsed.output.stamps : {}))
    shards.set(name, shard)
    return shard
  }
  return {
    of: async (unit) => (await shardOf(shardName(unit))).get(unit) ?? neverChecked,
    set: async (unit, stamp) => {
      const name = shardName(unit)
      ;(await shardOf(name)).set(unit, stamp)
      changed.add(name)
    },
    save: async (round) => {
      for (const name of changed) {
        const kept = [...(await shardOf(name))].filter(([, stamp]) => stamp.round >= round - 2)
        const record = { format: formatVersion, stamps: Object.fromEntries(kept) }
        await control.put(name, encodeSealedJson(record), options)
      }
      changed.clear()
    },
  }
}

const shardName = (unit: string): string => `scrub/${digestHex(Buffer.from(unit)).slice(0, 2)}.json`

/** A damaged note of what was checked counts as none. */
const readTolerantly = async (control: BlobReader, name: string, options: CallOptions): Promise<unknown> => {
  return readSealed(control, name, options).catch(nullIfUnreadable)
}
