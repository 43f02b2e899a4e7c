import { isDisk, isId } from '../domain/ids.ts'
import { frameHeaderBytesMax, frameHeaderBytesMin } from './frame.ts'
import type { AttemptKey } from './frame-cipher.ts'
import type { ShardHeader } from './run-cursor.ts'
import { sectorBytes } from './sectors.ts'
import { runEntryBytes } from './shard-builder.ts'
import { parseVaultName } from './vault-name.ts'

/** A shard's parts as they lie there, and how to tell that they break the rules of docs/format.md, section 5. A digest proves that bytes are those
 * that were written; this proves that the writer kept the rules, without which a search by halving would pass runs over. */
export interface ShardParts extends ShardHeader {
  readonly births: readonly AttemptKey[]
  readonly segments: readonly string[]
  readonly frameTable: Buffer
  readonly runList: Buffer
  fail(detail: string): never
}

/** One frame's entry in a shard (docs/format.md, section 5). */
export const frameEntryBytes = 56

/** Looks at every entry once; some nanoseconds for each.
 * @param frameCapacityBytes what no frame's plain bytes exceed
 * @throws VaultError `malformed` */
export const checkShard = (shard: ShardParts, frameCapacityBytes: number): void => {
  checkTexts(shard)
  checkRuns(shard, plainSectorsOf(shard, frameCapacityBytes))
}

const checkTexts = ({ births, segments, fail }: ShardParts): void => {
  for (const { recoveryPointId, disk } of births)
    if (!isId(recoveryPointId) || !isDisk(disk)) fail('a birth names no recovery point or no disk')
  for (const name of segments) {
    const parsed = parseVaultName(name)
    if (parsed.kind !== 'segment' || !isDisk(parsed.disk)) fail('what is listed is no segment')
  }
  const keys = births.map((birth) => `${birth.recoveryPointId}/${birth.disk}/${birth.slice}/${birth.attempt}`)
  if (new Set(keys).size < keys.length) fail('a birth is listed twice')
  if (new Set(segments).size < segments.length) fail('a segment is listed twice')
}

/** How many sectors each frame has. */
const plainSectorsOf = (shard: ShardParts, frameCapacityBytes: number): Uint32Array => {
  const { frameTable, fail } = shard
  const sectors = new Uint32Array(shard.frames)
  for (let frame = 0; frame < sectors.length; frame += 1) {
    const at = frame * frameEntryBytes
    if (frameTable.readUInt16LE(at) >= shard.segments.length) fail('a frame names a segment that is not listed')
    if (frameTable.readUInt16LE(at + 2) >= shard.births.length) fail('a frame names a birth that is not listed')
    const storedBytes = frameTable.readUInt32LE(at + 8)
    const plainBytes = frameTable.readUInt32LE(at + 12)
    if (plainBytes === 0 || plainBytes > frameCapacityBytes || plainBytes % sectorBytes !== 0)
      fail(`a frame of ${plainBytes} plain bytes is not allowed`)
    if (storedBytes <= frameHeaderBytesMin || storedBytes > plainBytes + frameHeaderBytesMax)
      fail(`a frame of ${plainBytes} plain bytes is not stored in ${storedBytes}`)
    if (frameTable.readUInt32LE(at + 20) !== 0) fail('bytes that must be zero are not')
    sectors[frame] = plainBytes / sectorBytes
  }
  return sectors
}

const checkRuns = ({ runList, runs, frames, firstBytes, endBytes, fail }: ShardParts, sectors: Uint32Array): void => {
  const view = new DataView(runList.buffer, runList.byteOffset, runList.byteLength)
  const isNamed = new Uint8Array(frames)
  let named = 0
  let end = firstBytes / sectorBytes
  for (let index = 0; index < runs; index += 1) {
    const at = index * runEntryBytes
    const extent = view.getUint32(at + 4, true)
    const first = view.getUint32(at, true) + (extent & 0xff) * 2 ** 32
    const length = (extent >>> 8) & 0x7fffff
    if (length === 0) fail('a run is empty')
    if (index === 0 ? first !== end : first < end) fail('the runs are not sorted')
    end = first + length
    if (extent >>> 31 === 1) {
      if (view.getUint32(at + 8, true) !== 0) fail('bytes that must be zero are not')
      continue
    }
    const frame = view.getUint16(at + 8, true)
    if (frame >= frames) fail('a run names a frame that is not listed')
    if (view.getUint16(at + 10, true) + length > (sectors[frame] ?? 0)) fail('a run goes beyond the end of its frame')
    named += isNamed[frame] === 0 ? 1 : 0
    isNamed[frame] = 1
  }
  if (end * sectorBytes !== endBytes) fail('the runs do not end where the shard does')
  if (named < frames) fail('a frame is named by no run')
}
