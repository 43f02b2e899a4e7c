import type { LayerReference } from '../domain/recovery-point.ts'
import { recoveryPointsPrefix } from '../format/names.ts'
import { joinSegmentRanges, type SegmentRange, segmentNamesOf } from '../format/segment-ranges.ts'
import { VaultError } from '../format/vault-error.ts'
import { parseVaultName } from '../format/vault-name.ts'
import type { BlobReader, CallOptions } from '../ports/blob-store.ts'
import { checkShards, checkSidecar, type DamagedShard } from './check-index.ts'
import { checkSegment } from './check-segment.ts'
import { inBatches } from './in-batches.ts'
import { openLayer } from './layer-reader.ts'
import { readRevision } from './recovery-points.ts'
import type { CheckStamp } from './scrub-state.ts'
import type { SegmentDirectories } from './segment-directories.ts'
import type { VmContents } from './vm-contents.ts'

/** A part of the vault that is checked as one and has one stamp. `name`: the object's, or what the names of all its segments begin with. */
export interface CheckUnit {
  readonly name: string
  /** Checks from `next` of the stamp on, as long as it may go on.
   * @returns where it goes on; null where all was checked */
  check(from: string | null, watch: UnitWatch): Promise<string | null>
}

/** What a check tells, and asks whether to go on. */
export interface UnitWatch {
  readonly goOn: () => boolean
  readonly onLayer: (layer: string, error: VaultError) => void
  readonly onShard: (layer: string, damaged: DamagedShard) => void
  readonly onSidecar: (name: string, error: VaultError) => void
  /** A segment that has to be looked at closely. */
  readonly onSegment: (name: string) => void
  readonly onKey: (keyId: string) => void
  /** A record that has to be looked at closely. */
  readonly onRecord: (name: string) => void
}

/** What there is to check of a VM, each object once. */
export interface Units {
  readonly units: readonly CheckUnit[]
  /** Layers whose footer is missing or damaged; what they need is not known from them. */
  readonly closed: readonly { readonly name: string; readonly error: VaultError }[]
}

/** Segments read at the same time. */
const segmentsAtOnce = 4
/** Records read at the same time. */
const recordsAtOnce = 16

/** All that the recovery points need. Reads the footers of their layers. */
export const unitsOf = async (
  reader: BlobReader,
  contents: VmContents,
  directories: SegmentDirectories,
  options: CallOptions,
): Promise<Units> => {
  const units: CheckUnit[] = []
  const closed: { readonly name: string; readonly error: VaultError }[] = []
  const ranges: SegmentRange[] = []
  for (const [name, reference] of contents.layers)
    try {
      const { footer } = await openLayer(reader, reference, options)
      ranges.push(...footer.segmentRanges)
      units.push(layerUnit(reader, name, reference, directories, options))
    } catch (error) {
      if (!(error instanceof VaultError)) throw error
      closed.push({ name, error })
    }
  for (const [name, sidecar] of contents.sidecars)
    units.push({
      name,
      check: async (_from, { onSidecar }) => {
        await checkSidecar(reader, sidecar, options).catch(orTell((error) => onSidecar(name, error)))
        return null
      },
    })
  for (const [name, group] of grouped(ranges)) units.push(segmentsUnit(reader, name, group, options))
  return { units, closed }
}

/** Opens the layer once more: all footers of a VM together may have hundreds of megabytes. */
const layerUnit = (
  reader: BlobReader,
  name: string,
  reference: LayerReference,
  directories: SegmentDirectories,
  options: CallOptions,
): CheckUnit => ({
  name,
  check: async (from, { goOn, onLayer, onShard, onSegment }) => {
    const layer = await openLayer(reader, reference, options).catch(orTell((error) => onLayer(name, error)))
    if (layer === undefined) return null
    const on = { goOn, onShard: (damaged: DamagedShard) => onShard(name, damaged), onSegment }
    const next = await checkShards(reader, layer, { from: Number(from ?? 0), directories }, on, options)
    return next === null ? null : String(next)
  },
})

/** The records that are not read at each visit, of one VM. */
export const recordsUnit = (
  reader: BlobReader,
  vmKey: string,
  names: readonly string[],
  options: CallOptions,
): CheckUnit => ({
  name: recoveryPointsPrefix(vmKey),
  check: (from, { goOn, onRecord }) =>
    eachBehind(from, names, { goOn, atOnce: recordsAtOnce }, async (name) => {
      const parsed = parseVaultName(name)
      if (parsed.kind !== 'recoveryPoint') return
      const tell = orTell(() => onRecord(name))
      if ((await readRevision(reader, parsed, parsed.revision, options).catch(tell)) === null) onRecord(name)
    }),
})

/** Works through the names behind `from` as long as it may go on; at least through one.
 * @returns the last name where it was broken off; null at the end */
const eachBehind = async (
  from: string | null,
  all: Iterable<string>,
  { goOn, atOnce }: { readonly goOn: () => boolean; readonly atOnce: number },
  work: (name: string) => Promise<void>,
): Promise<string | null> => {
  let last: string | null = null
  let isBrokenOff = false
  function* names(): Generator<string> {
    for (const name of all) {
      if (from !== null && name <= from) continue
      if (last !== null && !goOn()) {
        isBrokenOff = true
        return
      }
      last = name
      yield name
    }
  }
  await inBatches(names(), atOnce, work)
  return isBrokenOff ? last : null
}

/** Whole segments; `from` is the name of the last one that was checked. */
const segmentsUnit = (
  reader: BlobReader,
  name: string,
  ranges: readonly SegmentRange[],
  options: CallOptions,
): CheckUnit => ({
  name,
  check: (from, { goOn, onSegment, onKey }) =>
    eachBehind(from, segmentNamesOf(ranges), { goOn, atOnce: segmentsAtOnce }, async (segment) => {
      const content = await reader.read(segment, options)
      if (content === null) onSegment(segment)
      else await proven(content.bytes, segment, onKey).catch(orTell(() => onSegment(segment)))
    }),
})

const proven = async (bytes: Uint8Array, name: string, onKey: (keyId: string) => void): Promise<void> =>
  checkSegment(bytes, name, onKey)

const orTell =
  (tell: (error: VaultError) => void) =>
  (error: unknown): undefined => {
    if (!(error instanceof VaultError)) throw error
    tell(error)
    return undefined
  }

/** By id and disk; the order of the ranges is that of the segments' names. */
const grouped = (ranges: readonly SegmentRange[]): ReadonlyMap<string, readonly SegmentRange[]> => {
  const groups = new Map<string, SegmentRange[]>()
  for (const range of joinSegmentRanges(ranges)) {
    const name = `segments/${range.recoveryPointId}/${range.disk}/`
    const group = groups.get(name)
    if (group === undefined) groups.set(name, [range])
    else group.push(range)
  }
  return groups
}

/** What was checked longest ago comes first. */
export const byAge = (a: { readonly stamp: CheckStamp }, b: { readonly stamp: CheckStamp }): number =>
  a.stamp.checkedAt < b.stamp.checkedAt ? -1 : a.stamp.checkedAt > b.stamp.checkedAt ? 1 : 0
