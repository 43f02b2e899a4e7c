import { type Extent, endOf } from '../domain/extent.ts'
import type { LayerReference } from '../domain/recovery-point.ts'
import type { FramePlace } from '../format/frame.ts'
import { isInRanges } from '../format/segment-ranges.ts'
import type { PlacedRun } from '../format/shard-builder.ts'
import type { CallOptions, ObjectReader } from '../ports/blob-store.ts'
import { type Layer, layerRuns, openLayer } from './layer-reader.ts'
import { mergeLayers } from './merge-layers.ts'

/** Frames that are damaged, by their segment; null for all frames of a segment. */
export type DamagedFrames = ReadonlyMap<string, ReadonlySet<number> | null>

/** A disk of `sizeBytes` and what it shows: layers, newest first. */
export interface DiskStack {
  readonly stack: readonly LayerReference[]
  readonly sizeBytes: number
}

/** A part of the disk whose bytes lie in a damaged frame. */
export interface ShownDamage extends Extent {
  readonly segment: string
}

/** Reads indexes to tell what damaged frames are needed for. A layer is opened once, however many disks have it. */
export interface DamageLocator {
  /** Those of the segments that the layer's footer names. @throws VaultError */
  needed(layer: LayerReference, segments: Iterable<string>): Promise<readonly string[]>
  /** The data runs of the layer whose frames lie in one of the segments. @throws VaultError */
  runsIn(layer: LayerReference, segments: ReadonlySet<string>): AsyncGenerator<PlacedRun>
  /** Where the disk shows bytes of damaged frames, with their segment: in order of offset, joined where they touch. @throws VaultError */
  shownBy(disk: DiskStack, damaged: DamagedFrames): Promise<readonly ShownDamage[]>
}

/** Reads nothing yet; keeps the footers that it opens, so it serves one look at many disks. */
export const createDamageLocator = (reader: ObjectReader, options: CallOptions): DamageLocator => {
  const opened = new Map<string, Promise<Layer>>()
  const open = (reference: LayerReference): Promise<Layer> => {
    const key = `${reference.layerId} ${reference.digest}`
    const layer = opened.get(key) ?? openLayer(reader, reference, options)
    opened.set(key, layer)
    return layer
  }
  async function* runsIn(reference: LayerReference, segments: ReadonlySet<string>): AsyncGenerator<PlacedRun> {
    const layer = await open(reference)
    if (![...segments].some((name) => isInRanges(layer.footer.segmentRanges, name))) return
    const window = { offsetBytes: 0, lengthBytes: layer.footer.diskBytes }
    for await (const batch of layerRuns(reader, layer, window, options))
      for (const run of batch) if (run.frame !== null && segments.has(run.frame.segment)) yield run
  }
  const shownBy = async ({ stack, sizeBytes }: DiskStack, damaged: DamagedFrames): Promise<readonly ShownDamage[]> => {
    const span = await spanOf(stack, damaged)
    if (span === null) return []
    const window = { ...span, lengthBytes: Math.min(span.lengthBytes, sizeBytes - span.offsetBytes) }
    if (window.lengthBytes <= 0) return []
    const layers = await Promise.all(stack.map(open))
    const runs = layers.map((layer) => layerRuns(reader, layer, window, options))
    const shown: ShownDamage[] = []
    for await (const { frame, offsetBytes, lengthBytes } of mergeLayers(runs, window))
      if (frame !== null && isDamaged(frame, damaged))
        addShown(shown, { segment: frame.segment, offsetBytes, lengthBytes })
    return shown
  }
  /** From the first to the last offset at which any layer names a damaged frame. */
  const spanOf = async (stack: readonly LayerReference[], damaged: DamagedFrames): Promise<Extent | null> => {
    const segments = new Set(damaged.keys())
    let span: Extent | null = null
    for (const layer of stack)
      for await (const run of runsIn(layer, segments))
        if (run.frame !== null && isDamaged(run.frame, damaged)) span = covering(span, run)
    return span
  }
  const needed = async (reference: LayerReference, segments: Iterable<string>): Promise<readonly string[]> => {
    const { segmentRanges } = (await open(reference)).footer
    return [...segments].filter((name) => isInRanges(segmentRanges, name))
  }
  return { needed, runsIn, shownBy }
}

const isDamaged = ({ segment, placeBytes }: FramePlace, damaged: DamagedFrames): boolean => {
  const places = damaged.get(segment)
  return places === null || places?.has(placeBytes) === true
}

const covering = (span: Extent | null, added: Extent): Extent => {
  if (span === null) return { offsetBytes: added.offsetBytes, lengthBytes: added.lengthBytes }
  const offsetBytes = Math.min(span.offsetBytes, added.offsetBytes)
  return { offsetBytes, lengthBytes: Math.max(endOf(span), endOf(added)) - offsetBytes }
}

/** @param list sorted; what is added lies behind all of it */
const addShown = (list: ShownDamage[], shown: ShownDamage): void => {
  const last = list.at(-1)
  if (last !== undefined && endOf(last) === shown.offsetBytes && last.segment === shown.segment)
    list[list.length - 1] = { ...last, lengthBytes: last.lengthBytes + shown.lengthBytes }
  else list.push(shown)
}
