import { createHash } from 'node:crypto'
import type { BlobContent } from '../../shared/ports/blob-store.ts'

/** What a vault needs, worked out from docs/format.md alone: nothing of the collector's code is used. */

interface Record {
  readonly recoveryPointId: string
  readonly vmKey: string
  readonly expired?: true
  readonly aborted?: true
  readonly disks?: readonly {
    readonly stack: readonly { readonly layerId: string }[]
    readonly sidecar: { readonly sidecarId: string } | null
  }[]
}

type Objects = ReadonlyMap<string, BlobContent>

/** Names in the vault that nothing needs, and names that are needed and are not there. For moments at which nobody is at work. */
export const judgeVault = (objects: Objects): { readonly unneeded: string[]; readonly missing: string[] } => {
  const needed = judgeNeeded(objects)
  const isKept = (name: string): boolean => needed.has(name) || name.startsWith('keys/')
  return {
    unneeded: [...objects.keys()].filter((name) => !isKept(name)).sort(),
    missing: [...needed].filter((name) => !objects.has(name)).sort(),
  }
}

/** Names in the control container that no job, no damage and no later backup has a use for, once all jobs have ended. */
export const uselessInControl = (objects: Objects): string[] =>
  [...objects.keys()].filter((name) =>
    /^(attempts|claims|condemned|damage|intents|plans|progress|stops|unfinished)\//.test(name),
  )

/** Recovery points that were fenced off, with their VMs. */
export const abortedIn = (objects: Objects): { readonly recoveryPointId: string; readonly vmKey: string }[] =>
  [...recordsByPoint(objects).values()].flatMap(([first = '']) => {
    const { aborted, recoveryPointId, vmKey } = readRecord(objects, first)
    return aborted === true && recoveryPointId !== undefined && vmKey !== undefined ? [{ recoveryPointId, vmKey }] : []
  })

/** Names in the vault that its commit records need. */
export const judgeNeeded = (objects: Objects): Set<string> => {
  const needed = new Set<string>()
  for (const revisions of recordsByPoint(objects).values()) {
    const newest = revisions.at(-1) ?? ''
    const { disks } = readRecord(objects, newest)
    if (disks === undefined) {
      needed.add(newest)
      continue
    }
    for (const name of revisions) needed.add(name)
    for (const { stack, sidecar } of disks) {
      if (sidecar !== null) needed.add(`sidecars/${sidecar.sidecarId}`)
      for (const { layerId } of stack) addLayer(objects, needed, layerId)
    }
  }
  return needed
}

/** The names of each recovery point's revisions, in order. */
const recordsByPoint = (objects: Objects): Map<string, string[]> => {
  const points = new Map<string, string[]>()
  for (const name of [...objects.keys()].sort()) {
    if (!name.startsWith('recovery-points/')) continue
    const point = name.slice(0, name.lastIndexOf('/'))
    points.set(point, [...(points.get(point) ?? []), name])
  }
  return points
}

/** Of a damaged record nothing is known. */
const readRecord = (objects: Objects, name: string): Partial<Record> => {
  try {
    return (JSON.parse(Buffer.from(objects.get(name)?.bytes ?? []).toString()) as { record?: Record }).record ?? {}
  } catch {
    return {}
  }
}

/** A layer needs the segments in its footer; the slice indexes it was made of are kept with it. */
const addLayer = (objects: Objects, needed: Set<string>, layerId: string): void => {
  const name = `layers/${layerId}`
  if (needed.has(name)) return
  needed.add(name)
  for (const candidate of objects.keys()) if (candidate.startsWith(`slices/${layerId}/`)) needed.add(candidate)
  const layer = objects.get(name)?.bytes
  if (layer !== undefined) for (const segment of segmentsOf(Buffer.from(layer))) needed.add(segment)
}

/** Digest, length and magic at the end of a footer. */
const tailBytes = 44

/** docs/format.md, section 6: the footer of a layer; null where it is damaged. */
const footerOf = (layer: Buffer): Buffer | null => {
  if (layer.length < tailBytes) return null
  const lengthBytes = layer.readUInt32LE(layer.length - 12)
  if (lengthBytes < tailBytes || lengthBytes > layer.length) return null
  const footer = layer.subarray(layer.length - lengthBytes)
  const proven = createHash('sha256').update(footer.subarray(0, -tailBytes)).digest()
  return proven.equals(footer.subarray(-tailBytes, -12)) ? footer : null
}

/** Of a layer whose footer is damaged nothing is known. */
function* segmentsOf(layer: Buffer): Generator<string> {
  const footer = footerOf(layer)
  if (footer === null) return
  let at = 120
  const text = (): string => {
    const length = footer.readUInt16LE(at)
    at += 2 + length
    return footer.toString('ascii', at - length, at)
  }
  const number = (): number => {
    at += 4
    return footer.readUInt32LE(at - 4)
  }
  text()
  text()
  for (let left = footer.readUInt32LE(28); left > 0; left -= 1) {
    const [id, disk, slice, attempt, first, last] = [text(), text(), number(), number(), number(), number()]
    for (let n = first; n <= last; n += 1)
      yield `segments/${id}/${disk}/${digits(slice, 6)}.${digits(attempt, 4)}-${digits(n, 5)}`
  }
}

const digits = (value: number, count: number): string => String(value).padStart(count, '0')
