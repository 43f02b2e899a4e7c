import { describe, expect, it } from 'vitest'
import type { DataKey, KeyRing } from '../../shared/format/data-key.ts'
import { noKeys } from '../../shared/format/data-key.ts'
import { decodeFrameHeader, type FrameEncoding } from '../../shared/format/frame.ts'
import { openShard } from '../../shared/format/shard.ts'
import { readSliceIndex } from '../../shared/vault/slice-index.ts'
import { openStack, readStack } from '../../shared/vault/stack.ts'
import { allocatedRanges, applyWrites, randomWrites } from '../support/disk-history.ts'
import { createMemoryBlobStore, type MemoryBlobStore } from '../support/memory-blob-store.ts'
import { seededRandom } from '../support/seeded-random.ts'
import { backUp, mib, restoreDisk } from '../support/vault-world.ts'
import { virtualClock } from '../support/virtual-clock.ts'

const seed = Number(process.env.SEED ?? 5150)
const tuning = { frameCapacityBytes: 16 * 1024, segmentBytes: 64 * 1024, shardFramesMax: 4 }
const keyOf = (digit: string, fill: number): DataKey => ({ keyId: digit.repeat(32), bytes: Buffer.alloc(32, fill) })
const first = keyOf('a', 7)
const second = keyOf('b', 9)
const ringOf = (...keys: DataKey[]): KeyRing => ({
  current: null,
  find: (keyId) => keys.find((key) => key.keyId === keyId) ?? noKeys.find(keyId),
})

/** A full and increments on it, each with an encoding of its own. */
const historyOf = async (encodings: readonly FrameEncoding[]) => {
  const random = seededRandom(seed)
  const stores = { vault: createMemoryBlobStore(), control: createMemoryBlobStore(), clock: virtualClock() }
  const text = Buffer.alloc(mib / 2, 'text that compresses ')
  let bytes = Buffer.concat([random.bytes(mib / 2), text])
  let base: Awaited<ReturnType<typeof backUp>> | null = null
  for (const [number, encoding] of encodings.entries()) {
    const after =
      base === null ? { bytes, ranges: allocatedRanges(bytes) } : applyWrites(bytes, randomWrites(random, mib, 20))
    const disks = [{ disk: 'os', ...after }]
    base = await backUp(stores, { recoveryPointId: `r${number}`, base, disks, tuning, encoding })
    bytes = Buffer.from(after.bytes)
  }
  return { vault: stores.vault, newest: base ?? expect.unreachable(), bytes }
}

const framesOf = async (vault: MemoryBlobStore, recoveryPointId: string) => {
  const index = await readSliceIndex(vault, { recoveryPointId, disk: 'os', slice: 0 }, {})
  if (index === null) throw new Error('there is no slice')
  const frames = new Set<{ segment: string; placeBytes: number }>()
  for (let number = 0; number < index.footer.shards; number += 1) {
    const { placeBytes, lengthBytes } = index.footer.fence(number)
    const shard = openShard(index.bytes.subarray(placeBytes, placeBytes + lengthBytes), {
      name: index.name,
      place: placeBytes,
    })
    for (const { frame } of shard.placedRuns()) if (frame !== null) frames.add(frame)
  }
  return [...frames].map(({ segment, placeBytes }) => {
    const bytes = vault.objects.get(segment)?.bytes ?? Buffer.alloc(0)
    return decodeFrameHeader(bytes.subarray(placeBytes), { name: segment, place: placeBytes })
  })
}

describe(`frames by policy, seed ${seed}`, () => {
  it('are plain where neither is wanted, and the commit record says so', async () => {
    const { vault, newest, bytes } = await historyOf([{ compression: 'none', key: null }])
    const frames = await framesOf(vault, 'r0')
    expect(frames.length).toBeGreaterThan(30)
    expect(frames.every(({ compression, sealed }) => compression === 'raw' && sealed === null)).toBe(true)
    expect(newest).toMatchObject({ keyId: null, disks: [{ compression: 'none' }] })
    expect((await restoreDisk(vault, newest, 'os')).equals(bytes)).toBe(true)
  })

  it('are compressed, then encrypted where both are wanted', async () => {
    const { vault, newest, bytes } = await historyOf([{ compression: 'zstd', key: first }])
    const frames = await framesOf(vault, 'r0')
    expect(frames.every(({ sealed }) => sealed?.keyId === first.keyId)).toBe(true)
    expect(new Set(frames.map(({ compression }) => compression))).toEqual(new Set(['raw', 'zstd']))
    expect(newest).toMatchObject({ keyId: first.keyId, disks: [{ compression: 'zstd' }] })
    expect((await restoreDisk(vault, newest, 'os', mib, ringOf(first))).equals(bytes)).toBe(true)
    for (const { bytes: stored } of vault.objects.values())
      expect(Buffer.from(stored).includes('text that compresses')).toBe(false)
  })

  it('may be under several keys in one stack, or under none: each frame tells its own', async () => {
    const encodings = [first, null, second, first].map((key) => ({ compression: 'zstd' as const, key }))
    const { vault, newest, bytes } = await historyOf(encodings)
    expect((await restoreDisk(vault, newest, 'os', mib, ringOf(first, second))).equals(bytes)).toBe(true)
    await expect(restoreDisk(vault, newest, 'os', mib, ringOf(first))).rejects.toMatchObject({
      fault: { code: 'key-missing', keyId: second.keyId, name: `keys/${second.keyId}/0001.json` },
    })
    await expect(restoreDisk(vault, newest, 'os', mib)).rejects.toMatchObject({ fault: { code: 'key-missing' } })
  })

  it('do not open under another key of the same id, and say that the bytes are whole', async () => {
    const { vault, newest } = await historyOf([{ compression: 'zstd', key: first }])
    const impostor = ringOf({ ...second, keyId: first.keyId })
    await expect(restoreDisk(vault, newest, 'os', mib, impostor)).rejects.toMatchObject({
      fault: { code: 'wrong-key', keyId: first.keyId },
      hint: expect.stringMatching(/wrapping key/),
    })
  })

  it('are told from damaged ones without any key', async () => {
    const { vault, newest } = await historyOf([{ compression: 'zstd', key: first }])
    const name = 'segments/r0/os/000000.0001-00000'
    const bytes = Buffer.from(vault.objects.get(name)?.bytes ?? [])
    bytes[500] = (bytes[500] ?? 0) ^ 1
    vault.objects.set(name, { bytes, etag: 'damaged' })
    const stack = await openStack(vault, newest.disks[0] ?? expect.unreachable())
    const reading = readStack(stack, { offsetBytes: 0, lengthBytes: 4096 })
    await expect(reading.next()).rejects.toMatchObject({ fault: { code: 'digest-mismatch', name, place: 0 } })
  })

  it('never share a nonce under one frame key', async () => {
    const key = first
    const { vault } = await historyOf([
      { compression: 'none', key },
      { compression: 'zstd', key },
      { compression: 'none', key },
    ])
    const pairs: string[] = []
    for (const recoveryPointId of ['r0', 'r1', 'r2'])
      for (const { birth, sealed } of await framesOf(vault, recoveryPointId))
        pairs.push(
          `${birth.recoveryPointId}/${birth.disk}/${birth.slice}/${birth.attempt} ${sealed?.nonce.toString('hex')}`,
        )
    expect(pairs.length).toBeGreaterThan(40)
    expect(new Set(pairs).size).toBe(pairs.length)
  })
})
