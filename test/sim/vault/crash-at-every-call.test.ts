import { describe, expect, it } from 'vitest'
import type { RecoveryPoint } from '../../../shared/domain/recovery-point.ts'
import { sliceIndexName } from '../../../shared/format/names.ts'
import { StorageError } from '../../../shared/ports/blob-store.ts'
import { latestRecoveryPoint } from '../../../shared/vault/recovery-points.ts'
import { allocatedRanges, applyWrites, randomWrites } from '../../support/disk-history.ts'
import { failAt } from '../../support/fail-at.ts'
import { createMemoryBlobStore, type MemoryBlobStore, SimulatedCrash } from '../../support/memory-blob-store.ts'
import { seededRandom } from '../../support/seeded-random.ts'
import { type BackupOrder, backUp, mib, restoreDisk, vmKey } from '../../support/vault-world.ts'
import { virtualClock } from '../../support/virtual-clock.ts'

/** One backup of two disks, increments on a full, is run again and again; each time another storage call fails, in each of the ways a
 * call can fail. Then it is simply run again, as the next attempt of the job would do, and must come to the same disk.
 * Replay with SIM_SEED=<seed>. */
const seed = Number(process.env.SIM_SEED ?? 20_260_101)

const tuning = { frameCapacityBytes: 16 * 1024, segmentBytes: 64 * 1024, readBytesMax: 64 * 1024, shardFramesMax: 4 }

interface World {
  readonly vault: MemoryBlobStore
  readonly control: MemoryBlobStore
}

const random = seededRandom(seed)
const disksAt = [mib, mib / 2].map((sizeBytes, index) => {
  const first = applyWrites(Buffer.alloc(sizeBytes), randomWrites(random, sizeBytes, 40))
  const second = applyWrites(first.bytes, randomWrites(random, sizeBytes, 30))
  return { disk: index === 0 ? 'os' : 'lun-0', first, second }
})

const limits = { sliceBytes: mib, rangesPerSlice: 12, tuning }
const fullOrder: BackupOrder = {
  recoveryPointId: 'r1',
  base: null,
  disks: disksAt.map(({ disk, first }) => ({ disk, bytes: first.bytes, ranges: allocatedRanges(first.bytes) })),
  ...limits,
}
const incrementOn = (base: RecoveryPoint): BackupOrder => ({
  recoveryPointId: 'r2',
  base,
  disks: disksAt.map(({ disk, second }) => ({ disk, ...second })),
  ...limits,
})

const freshWorld = async (): Promise<World & { base: RecoveryPoint }> => {
  const world = { vault: createMemoryBlobStore(), control: createMemoryBlobStore() }
  return { ...world, base: await backUp({ ...world, clock: virtualClock() }, fullOrder) }
}
const reopen = (world: World): World => ({ vault: world.vault.reopen(), control: world.control.reopen() })

const callsOf = (world: World): number => world.vault.calls.length + world.control.calls.length

const runOnce = async (world: World, base: RecoveryPoint, moved: string[]): Promise<'done' | 'failed'> => {
  try {
    const onMoved = (disk: string, slice: number) => moved.push(sliceIndexName({ recoveryPointId: 'r2', disk, slice }))
    await backUp({ ...world, clock: virtualClock() }, { ...incrementOn(base), onMoved })
    return 'done'
  } catch (error) {
    if (error instanceof SimulatedCrash || error instanceof StorageError) return 'failed'
    throw error
  }
}

const expectExact = async (world: World, label: string): Promise<void> => {
  const found = await latestRecoveryPoint(world.vault, vmKey)
  expect(found?.recoveryPoint.recoveryPointId, label).toBe('r2')
  for (const { disk, second } of disksAt) {
    const bytes = await restoreDisk(world.vault, found?.recoveryPoint as RecoveryPoint, disk)
    expect(bytes.equals(second.bytes), `${label}, ${disk}`).toBe(true)
  }
}

const callsOfOneBackup = async (): Promise<number> => {
  const { base, ...world } = await freshWorld()
  const again = reopen(world)
  expect(await runOnce(again, base, [])).toBe('done')
  return callsOf(again)
}

describe(`a backup whose storage fails (seed ${seed})`, () => {
  it.each(['crashBefore', 'crashAfter', 'unreachable', 'lostAnswer'] as const)(
    'comes to the same disk after %s at any one call, and moves no committed slice twice',
    async (fault) => {
      const calls = await callsOfOneBackup()
      expect(calls).toBeGreaterThan(40)
      let failed = 0
      for (let target = 1; target <= calls; target += 1) {
        const { base, ...world } = await freshWorld()
        const broken = reopen(world)
        failAt(broken, target, fault)
        if ((await runOnce(broken, base, [])) === 'failed') failed += 1
        const visible = (await latestRecoveryPoint(world.vault.reopen(), vmKey))?.recoveryPoint.recoveryPointId
        const committed = [...world.vault.objects.keys()].filter((name) => name.startsWith('slices/r2/'))
        const moved: string[] = []
        expect(await runOnce(reopen(world), base, moved)).toBe('done')
        expect(moved.filter((name) => committed.includes(name))).toEqual([])
        await expectExact(
          reopen(world),
          `${fault} at call ${target} of ${calls}, seed ${seed}, then visible ${visible}`,
        )
      }
      if (fault !== 'lostAnswer') expect(failed).toBe(calls)
    },
  )
})
