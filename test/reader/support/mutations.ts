import { constants, zstdCompressSync } from 'node:zlib'
import type { SeededRandom } from '../../support/seeded-random.ts'
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
  resealHeader,
  resealLayer,
  resealRecords,
  sealRecord,
  sha256,
} from './objects.ts'

/** A vault with something wrong. */
export interface Mutant {
  readonly what: string
  readonly changes: Changes
  /** Digests were made anew up to the commit record, so that nothing can tell that other bytes were meant. */
  readonly isForged: boolean
}

type Mutation = (random: SeededRandom, objects: Objects) => Mutant

/** One thing wrong with the vault, or now and then two. */
export const mutate = (random: SeededRandom, objects: Objects): Mutant => {
  const first = pick(random, mutations)(random, objects)
  if (random.below(5) > 0) return first
  const then = new Map(objects)
  for (const [name, bytes] of first.changes) if (bytes !== null) then.set(name, bytes)
  const second = onDamaged(() => pick(random, mutations)(random, then))
  return {
    what: `${first.what}; ${second.what}`,
    changes: new Map([...first.changes, ...second.changes]),
    isForged: first.isForged || second.isForged,
  }
}

/** The first change may have left nothing where the second one works. */
const onDamaged = (second: () => Mutant): Mutant => {
  try {
    return second()
  } catch (error) {
    if (error instanceof RangeError) return nothing
    throw error
  }
}

const pick = <T>(random: SeededRandom, from: readonly T[]): T => {
  const picked = from[random.below(from.length)]
  if (picked === undefined) throw new Error('there is nothing to pick from')
  return picked
}

/** A name of an object that a restore may read. */
const anyName = (random: SeededRandom, objects: Objects, prefix = ''): string =>
  pick(
    random,
    [...objects.keys()].filter((name) => name.startsWith(prefix) && !name.startsWith('slices/')),
  )

const bytesOf = (objects: Objects, name: string): Buffer => Buffer.from(objects.get(name) ?? Buffer.alloc(0))

/** A change of one object's bytes, nothing else. */
const changed =
  (what: string, change: (random: SeededRandom, bytes: Buffer, objects: Objects) => Buffer): Mutation =>
  (random, objects) => {
    const name = anyName(random, objects)
    const bytes = change(random, bytesOf(objects, name), objects)
    return { what: `${what} in ${name}`, changes: new Map([[name, bytes]]), isForged: false }
  }

const span = (random: SeededRandom, bytes: Buffer): [number, number] => {
  const from = random.below(bytes.length + 1)
  return [from, Math.min(bytes.length, from + 1 + random.below(random.below(2) === 0 ? 16 : 4096))]
}

const plainChanges: readonly Mutation[] = [
  changed('a flipped bit', (random, bytes) => {
    const at = random.below(bytes.length)
    bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8))
    return bytes
  }),
  changed('a cut', (random, bytes) => bytes.subarray(0, random.below(bytes.length))),
  changed('a cut head', (random, bytes) => bytes.subarray(random.below(bytes.length))),
  changed('more at the end', (random, bytes) => Buffer.concat([bytes, random.bytes(1 + random.below(200))])),
  changed('zeros', (random, bytes) => bytes.fill(0, ...span(random, bytes))),
  changed('a lost block', (random, bytes) => {
    const [from, to] = span(random, bytes)
    return Buffer.concat([bytes.subarray(0, from), bytes.subarray(to)])
  }),
  changed('bytes of another object', (random, bytes, objects) => {
    const other = bytesOf(objects, anyName(random, objects))
    const [from, to] = span(random, other)
    other.copy(bytes, random.below(bytes.length), from, to)
    return bytes
  }),
  changed('another object', (random, bytes, objects) => {
    const other = bytesOf(objects, anyName(random, objects))
    return random.below(2) === 0 ? other : Buffer.concat([bytes, other])
  }),
  (random, objects) => {
    const name = anyName(random, objects)
    return { what: `no ${name}`, changes: new Map([[name, null]]), isForged: false }
  },
  (random, objects) => {
    const kind = pick(random, ['segments/', 'layers/', 'recovery-points/', ''])
    const [one, two] = [anyName(random, objects, kind), anyName(random, objects, kind)]
    const changes = new Map([
      [one, bytesOf(objects, two)],
      [two, bytesOf(objects, one)],
    ])
    return { what: `${one} and ${two} for each other`, changes, isForged: false }
  },
]

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

const nothing: Mutant = { what: 'nothing', changes: new Map(), isForged: false }

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

/** A wrong header under a right CRC-32. The index still tells what the frame must be. */
const wrongHeader: Mutation = (random, objects) => {
  const picked = anyFrame(random, objects)
  if (picked === null) return nothing
  const { segment, place } = picked.frame
  const bytes = bytesOf(objects, segment)
  disturb(random, bytes, place, place + 116)
  resealHeader(bytes, place)
  return { what: `frame header at ${place} of ${segment}`, changes: new Map([[segment, bytes]]), isForged: false }
}

/** An encrypted frame that says it is not. Its payload is what the index promises, and nothing that a digest covers says whether it is
 * encrypted: as good as forged. */
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
  resealHeader(bytes, place)
  return { what: `frame at ${place} of ${segment} as plain`, changes: new Map([[segment, bytes]]), isForged: true }
}

/** Another payload with its own length and digest, everywhere where the format tells them; now and then one that unpacks to 64 MiB. */
const otherPayload: Mutation = (random, objects) => {
  const picked = anyFrame(random, objects)
  if (picked === null) return nothing
  const { layer, layerName, places, frame } = picked
  const segment = bytesOf(objects, frame.segment)
  const headerBytes = segment.readUInt16LE(frame.place + 12)
  const payloadMax = frame.storedLength - headerBytes
  const plain = Buffer.alloc(pick(random, [0, 512, 4096, 8192, 8193, 64 * 1024 * 1024]), random.below(3))
  const checked = { params: { [constants.ZSTD_c_checksumFlag]: random.below(4) === 0 ? 0 : 1 } }
  const packed = zstdCompressSync(plain, checked)
  if (packed.length > payloadMax) return nothing
  const payload = random.below(2) === 0 ? packed : Buffer.concat([packed, random.bytes(payloadMax - packed.length)])
  const payloadAt = frame.place + headerBytes
  payload.copy(segment, payloadAt)
  segment.writeUInt32LE(payload.length, frame.place + 16)
  if (random.below(2) === 0) segment[frame.place + 9] = 1
  sha256(payload).copy(segment, payloadAt - 36)
  resealHeader(segment, frame.place)
  layer.writeUInt32LE(headerBytes + payload.length, frame.entryAt + 8)
  sha256(payload).copy(layer, frame.entryAt + 24)
  const changes: Changes = new Map([
    [frame.segment, segment],
    [layerName, layer],
  ])
  return forged(`payload at ${frame.place} of ${frame.segment}`, objects, changes, layerName, places)
}

const wrongShard: Mutation = (random, objects) => {
  const picked = anyFrame(random, objects)
  if (picked === null) return nothing
  const { layer, layerName, places } = picked
  const { place, length } = pick(random, places.fences)
  disturb(random, layer, place, place + length)
  return forged('a shard', objects, new Map([[layerName, layer]]), layerName, places)
}

const wrongFooter: Mutation = (random, objects) => {
  const picked = anyFrame(random, objects)
  if (picked === null) return nothing
  const { layer, layerName, places } = picked
  disturb(random, layer, places.footerAt, layer.length - 44)
  return forged('the footer', objects, new Map([[layerName, layer]]), layerName, places)
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

const mutations: readonly Mutation[] = [
  ...plainChanges,
  wrongHeader,
  saysItIsPlain,
  otherPayload,
  wrongShard,
  wrongShard,
  wrongFooter,
  wrongRecord,
]
