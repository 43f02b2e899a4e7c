import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'

/** A vault's objects by name; null where one was taken away. */
export type Objects = ReadonlyMap<string, Buffer>
export type Changes = Map<string, Buffer | null>

/** Where the parts of a layer lie, found by docs/format.md alone: what is done here must not depend on the code under test. */
export interface LayerPlaces {
  readonly footerAt: number
  readonly fencesAt: number
  readonly fences: readonly { readonly at: number; readonly place: number; readonly length: number }[]
}

/** As many as the object has room for: an earlier change may have made the number a giant one.
 * @throws RangeError */
const numbered = <T>(count: number, roomFor: number, entryOf: (number: number) => T): readonly T[] => {
  if (count > roomFor) throw new RangeError(`${count} entries where ${roomFor} have room`)
  return Array.from({ length: count }, (_, number) => entryOf(number))
}

const tailBytes = 44
const fenceBytes = 64

export const layerPlaces = (layer: Buffer): LayerPlaces => {
  const footerAt = layer.length - layer.readUInt32LE(layer.length - 12)
  const count = layer.readUInt32LE(footerAt + 20)
  const fencesAt = layer.length - tailBytes - count * fenceBytes
  const fences = numbered(count, layer.length / fenceBytes, (number) => {
    const at = fencesAt + number * fenceBytes
    return { at, place: Number(layer.readBigUInt64LE(at + 16)), length: layer.readUInt32LE(at + 24) }
  })
  return { footerAt, fencesAt, fences }
}

/** A frame as a shard names it; `entryAt` is where its table entry begins in the layer. */
export interface FramePlaces {
  readonly entryAt: number
  readonly segment: string
  readonly place: number
  readonly storedLength: number
}

const frameEntryBytes = 56
export const runBytes = 12

/** The frames of the shard that begins at `shardAt`. */
export const framesOf = (layer: Buffer, shardAt: number): readonly FramePlaces[] => {
  let at = shardAt + 48
  const text = (): string => {
    const length = layer.readUInt16LE(at)
    at += 2 + length
    return layer.toString('latin1', at - length, at)
  }
  for (let births = layer.readUInt16LE(shardAt + 20); births > 0; births -= 1) {
    text()
    text()
    at += 8
  }
  const segments = Array.from({ length: layer.readUInt16LE(shardAt + 22) }, text)
  return numbered(layer.readUInt32LE(shardAt + 16), layer.length / frameEntryBytes, (number) => {
    const entryAt = at + number * frameEntryBytes
    const segment = segments[layer.readUInt16LE(entryAt)] ?? ''
    return { entryAt, segment, place: layer.readUInt32LE(entryAt + 4), storedLength: layer.readUInt32LE(entryAt + 8) }
  })
}

const sha256 = (bytes: Buffer): Buffer => createHash('sha256').update(bytes).digest()

/** The frame's header with the CRC-32 that belongs to it; in place. */
export const resealHeader = (segment: Buffer, at: number): void => {
  const end = at + segment.readUInt16LE(at + 12)
  if (end - at >= 68 && end <= segment.length) segment.writeUInt32LE(crc32(segment.subarray(at, end - 4)), end - 4)
}

/** The frame's header with the digest and the CRC-32 that belong to it and to its payload; in place.
 * @returns the digest, for the frame's entry in a layer */
export const resealFrame = (segment: Buffer, at: number): Buffer => {
  const end = at + segment.readUInt16LE(at + 12)
  const payload = segment.subarray(end, end + segment.readUInt32LE(at + 16))
  const digest = sha256(Buffer.concat([segment.subarray(at, Math.max(at, end - 36)), payload]))
  if (end - at >= 68 && end <= segment.length) digest.copy(segment, end - 36)
  resealHeader(segment, at)
  return digest
}

/** The layer with digests of its shards and of its footer made anew; in place. Fence keys are where they were before the change. */
export const resealLayer = (layer: Buffer, { footerAt, fences }: LayerPlaces): void => {
  for (const { at, place, length } of fences) sha256(layer.subarray(place, place + length)).copy(layer, at + 32)
  sha256(layer.subarray(footerAt, layer.length - tailBytes)).copy(layer, layer.length - tailBytes)
}

interface ReferenceJson {
  layerId?: string
  lengthBytes: number
  footerBytes: number
  digest: string
}

interface RecordJson {
  merkleRoot?: string
  disks?: { stack: ReferenceJson[]; sidecar: ReferenceJson | null }[]
}

export const isRecord = (name: string): boolean => name.startsWith('recovery-points/')

/** What stands between the digest and the end of a sealed JSON object. */
export const recordOf = (sealed: Buffer): string => sealed.toString('utf8', 86, sealed.length - 2)

export const sealRecord = (body: string): Buffer =>
  Buffer.from(`{"sha256":"${sha256(Buffer.from(body)).toString('hex')}","record":${body}}\n`)

/** Every commit record that names the layer names it as it is now, Merkle root included. */
export const resealRecords = (objects: Objects, changes: Changes, layerName: string): void => {
  const layer = changes.get(layerName) ?? objects.get(layerName)
  if (layer === null || layer === undefined) return
  const footerBytes = layer.readUInt32LE(layer.length - 12)
  const digest = layer.subarray(layer.length - tailBytes, layer.length - 12).toString('hex')
  for (const [name, sealed] of objects) {
    if (!isRecord(name)) continue
    const record: RecordJson = JSON.parse(recordOf(changes.get(name) ?? sealed))
    for (const { stack } of record.disks ?? [])
      for (const reference of stack)
        if (`layers/${reference.layerId}` === layerName)
          Object.assign(reference, { lengthBytes: layer.length, footerBytes, digest })
    if (record.disks === undefined) continue
    changes.set(name, sealRecord(JSON.stringify({ ...record, merkleRoot: merkleRoot(record) })))
  }
}

export const merkleRoot = ({ disks = [] }: RecordJson): string => {
  const digests = disks.flatMap(({ stack, sidecar }) => [...stack, ...(sidecar === null ? [] : [sidecar])])
  return sha256(Buffer.concat(digests.map(({ digest }) => Buffer.from(digest, 'hex')))).toString('hex')
}
