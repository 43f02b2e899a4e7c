import { type ChangedRange, type Extent, endOf } from '../domain/extent.ts'
import { layerName } from '../format/names.ts'
import { VaultError } from '../format/vault-error.ts'
import { parseVaultName } from '../format/vault-name.ts'
import type { CallOptions, ObjectReader } from '../ports/blob-store.ts'
import type { DiskReader } from '../ports/disk-reader.ts'
import type { DamageReport } from './damage-reports.ts'
import { createDamageLocator, type DiskStack } from './damaged-ranges.ts'
import { type FramesBySegment, framesUnder } from './frames-under-keys.ts'
import { layerRuns, openLayer } from './layer-reader.ts'

/** Where the disk shows bytes of frames that are reported as damaged, or whose data key is: a transfer that lies on the stack has to bring them anew, then it hides
 * them. Looks at the stack's index itself, as the reports may be older than the stack. Sorted, not overlapping.
 * @throws VaultError naming a layer where one that is reported is damaged indeed: nothing can lie on it */
export const rangesToHeal = async (
  reader: ObjectReader,
  disk: DiskStack,
  reports: readonly DamageReport[],
  options: CallOptions = {},
): Promise<readonly Extent[]> => {
  const reported = new Set(reports.flatMap(({ kind, name }) => (kind === 'index' ? name : [])))
  for (const reference of disk.stack) {
    if (!reported.has(layerName(reference.layerId))) continue
    const layer = await openLayer(reader, reference, options)
    const window = { offsetBytes: 0, lengthBytes: layer.footer.diskBytes }
    for await (const _ of layerRuns(reader, layer, window, options));
  }
  const damaged = new Map<string, ReadonlySet<number> | null>(
    reports
      .filter(({ kind }) => kind === 'data')
      .map(({ name, frames }) => [name, frames === null ? null : new Set(frames)] as const),
  )
  for (const [segment, places] of await unopenable(reader, disk, reports, options)) {
    const known = damaged.get(segment)
    if (known !== null) damaged.set(segment, new Set([...(known ?? []), ...places]))
  }
  return damaged.size === 0 ? [] : createDamageLocator(reader, options).shownBy(disk, damaged)
}

/** Whether one of the disks cannot be restored whole because of what is reported, or because an index of it is damaged. Looks at the indexes, as the reports may
 * be older than the disks' layers. */
export const showsDamage = async (
  reader: ObjectReader,
  disks: readonly DiskStack[],
  reports: readonly DamageReport[],
  options: CallOptions = {},
): Promise<boolean> => {
  try {
    for (const disk of disks) if ((await rangesToHeal(reader, disk, reports, options)).length > 0) return true
    return false
  } catch (error) {
    if (error instanceof VaultError) return true
    throw error
  }
}

/** Frames under data keys whose records are damaged or gone. */
const unopenable = async (
  reader: ObjectReader,
  { stack }: DiskStack,
  reports: readonly DamageReport[],
  options: CallOptions,
): Promise<FramesBySegment> => {
  const keyIds = new Set<string>()
  for (const { name } of reports) {
    const parsed = parseVaultName(name)
    if (parsed.kind === 'key') keyIds.add(parsed.keyId)
  }
  if (keyIds.size === 0) return new Map()
  const all = new Map<string, Set<number>>()
  for (const frames of (await framesUnder(reader, stack, keyIds, options)).values())
    for (const [segment, places] of frames) all.set(segment, new Set([...(all.get(segment) ?? []), ...places]))
  return all
}

/** The same source, whose list also names these ranges as data where it says nothing of them. What lies behind its end is left out.
 * @param added sorted, not overlapping */
export const withRangesAdded = (reader: DiskReader, added: readonly Extent[]): DiskReader => ({
  ...reader,
  get counters() {
    return reader.counters
  },
  listRanges: async function* (window, options = {}) {
    const begin = window?.offsetBytes ?? 0
    const end = window === null ? await reader.sizeBytes(options) : begin + window.lengthBytes
    const gaps = createGapFiller(clipped(added, begin, end))
    for await (const page of reader.listRanges(window, options)) {
      const ranges: ChangedRange[] = []
      for (const range of page) {
        ranges.push(...gaps.before(range.offsetBytes), range)
        gaps.skip(endOf(range))
      }
      yield ranges
    }
    yield gaps.before(end)
  },
})

const clipped = (extents: readonly Extent[], begin: number, end: number): Extent[] =>
  extents.flatMap(({ offsetBytes, lengthBytes }) => {
    const from = Math.max(begin, offsetBytes)
    const to = Math.min(end, offsetBytes + lengthBytes)
    return from < to ? { offsetBytes: from, lengthBytes: to - from } : []
  })

/** Hands out the parts of the extents that no other range covers, in order of offset. */
const createGapFiller = (extents: readonly Extent[]) => {
  let index = 0
  let at = 0
  return {
    before: (offsetBytes: number): ChangedRange[] => {
      const parts: ChangedRange[] = []
      for (let extent = extents[index]; extent !== undefined; extent = extents[index]) {
        const extentEnd = endOf(extent)
        const from = Math.max(at, extent.offsetBytes)
        const to = Math.min(offsetBytes, extentEnd)
        if (from < to) parts.push({ offsetBytes: from, lengthBytes: to - from, kind: 'data' })
        if (extentEnd > offsetBytes) break
        index += 1
      }
      at = Math.max(at, offsetBytes)
      return parts
    },
    skip: (offsetBytes: number): void => {
      at = Math.max(at, offsetBytes)
    },
  }
}
