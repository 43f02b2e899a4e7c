import type { Extent } from '../domain/extent.ts'
import type { LayerReference } from '../domain/recovery-point.ts'
import type { FramePlace } from '../format/frame.ts'
import { nullIfUnreadable, VaultError, vaultErrorOnly } from '../format/vault-error.ts'
import type { BlobReader, CallOptions } from '../ports/blob-store.ts'
import { checkFrame, checkSegment } from './check-segment.ts'
import type { DamageReport, Touch } from './damage-reports.ts'
import { createDamageLocator, type DamageLocator, type ShownDamage } from './damaged-ranges.ts'
import { framesUnder } from './frames-under-keys.ts'
import type { VmContents } from './vm-contents.ts'

/** What is wrong with an object and what is lost by it. */
export type Judgement = Pick<DamageReport, 'name' | 'kind' | 'code' | 'message' | 'frames' | 'touches'>

/** Ranges of one disk that a report names one by one. */
const rangesMax = 256

/** Looks at segments that something was found wrong with, or that were said to be damaged earlier, with the eyes of the layers that need them.
 * Reads each of these layers once. Segments that are whole, or that nothing needs, are left out. */
export const judgeSegments = async (
  reader: BlobReader,
  names: ReadonlySet<string>,
  contents: VmContents,
  options: CallOptions,
): Promise<readonly Judgement[]> => {
  const locator = createDamageLocator(reader, options)
  const found: Omit<Judgement, 'touches'>[] = []
  const damaged = new Map<string, ReadonlySet<number>>()
  for (const [name, needed] of await neededFrames(locator, names, contents.layers.values())) {
    const bytes = (await reader.read(name, options))?.bytes ?? null
    const [first, bad] = wrongFrames(bytes, name, needed)
    if (first === null) continue
    if (bad.size > 0) damaged.set(name, bad)
    const kind = bad.size === 0 ? 'directory' : 'data'
    found.push({ name, kind, code: first.fault.code, message: first.message, frames: bytes === null ? null : [...bad] })
  }
  const touches = damaged.size === 0 ? new Map<string, Touch[]>() : await touchesOf(locator, damaged, contents)
  return found.map((judgement) => ({ ...judgement, touches: touches.get(judgement.name) ?? [] }))
}

/** The frames that layers name in each of the segments; segments that no layer needs are left out. Layers that are damaged themselves do not
 * tell. */
const neededFrames = async (
  locator: DamageLocator,
  names: ReadonlySet<string>,
  layers: Iterable<LayerReference>,
): Promise<ReadonlyMap<string, ReadonlySet<FramePlace>>> => {
  const frames = new Map<string, Set<FramePlace>>()
  for (const layer of names.size === 0 ? [] : layers)
    try {
      for (const name of await locator.needed(layer, names)) frames.set(name, frames.get(name) ?? new Set())
      for await (const { frame } of locator.runsIn(layer, names))
        if (frame !== null) frames.get(frame.segment)?.add(frame)
    } catch (error) {
      if (!(error instanceof VaultError)) throw error
    }
  return frames
}

/** The first thing that is wrong, and the places of the frames that are. */
const wrongFrames = (
  bytes: Uint8Array | null,
  name: string,
  needed: ReadonlySet<FramePlace>,
): readonly [VaultError | null, ReadonlySet<number>] => {
  const places = new Set([...needed].map(({ placeBytes }) => placeBytes))
  if (bytes === null) return [new VaultError({ code: 'object-missing', name }), places]
  const bad = new Set<number>()
  let first: VaultError | null = null
  for (const frame of needed) {
    const error = errorOf(() => checkFrame(bytes, frame, () => undefined))
    if (error !== null) bad.add(frame.placeBytes)
    first ??= error
  }
  return [first ?? errorOf(() => checkSegment(bytes, name, () => undefined)), bad]
}

const errorOf = (check: () => void): VaultError | null => {
  try {
    check()
    return null
  } catch (error) {
    return vaultErrorOnly(error)
  }
}

/** @returns by segment, in order of recovery points */
const touchesOf = async (
  locator: DamageLocator,
  damaged: ReadonlyMap<string, ReadonlySet<number>>,
  { points }: VmContents,
): Promise<ReadonlyMap<string, Touch[]>> => {
  const touches = new Map([...damaged.keys()].map((name) => [name, [] as Touch[]]))
  for (const { recoveryPointId, disks } of points)
    for (const disk of disks) {
      const shown = await shownOrUnknown(() => locator.shownBy(disk, damaged))
      for (const [name, list] of touches) {
        const ranges = shown?.filter(({ segment }) => segment === name).map(withoutSegment) ?? null
        if (ranges === null) list.push({ recoveryPointId, disk: disk.disk, ranges })
        else if (ranges.length > 0) list.push({ recoveryPointId, disk: disk.disk, ranges: bounded(ranges) })
      }
    }
  return touches
}

const withoutSegment = ({ offsetBytes, lengthBytes }: ShownDamage): Extent => ({ offsetBytes, lengthBytes })

/** Null where an index on the way is damaged: such a disk cannot be restored anyway. */
const shownOrUnknown = (shown: () => Promise<readonly ShownDamage[]>): Promise<readonly ShownDamage[] | null> =>
  shown().catch(nullIfUnreadable)

/** What is lost by data keys whose records cannot be read: what shows frames under them, whatever recovery point they were made for. A key that nothing
 * of the VM needs is left out.
 * @param errors by data key */
export const judgeKeys = async (
  reader: BlobReader,
  errors: ReadonlyMap<string, VaultError>,
  contents: VmContents,
  options: CallOptions,
): Promise<readonly Judgement[]> => {
  if (errors.size === 0) return []
  const frames = await framesUnder(reader, contents.layers.values(), new Set(errors.keys()), options)
  const locator = createDamageLocator(reader, options)
  const judgements: Judgement[] = []
  for (const [keyId, { fault, message }] of errors) {
    const damaged = frames.get(keyId) ?? new Map<string, ReadonlySet<number>>()
    const touches = await touchesOfAll(locator, damaged, contents)
    if (touches.length > 0 || contents.points.some((point) => point.keyId === keyId))
      judgements.push({ name: fault.name, kind: 'key', code: fault.code, message, frames: null, touches })
  }
  return judgements
}

/** What each disk loses by all of the frames together. */
const touchesOfAll = async (
  locator: DamageLocator,
  damaged: ReadonlyMap<string, ReadonlySet<number>>,
  { points }: VmContents,
): Promise<Touch[]> => {
  const touches: Touch[] = []
  for (const { recoveryPointId, disks } of damaged.size === 0 ? [] : points)
    for (const disk of disks) {
      const shown = await shownOrUnknown(() => locator.shownBy(disk, damaged))
      if (shown === null) touches.push({ recoveryPointId, disk: disk.disk, ranges: null })
      else if (shown.length > 0) touches.push({ recoveryPointId, disk: disk.disk, ranges: bounded(joined(shown)) })
    }
  return touches
}

/** @param extents in order of offset */
const joined = (extents: readonly Extent[]): Extent[] => {
  const joint: Extent[] = []
  for (const { offsetBytes, lengthBytes } of extents) {
    const last = joint.at(-1)
    if (last === undefined || last.offsetBytes + last.lengthBytes !== offsetBytes)
      joint.push({ offsetBytes, lengthBytes })
    else joint[joint.length - 1] = { offsetBytes: last.offsetBytes, lengthBytes: last.lengthBytes + lengthBytes }
  }
  return joint
}

/** The disks whose stacks have the layer.
 * @param ranges the parts of the disk that need what is damaged of it; null: all */
export const touchesOfLayer = (
  { layerId }: LayerReference,
  ranges: readonly Extent[] | null,
  { points }: VmContents,
): Touch[] =>
  points.flatMap(({ recoveryPointId, disks }) =>
    disks
      .filter(({ stack }) => stack.some((layer) => layer.layerId === layerId))
      .map(({ disk }) => ({ recoveryPointId, disk, ranges: ranges === null ? null : bounded(ranges) })),
  )

/** Few enough to be told: the last one covers the rest. */
const bounded = (ranges: readonly Extent[]): Extent[] => {
  const kept = ranges.slice(0, rangesMax - 1)
  const [first, last] = [ranges[rangesMax - 1], ranges.at(-1)]
  if (first === undefined || last === undefined) return kept
  const { offsetBytes } = first
  return [...kept, { offsetBytes, lengthBytes: last.offsetBytes + last.lengthBytes - offsetBytes }]
}
