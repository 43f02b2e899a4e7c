import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { sliceIndexName } from '../../shared/format/names.ts'
import { openShard } from '../../shared/format/shard.ts'
import type { PlacedRun } from '../../shared/format/shard-builder.ts'
import { rebuildSliceIndex } from '../../shared/vault/rebuild-slice.ts'
import { findSlice, readSliceIndex } from '../../shared/vault/slice-index.ts'
import { loadGoldenVault } from '../support/golden-vault.ts'

const folder = join(import.meta.dirname, '..', 'golden', 'vectors', 'v1', 'raw')
const of = { attempt: 1, diskBytes: 256 * 1024, frameCapacityBytes: 8192 }

describe('a slice index that was lost', () => {
  it('is made again from the directories of its segments, run by run', async () => {
    const { vault } = await loadGoldenVault(folder)
    const runsOf = async (key: { recoveryPointId: string; disk: string; slice: number }): Promise<PlacedRun[]> => {
      const index = await readSliceIndex(vault, key, {})
      if (index === null) throw new Error('the index is not there')
      return Array.from({ length: index.footer.shards }, (_, number) => index.footer.fence(number)).flatMap((fence) => {
        const bytes = index.bytes.subarray(fence.placeBytes, fence.placeBytes + fence.lengthBytes)
        return [...openShard(bytes, { name: index.name, place: 0 }).placedRuns()]
      })
    }
    for (const recoveryPointId of ['r1', 'r2']) {
      for (const slice of [0, 1]) {
        const key = { recoveryPointId, disk: 'os', slice }
        const lost = await runsOf(key)
        const before = await findSlice(vault, key)
        vault.objects.delete(sliceIndexName(key))
        const bytes = await rebuildSliceIndex(vault, key, of)
        vault.objects.set(sliceIndexName(key), { bytes, etag: 'rebuilt' })
        expect(await runsOf(key)).toEqual(lost)
        const { readBytes, joinedBytes, readCalls, storedBytes, ...known } = before ?? expect.unreachable()
        expect(readBytes + joinedBytes + readCalls + storedBytes).toBeGreaterThan(0)
        expect(await findSlice(vault, key)).toMatchObject({ ...known, readBytes: 0, joinedBytes: 0, readCalls: 0 })
      }
    }
  })

  it('is not made of an attempt whose last segment is missing', async () => {
    const { vault } = await loadGoldenVault(folder)
    const name = 'segments/r1/os/000000.0001-00001'
    vault.objects.delete(name)
    const rebuilt = rebuildSliceIndex(vault, { recoveryPointId: 'r1', disk: 'os', slice: 0 }, of)
    await expect(rebuilt).rejects.toMatchObject({ fault: { code: 'object-missing', name } })
  })
})
