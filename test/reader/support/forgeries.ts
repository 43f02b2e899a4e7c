import { constants, zstdCompressSync } from 'node:zlib'
import type { SeededRandom } from '../../support/seeded-random.ts'
import { anyName, bytesOf, type Mutant, type Mutation, nothing, pick } from './mutant.ts'
import {
  type Changes,
  type FramePlaces,
  framesOf,
  isRecord,
  type LayerPlaces,
  layerPlaces,
  merkleRoot,
  type Objects,
  recordOf,
  resealFrame,
  resealHeader,
  resealLayer,
  resealRecords,
  runBytes,
  sealRecord,
} from './objects.ts'

/** Numbers at the edges of what a field can hold, or near what it holds. */
const disturb = (random: SeededRandom, bytes: Buffer, from: number, to: number): void => {
  const at = from + random.below(Math.max(1, to - from))
  const width = Math.min(pick(random, [1, 2, 4, 6]), bytes.length - at)
  if (width < 1) return
  const most = 2 ** (8 * width) - 1
  const held = bytes.readUIntLE(at, width)
  const near = [held + 1, held - 1, held + 512, held - 512, held * 2, most - held]
  const value = pick(random, [0, 1, most, 2 ** (8 * width - 1), random.below(most), ...near])
  bytes.writeUIntLE(Math.min(Math.max(0, value), most), at, width)
}

interface PickedFrame {
  readonly layerName: string
  readonly layer: Buffer
  readonly places: LayerPlaces
  readonly frame: FramePlaces
}

/** A frame of a layer that can still be read; null where the layer has none, or an earlier change made it unreadable. */
const anyFrame = (random: SeededRandom, objects: Objects): PickedFrame | null => {
  try {
    const layerName = anyName(random, objects, 'layers/')
    const layer = bytesOf(objects, layerName)
    const places = layerPlaces(layer)
    const frame = pick(random, framesOf(layer, pick(random, places.fences).place))
    return objects.has(frame.segment) ? { layerName, layer, places, frame } : null
  } catch {
    return null
  }
}

/** The layer with all digests above it made anew. */
const forged = (what: string, objects: Objects, changes: Changes, layerName: string, places: LayerPlaces): Mutant => {
  const layer = changes.get(layerName)
  try {
    if (layer) resealLayer(layer, places)
    resealRecords(objects, changes, layerName)
  } catch {
    return { ...nothing, changes, isForged: true }
  }
  return { what: `${what} of ${layerName}, forged`, changes, isForged: true }
}

/** A wrong header under a right CRC-32, now and then with a digest of its own. The index still tells what the frame must be. */
const wrongHeader: Mutation = (random, objects) => {
  const picked = anyFrame(random, objects)
  if (picked === null) return nothing
  const { segment, place } = picked.frame
  const bytes = bytesOf(objects, segment)
  disturb(random, bytes, place, place + 116)
  if (random.below(2) === 0 && place + bytes.readUInt16LE(place + 12) <= bytes.length) resealFrame(bytes, place)
  else resealHeader(bytes, place)
  return { what: `frame header at ${place} of ${segment}`, changes: new Map([[segment, bytes]]), isForged: false }
}

/** An encrypted frame that says it is not, or that it is compressed, under a right CRC-32 and now and then with a digest of its own. Its
 * payload, its lengths and its birth are what the index promises. */
const saysItIsPlain: Mutation = (random, objects) => {
  const picked = anyFrame(random, objects)
  if (picked === null) return nothing
  const { segment, place } = picked.frame
  const bytes = bytesOf(objects, segment)
  const end = place + bytes.readUInt16LE(place + 12)
  bytes[place + 9] = random.below(2)
  bytes[place + 10] = 0
  bytes.fill(0, place + 36, place + 64)
  bytes.fill(0, end - 52, end - 36)
  if (random.below(2) === 0) resealFrame(bytes, place)
  else resealHeader(bytes, place)
  return { what: `frame at ${place} of ${segment} as plain`, changes: new Map([[segment, bytes]]), isForged: false }
}

/** A zstd frame of some kilobytes that unpacks to 160 MiB of zeros (RFC 8878, section 3.1.1): blocks that each repeat one byte. */
const bomb = (saysItsLength: boolean): Buffer => {
  const blockBytes = 128 * 1024
  const blocks = 1280
  const length = Buffer.alloc(saysItsLength ? 4 : 0)
  if (saysItsLength) length.writeUInt32LE(blocks * blockBytes)
  const head = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, saysItsLength ? 0x84 : 0x04, 0x38])
  const body = Buffer.alloc(4 * blocks)
  for (let block = 0; block < blocks; block += 1)
    body.writeUIntLE((blockBytes << 3) | 2 | (block === blocks - 1 ? 1 : 0), 4 * block, 3)
  return Buffer.concat([head, length, body, Buffer.alloc(4)])
}

/** Another payload with its own length and digest, everywhere where the format tells them. */
const otherPayload: Mutation = (random, objects) => {
  const picked = anyFrame(random, objects)
  if (picked === null) return nothing
  const { layer, layerName, places, frame } = picked
  const segment = bytesOf(objects, frame.segment)
  const headerBytes = segment.readUInt16LE(frame.place + 12)
  const payloadMax = frame.storedLength - headerBytes
  const plain = Buffer.alloc(pick(random, [0, 512, 4096, 8192, 8193]), random.below(3))
  const checked = { params: { [constants.ZSTD_c_checksumFlag]: random.below(4) === 0 ? 0 : 1 } }
  const packed = random.below(3) === 0 ? bomb(random.below(2) === 0) : zstdCompressSync(plain, checked)
  if (packed.length > payloadMax) return nothing
  const payload = random.below(2) === 0 ? packed : Buffer.concat([packed, random.bytes(payloadMax - packed.length)])
  const payloadAt = frame.place + headerBytes
  payload.copy(segment, payloadAt)
  segment.writeUInt32LE(payload.length, frame.place + 16)
  if (random.below(2) === 0) segment[frame.place + 9] = 1
  layer.writeUInt32LE(headerBytes + payload.length, frame.entryAt + 8)
  resealFrame(segment, frame.place).copy(layer, frame.entryAt + 24)
  const changes: Changes = new Map([
    [frame.segment, segment],
    [layerName, layer],
  ])
  return forged(`payload at ${frame.place} of ${frame.segment}`, objects, changes, layerName, places)
}

/** A run that could well be true: shorter, zero, or showing other sectors of its frame. */
const disturbRun = (random: SeededRandom, layer: Buffer, place: number, length: number): void => {
  const at = place + length - runBytes * (1 + random.below(layer.readUInt32LE(place + 12)))
  const change = random.below(3)
  const [extent, position] = [layer.readUInt32LE(at + 4), layer.readUInt16LE(at + 10)]
  if (change === 0 && extent % 2 ** 31 >= 512) layer.writeUInt32LE(extent - 256, at + 4)
  if (change === 1) layer.writeUInt16LE(position > 0 ? position - 1 : 1, at + 10)
  if (change === 2) {
    layer.writeUInt32LE(2 ** 31 + (extent % 2 ** 31), at + 4)
    layer.fill(0, at + 8, at + runBytes)
  }
}

/** A shard or a footer with a wrong number in it. */
const wrongNumber = (random: SeededRandom, layer: Buffer, places: LayerPlaces): string => {
  const { place, length } = pick(random, places.fences)
  const what = random.below(3)
  if (what === 0) disturb(random, layer, places.footerAt, layer.length - 44)
  if (what === 1) disturb(random, layer, place, place + length)
  if (what === 2) disturbRun(random, layer, place, length)
  return ['the footer', `the shard at ${place}`, `a run of the shard at ${place}`][what] ?? ''
}

const forgedLayer: Mutation = (random, objects) => {
  const picked = anyFrame(random, objects)
  if (picked === null) return nothing
  const { layer, layerName, places } = picked
  const what = wrongNumber(random, layer, places)
  return forged(what, objects, new Map([[layerName, layer]]), layerName, places)
}

/** The same, with digests made anew not quite as far as the commit record. */
const halfForgedLayer: Mutation = (random, objects) => {
  const picked = anyFrame(random, objects)
  if (picked === null) return nothing
  const { layer, layerName, places } = picked
  const what = wrongNumber(random, layer, places)
  const told = layer.subarray(layer.length - 44, layer.length - 12)
  const before = Buffer.from(told)
  if (random.below(2) === 0) resealLayer(layer, places)
  if (random.below(2) === 0) before.copy(told)
  return { what: `${what} of ${layerName}, half forged`, changes: new Map([[layerName, layer]]), isForged: false }
}

/** A record, or a key, with one value of its JSON replaced and its digest made anew. */
const wrongRecord: Mutation = (random, objects) => {
  const names = [...objects.keys()].filter((name) => name.endsWith('.json'))
  const name = pick(random, names)
  try {
    const record = JSON.parse(recordOf(bytesOf(objects, name)))
    const what = disturbJson(random, record)
    if (isRecord(name) && random.below(2) === 0 && Array.isArray(record.disks)) record.merkleRoot = merkleRoot(record)
    const changes = new Map([[name, sealRecord(JSON.stringify(record))]])
    return { what: `${what} of ${name}, forged`, changes, isForged: true }
  } catch {
    return nothing
  }
}

const oddValues = (random: SeededRandom): readonly unknown[] => [
  ...[
    null,
    true,
    -1,
    0,
    1,
    2,
    0.5,
    512,
    2 ** 31,
    2 ** 53,
    1e300,
    '',
    'x',
    'r1',
    'r1/os',
    'os',
    'lun-0',
    '../r1',
    [],
    {},
  ],
  ...['0'.repeat(64), '0a'.repeat(16), 'AAAA', random.below(2 ** 30), random.bytes(32).toString('hex')],
]

/** Replaces, removes or doubles one value anywhere below; says which. */
const disturbJson = (random: SeededRandom, value: Record<string, unknown>): string => {
  let holder = value
  let path = ''
  for (;;) {
    const key = pick(random, Object.keys(holder))
    const inner = holder[key]
    path += `.${key}`
    if (typeof inner === 'object' && inner !== null && Object.keys(inner).length > 0 && random.below(6) > 0) {
      holder = inner as Record<string, unknown>
      continue
    }
    if (Array.isArray(holder) && random.below(3) === 0) holder.push(inner)
    else if (random.below(6) === 0) delete holder[key]
    else holder[key] = pick(random, oddValues(random))
    return path
  }
}

/** Changes with digests made anew, so that parsers behind digests are reached. */
export const forgeries: readonly Mutation[] = [
  wrongHeader,
  saysItIsPlain,
  otherPayload,
  forgedLayer,
  forgedLayer,
  halfForgedLayer,
  halfForgedLayer,
  wrongRecord,
]
