import { beforeAll, describe, expect, it } from 'vitest'
import type { RecoveryPoint } from '../../../shared/domain/recovery-point.ts'
import { compactVm } from '../../../shared/vault/compact-vm.ts'
import {
  backUpWrites,
  type CompactionWorld,
  collectUnreachable,
  compactionWorld,
  expectExact,
  expire,
  pageWrites,
  reachable,
  reopen,
  type Truth,
} from '../../support/compaction-world.ts'
import { failAt, orBroken } from '../../support/fail-at.ts'
import { createMemoryBlobStore } from '../../support/memory-blob-store.ts'
import { seededRandom } from '../../support/seeded-random.ts'
import { vmKey } from '../../support/vault-world.ts'

/** A compaction that folds two disks and empties sparse segments is broken at a storage call, in each way a call can fail. Then everything
 * that no recovery point needs is removed, intents or not, and it is simply run again. SOAK=1 breaks it at every call. */
const stride = process.env.SOAK === '1' ? 1 : 61
const request = { vmKey, stepsMax: 100, rewriteBytesMax: 64 * 1024 }

const made = compactionWorld()
const truths = new Map<string, Truth>()

beforeAll(async () => {
  const random = seededRandom(11)
  let truth: Truth = new Map([
    ['os', Buffer.alloc(192 * 1024)],
    ['lun-0', Buffer.alloc(64 * 1024)],
  ])
  let base: RecoveryPoint | null = null
  for (let number = 0; number < 11; number += 1) {
    const recoveryPointId = `r${String(number).padStart(2, '0')}`
    const next = await backUpWrites(made, { recoveryPointId, base, before: truth }, (_, sizeBytes) =>
      pageWrites(random, sizeBytes, number === 0 ? 60 : 14),
    )
    base = next.point
    truth = next.truth
    truths.set(recoveryPointId, truth)
  }
  for (const number of [0, 1, 2, 4, 5, 6, 7]) {
    await expire(made, `r0${number}`)
    truths.delete(`r0${number}`)
  }
})

const copy = (): CompactionWorld => ({
  vault: createMemoryBlobStore(new Map(made.vault.objects)),
  control: createMemoryBlobStore(new Map(made.control.objects)),
})

describe('a compaction whose storage fails', { timeout: 600_000 }, () => {
  it('folds and moves data where nothing fails, and then has nothing left to do', async () => {
    const world = copy()
    const before = (await reachable(world.vault)).size
    const compacted = await compactVm(world, request)
    expect(compacted).toMatchObject({ kind: 'done' })
    expect(compacted.folded).toBeGreaterThan(4)
    expect(compacted.rewrittenBytes).toBeGreaterThan(0)
    expect((await reachable(world.vault)).size).toBeLessThan(before)
    await expectExact(world, truths, 'undisturbed')
    const again = await compactVm(world, request)
    expect(again).toEqual({ kind: 'done', folded: 0, rewrittenBytes: 0, revisions: 0 })
  })

  it.each(['crashBefore', 'crashAfter', 'unreachable', 'lostAnswer'] as const)(
    'loses no recovery point after %s at any one call, and comes to its end when run again',
    async (fault) => {
      const counted = reopen(copy())
      await compactVm(counted, request)
      const calls = counted.vault.calls.length + counted.control.calls.length
      expect(calls).toBeGreaterThan(60)
      for (let target = 1 + (fault.length % stride); target <= calls; target += stride) {
        const world = copy()
        const broken = reopen(world)
        failAt(broken, target, fault)
        const outcome = await orBroken(compactVm(broken, request))
        const label = `${fault} at call ${target} of ${calls}`
        if (fault !== 'lostAnswer') expect(outcome, label).toBe('broken')
        await collectUnreachable(world)
        await expectExact(world, truths, label)
        expect((await compactVm(world, request)).kind, label).toBe('done')
        await collectUnreachable(world)
        await expectExact(world, truths, `${label}, run again`)
        expect([...world.control.objects.keys()].filter((name) => name.startsWith('intents/'))).toEqual([])
      }
    },
  )
})
