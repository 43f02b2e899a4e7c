import { beforeAll, describe, expect, it } from 'vitest'
import type { BlobContent } from '../../shared/ports/blob-store.ts'
import { StorageError } from '../../shared/ports/blob-store.ts'
import type { Comparison } from '../../shared/vault/comparison.ts'
import type { SealedDisk } from '../../shared/vault/seal-disk.ts'
import { readStoredDamage } from '../../shared/vault/stored-damage.ts'
import { backUpCompared, type CompareWorld, openCompareWorld, readDisk, sidecarOf } from '../support/compared-backup.ts'
import { failAt } from '../support/fail-at.ts'
import { createMemoryBlobStore, SimulatedCrash, type StoreFault } from '../support/memory-blob-store.ts'
import { seededRandom } from '../support/seeded-random.ts'

/** A sidecar is written and a disk compared, again and again; each time another storage call fails, in each of the ways a call can fail.
 * Then all of it is run again, and must come to the same disk. */
const diskBytes = 192 * 1024
const tuning = { frameCapacityBytes: 16 * 1024, segmentBytes: 64 * 1024, readBytesMax: 32 * 1024, shardFramesMax: 2 }
const key = { keyId: '0123456789abcdef0123456789abcdef', bytes: Buffer.alloc(32, 9) }
const faults: readonly StoreFault[] = ['crashBefore', 'crashAfter', 'unreachable', 'lostAnswer']

const random = seededRandom(17)
const first = random.bytes(diskBytes).fill(0, 20 * 4096, 24 * 4096)
const second = Buffer.from(first)
  .fill('other', 5 * 4096, 9 * 4096)
  .fill(0, 30 * 4096, 33 * 4096)

const base = openCompareWorld(key)
let sealed: SealedDisk | null = null
beforeAll(async () => {
  sealed = await backUpCompared(base, { recoveryPointId: 'base', bytes: first, comparison: null, tuning })
})

/** A world that goes on from the base. */
const freshWorld = (): CompareWorld => ({
  ...base,
  vault: createMemoryBlobStore(new Map<string, BlobContent>(base.vault.objects)),
  control: createMemoryBlobStore(new Map<string, BlobContent>(base.control.objects)),
})
const reopen = (world: CompareWorld): CompareWorld => ({
  ...world,
  vault: world.vault.reopen(),
  control: world.control.reopen(),
})

const run = async (world: CompareWorld, kind: Comparison['kind']) => {
  const layer = sealed?.layer ?? null
  if (sealed === null || layer === null) throw new Error('the base has a layer')
  const sidecar = kind === 'image' ? await sidecarOf(world, 'base', sealed) : null
  const comparison: Comparison =
    sidecar === null ? { kind: 'vault', stack: [layer] } : { kind: 'image', layer, sidecar }
  return backUpCompared(world, { recoveryPointId: 'later', bytes: second, comparison, tuning })
}

const failsOnce = async (world: CompareWorld, kind: Comparison['kind']): Promise<void> => {
  try {
    await run(world, kind)
  } catch (error) {
    if (!(error instanceof SimulatedCrash) && !(error instanceof StorageError)) throw error
  }
}

describe.each(['image', 'vault'] as const)('a transfer that is compared with its %s', { timeout: 60_000 }, (kind) => {
  it.each(faults)('comes to the same disk after %s at any one call, and takes no outage for damage', async (fault) => {
    const whole = freshWorld()
    await run(whole, kind)
    const calls = whole.vault.calls.length + whole.control.calls.length
    expect(calls).toBeGreaterThan(15)
    for (let target = 1; target <= calls; target += 1) {
      const world = freshWorld()
      failAt(world, target, fault)
      await failsOnce(world, kind)
      const again = reopen(world)
      const { stack } = await run(again, kind)
      expect(stack).toHaveLength(2)
      expect((await readDisk(again, stack, diskBytes)).equals(second), `call ${target}`).toBe(true)
      expect(await readStoredDamage(again.control, { recoveryPointId: 'later', disk: 'os' })).toBeNull()
    }
  })
})
