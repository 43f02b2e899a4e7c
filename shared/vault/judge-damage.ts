import type { Extent } from '../domain/extent.ts'
import type { LayerReference } from '../domain/recovery-point.ts'
import type { FramePlace } from '../format/frame.ts'
import { VaultError } from '../format/vault-error.ts'
import type { BlobReader, CallOptions } from '../ports/blob-store.ts'
import { checkFrame, checkSegment } from './check-segment.ts'
import type { DamageReport, Touch } from './damage-reports.ts'
import { createDamageLocator, type DamageLocator } from './damaged-ranges.ts'
import type { VmContents } from './vm-contents.ts'

/** What is wrong with an object and what is lost by it. */
export type Judgement = Pick<DamageReport, 'name' | 'kind' | 'code' | 'message' | 'frames' | 'touches'>

/** Ranges of one disk that a report names one by one. */
const rangesMax = 256

/** Looks at a segment that something was found wrong with, or that was said to be damaged earlier, with the eyes of the layers that need it.
 * @returns null where it is whole, or nothing needs it */
export const judgeSegment = async (
  reader: BlobReader,
  name: string,
  contents: VmContents,
  options: CallOptions,
): Promise<Judgement | null> => {
  const locator = createDamageLocator(reader, options)
  const needed = await neededFrames(locator, name, contents.layers.values())
  if (needed === null) return null
  const content = await reader.read(name, options)
  const bytes = content?.bytes ?? null
  const [first, bad] = wrongFrames(bytes, name, needed)
  if (first === null) return null
  const frames = bytes === null ? null : [...bad]
  const touches = bad.size === 0 ? [] : await touchesOf(locator, name, bad, contents)
  const { code } = first.fault
  return { name, kind: bad.size === 0 ? 'directory' : 'data', code, message: first.message, frames, touches }
}

/** The frames that layers name in the segment; null where no layer needs it. Layers that are damaged themselves do not tell. */
const neededFrames = async (
  locator: DamageLocator,
  name: string,
  layers: Iterable<LayerReference>,
): Promise<readonly FramePlace[] | null> => {
  const frames = new Set<FramePlace>()
  let isNeeded = false
  for (const layer of layers)
    try {
      isNeeded ||= await locator.needs(layer, name)
      for await (const { frame } of locator.runsIn(layer, new Set([name]))) if (frame !== null) frames.add(frame)
    } catch (error) {
      if (!(error instanceof VaultError)) throw error
    }
  return isNeeded ? [...frames] : null
}

/** The first thing that is wrong, and the places of the frames that are. */
const wrongFrames = (
  bytes: Uint8Array | null,
  name: string,
  needed: readonly FramePlace[],
): readonly [VaultError | null, ReadonlySet<number>] => {
  const places = new Set(needed.map(({ placeBytes }) => placeBytes))
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
    if (error instanceof VaultError) return error
    throw error
  }
}

const touchesOf = async (
  locator: DamageLocator,
  name: string,
  bad: ReadonlySet<number>,
  { points }: VmContents,
): Promise<Touch[]> => {
  const touches: Touch[] = []
  for (const { recoveryPointId, disks } of points)
    for (const disk of disks) {
      const ranges = await shownOrUnknown(() => locator.shownBy(disk, new Map([[name, bad]])))
      if (ranges === null) touches.push({ recoveryPointId, disk: disk.disk, ranges })
      else if (ranges.length > 0) touches.push({ recoveryPointId, disk: disk.disk, ranges: bounded(ranges) })
    }
  return touches
}

/** Null where an index on the way is damaged: such a disk cannot be restored anyway. */
const shownOrUnknown = async (shown: () => Promise<readonly Extent[]>): Promise<readonly Extent[] | null> => {
  try {
    return await shown()
  } catch (error) {
    if (error instanceof VaultError) return null
    throw error
  }
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
