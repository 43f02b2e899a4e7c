import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { digestHex } from '../../shared/format/digest.ts'
import { openIndexFooter } from '../../shared/format/index-footer.ts'
import { layerName } from '../../shared/format/names.ts'
import { segmentNamesOf } from '../../shared/format/segment-ranges.ts'
import { openShard } from '../../shared/format/shard.ts'
import { readDiskPlan, readSlicePlan } from '../../shared/vault/disk-plan.ts'
import { listLiveRecoveryPoints, readRecoveryPoint } from '../../shared/vault/recovery-points.ts'
import { readSliceIndex } from '../../shared/vault/slice-index.ts'
import {
  type GoldenVault,
  goldenKeyRing,
  goldenKinds,
  loadGoldenVault,
  makeGoldenVault,
  saveGoldenVault,
} from '../support/golden-vault.ts'
import { mib, restoreDisk, vmKey } from '../support/vault-world.ts'

/** Files that were written once stay readable for ever; see test/golden/vectors/README.md. With MAKE_GOLDEN=1 those of a new version
 * are made first; files that exist are never overwritten, so for the rest it fails. */
const folder = join(import.meta.dirname, '..', 'golden', 'vectors', 'v1')
if (process.env.MAKE_GOLDEN === '1')
  for (const kind of goldenKinds) await saveGoldenVault(join(folder, kind), kind, await makeGoldenVault(kind))

const found = async ({ vault }: GoldenVault, recoveryPointId: string) => {
  const point = await readRecoveryPoint(vault, { vmKey, recoveryPointId })
  if (point === null) throw new Error(`${recoveryPointId} is not there`)
  return point.recoveryPoint
}

describe('the golden vaults of version 1', () => {
  it.each(goldenKinds)('restore to the bytes they were made of: %s', async (kind) => {
    const golden = await loadGoldenVault(join(folder, kind))
    expect(Object.keys(golden.images)).toEqual(['r1', 'r2', 'r3'])
    for (const [recoveryPointId, disks] of Object.entries(golden.images)) {
      const point = await found(golden, recoveryPointId)
      expect(point.disks.map(({ disk }) => disk)).toEqual(Object.keys(disks))
      for (const [disk, digest] of Object.entries(disks))
        expect(digestHex(await restoreDisk(golden.vault, point, disk, mib, goldenKeyRing)), disk).toBe(digest)
    }
  })

  it.each(['raw', 'encrypted'] as const)(
    'come out byte for byte when made again, where zstd has no say: %s',
    async (kind) => {
      const kept = await loadGoldenVault(join(folder, kind))
      const made = await makeGoldenVault(kind)
      expect(made.images).toEqual(kept.images)
      for (const [before, now] of [
        [kept.vault, made.vault],
        [kept.control, made.control],
      ] as const) {
        expect([...now.objects.keys()].sort()).toEqual([...before.objects.keys()].sort())
        for (const [name, { bytes }] of before.objects)
          expect(Buffer.from(now.objects.get(name)?.bytes ?? []).equals(bytes), name).toBe(true)
      }
    },
  )

  it.each(goldenKinds)('have one recovery point that was re-pointed and one that has expired: %s', async (kind) => {
    const golden = await loadGoldenVault(join(folder, kind))
    const live: unknown[] = []
    for await (const { recoveryPoint } of listLiveRecoveryPoints(golden.vault, vmKey))
      live.push([recoveryPoint.recoveryPointId, recoveryPoint.revision, recoveryPoint.disks[0]?.stack.length])
    expect(live).toEqual([
      ['r1', 1, 1],
      ['r2', 1, 2],
      ['r3', 2, 1],
    ])
    expect(await readRecoveryPoint(golden.vault, { vmKey, recoveryPointId: 'r4' })).toBeNull()
    expect([...golden.vault.objects.keys()].filter((name) => name.includes('/r4/'))).toEqual([
      `recovery-points/${vmKey}/r4/0001.json`,
      `recovery-points/${vmKey}/r4/0002.json`,
    ])
  })

  it.each(goldenKinds)('name in each layer exactly the segments that its shards name: %s', async (kind) => {
    const golden = await loadGoldenVault(join(folder, kind))
    for (const name of golden.vault.objects.keys()) {
      if (!name.startsWith('layers/')) continue
      const bytes = Buffer.from(golden.vault.objects.get(name)?.bytes ?? [])
      const place = bytes.length - bytes.readUInt32LE(bytes.length - 12)
      const footer = openIndexFooter(bytes.subarray(place), { name, place }, bytes.length)
      const named = new Set<string>()
      for (let index = 0; index < footer.shards; index += 1) {
        const { placeBytes, lengthBytes } = footer.fence(index)
        const shard = openShard(bytes.subarray(placeBytes, placeBytes + lengthBytes), { name, place: placeBytes })
        for (const { frame } of shard.placedRuns()) if (frame !== null) named.add(frame.segment)
      }
      expect([...segmentNamesOf(footer.segmentRanges)], name).toEqual([...named].sort())
      for (const segment of named) expect(golden.vault.objects.has(segment)).toBe(true)
    }
  })

  it('fold frames whose runs alternate', async () => {
    const golden = await loadGoldenVault(join(folder, 'raw'))
    const [reference] = (await found(golden, 'r3')).disks[0]?.stack ?? []
    const name = layerName(reference?.layerId ?? '')
    const bytes = Buffer.from(golden.vault.objects.get(name)?.bytes ?? [])
    const runs = [
      ...openShard(bytes.subarray(0, bytes.length - (reference?.footerBytes ?? 0)), { name, place: 0 }).placedRuns(),
    ]
    const frames = runs.map(({ frame }) => `${frame?.segment}@${frame?.placeBytes}`)
    expect(new Set(frames).size).toBeLessThan(frames.filter((frame, index) => frame !== frames[index - 1]).length)
  })

  it('hold what their description says', async () => {
    const { vault, control } = await loadGoldenVault(join(folder, 'raw'))
    const key = { recoveryPointId: 'r2', disk: 'os' }
    const plan = await readDiskPlan(control, key)
    expect(plan).toMatchObject({ run: 1, transfer: 'incremental', slices: 2, dataBytes: 33 * 512, clearBytes: 8192 })
    const ranges = await Promise.all([0, 1].map((slice) => readSlicePlan(control, { ...key, slice }, 1, {})))
    expect(ranges.flatMap((slice) => [...slice.ranges])).toEqual([
      { offsetBytes: 8 * 512, lengthBytes: 8 * 512, kind: 'data' },
      { offsetBytes: 16 * 512, lengthBytes: 8192, kind: 'clear' },
      { offsetBytes: 203 * 512, lengthBytes: 512, kind: 'data' },
      { offsetBytes: 400 * 512, lengthBytes: 24 * 512, kind: 'data' },
    ])
    const index = await readSliceIndex(vault, { ...key, slice: 0 }, {})
    expect(index?.footer).toMatchObject({ attempt: 1, frames: 1, runs: 3, zeroBytes: 8192, dataBytes: 9 * 512 })
    expect(index?.footer).toMatchObject({ readBytes: 196 * 512, joinedBytes: 187 * 512, readCalls: 1 })
  })
})
