import { describe, expect, it } from 'vitest'
import { planDisk } from '../../shared/vault/plan-disk.ts'
import { transferSlice } from '../../shared/vault/transfer-slice.ts'
import { createMemoryBlobStore } from '../support/memory-blob-store.ts'
import { generatedDiskReader } from '../support/memory-disk.ts'
import { seededRandom } from '../support/seeded-random.ts'
import { mib } from '../support/vault-world.ts'
import { virtualClock } from '../support/virtual-clock.ts'

const key = { recoveryPointId: 'r1', disk: 'os' }
const noise = seededRandom(7).bytes(mib)

/** MiB of the segments of one slice of noise. */
const segmentsOf = async (dataMib: number): Promise<readonly number[]> => {
  const world = { vault: createMemoryBlobStore(), control: createMemoryBlobStore(), clock: virtualClock() }
  const range = { kind: 'data' as const, offsetBytes: 0, lengthBytes: dataMib * mib }
  const fill = (target: Uint8Array, offsetBytes: number) => {
    for (let at = 0; at < target.length; ) at += noise.copy(target, at, (offsetBytes + at) % mib)
  }
  const reader = generatedDiskReader(1024 * mib, [range], fill)
  const { slices } = await planDisk({ ...world, reader }, { ...key, hasBase: true, sliceBytes: 512 * mib })
  expect(slices).toBe(1)
  await transferSlice(
    { ...world, reader },
    { ...key, jobId: 'job', slice: 0, encoding: { compression: 'none', key: null } },
  )
  const names = [...world.vault.objects.keys()].filter((name) => name.startsWith('segments/')).sort()
  return names.map((name) => Math.round((world.vault.objects.get(name)?.bytes.length ?? 0) / mib))
}

describe('the segments of a slice', () => {
  it('are small in a small slice, so that most of it is uploaded while it is read', async () => {
    expect(await segmentsOf(2)).toEqual([2])
    expect(await segmentsOf(12)).toEqual([4, 4, 4])
    expect(await segmentsOf(40)).toEqual([5, 5, 5, 5, 5, 5, 5, 5])
  })
})
