import { describe, expect, it } from 'vitest'
import type { RecoveryPoint } from '../../shared/domain/recovery-point.ts'
import { collectGarbage } from '../../shared/vault/collect-garbage.ts'
import { compactVm } from '../../shared/vault/compact-vm.ts'
import { readRecoveryPoint } from '../../shared/vault/recovery-points.ts'
import {
  backUpWrites,
  type CompactionWorld,
  collectUnreachable,
  compactionWorld,
  encryptedWorld,
  expectExact,
  expire,
  pageWrites,
  type Truth,
} from '../support/compaction-world.ts'
import { fc } from '../support/fast-check.ts'
import { type SeededRandom, seededRandom } from '../support/seeded-random.ts'
import { vmKey } from '../support/vault-world.ts'
import { virtualClock } from '../support/virtual-clock.ts'

/** Histories of random writes, backups, expiries, folds, rewrites, regathering and collections, every other one encrypted: every live recovery point restores to its model, always. */
interface History {
  readonly world: CompactionWorld
  readonly random: SeededRandom
  readonly truths: Map<string, Truth>
  newest: { point: RecoveryPoint; truth: Truth } | null
  count: number
}

const kib = 1024
const empty: Truth = new Map([
  ['os', Buffer.alloc(512 * kib)],
  ['lun-0', Buffer.alloc(256 * kib)],
])

const backUpOne = async (history: History): Promise<void> => {
  const { world, random, newest } = history
  const recoveryPointId = `r${String(history.count).padStart(3, '0')}`
  const isFull = newest === null || random.below(15) === 0
  const base = isFull ? null : await readRecoveryPoint(world.vault, newest.point)
  const before = newest?.truth ?? empty
  const of = { recoveryPointId, base: base?.recoveryPoint ?? null, before }
  history.newest = await backUpWrites(world, of, (_, sizeBytes) =>
    pageWrites(random, sizeBytes, random.below(newest === null ? 80 : 25)),
  )
  history.truths.set(recoveryPointId, history.newest.truth)
  history.count += 1
}

const expireOne = async ({ world, random, truths }: History): Promise<void> => {
  const old = [...truths.keys()].slice(0, -1)
  const chosen = old[random.below(old.length)]
  if (chosen !== undefined && (await expire(world, chosen))) truths.delete(chosen)
}

const collect = async (world: CompactionWorld, act: number): Promise<number> => {
  const deps = { ...world, clock: virtualClock() }
  const collected = await collectGarbage(deps, { passId: `pass-${act}`, objectsMax: 10_000 })
  expect(collected).toMatchObject({ kind: 'done', unreadable: [] })
  return collected.swept.removed
}

const runHistory = async (seed: number, acts: number) => {
  const random = seededRandom(seed)
  const world = seed % 2 === 0 ? compactionWorld() : encryptedWorld()
  const history: History = { world, random, truths: new Map(), newest: null, count: 0 }
  const sum = { folded: 0, rewrittenBytes: 0, removed: 0 }
  for (let act = 0; act < acts; act += 1) {
    const kind = act === 0 ? 0 : random.below(10)
    if (kind < 4) await backUpOne(history)
    else if (kind < 7) await expireOne(history)
    else if (kind < 9) {
      const request = { vmKey, stepsMax: 1 + random.below(4), pointsMax: 1 + random.below(4) }
      const compacted = await compactVm(history.world, { ...request, rewriteBytesMax: random.below(2) * 100 * kib })
      sum.folded += compacted.folded
      sum.rewrittenBytes += compacted.rewrittenBytes
      await expectExact(history.world, history.truths, `seed ${seed}, act ${act}`)
    } else {
      sum.removed += await collect(history.world, act)
      await expectExact(history.world, history.truths, `seed ${seed}, act ${act}`)
    }
  }
  const last = await compactVm(history.world, { vmKey, stepsMax: 100, rewriteBytesMax: 100 * kib })
  expect(last.kind).toBe('done')
  await collect(history.world, acts)
  expect(await collectUnreachable(history.world)).toBe(0)
  await expectExact(history.world, history.truths, `seed ${seed}, at the end`)
  expect([...history.world.control.objects.keys()].filter((name) => name.startsWith('intents/'))).toEqual([])
  return { ...sum, folded: sum.folded + last.folded, rewrittenBytes: sum.rewrittenBytes + last.rewrittenBytes }
}

describe('a history with compaction', { timeout: 600_000 }, () => {
  it('restores every recovery point that has not expired to the bytes of its time', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0 }), async (seed) => {
        await runHistory(seed, 20)
      }),
      { numRuns: process.env.SOAK === '1' ? 500 : 4 },
    )
  })

  it('folds, moves data and leaves garbage to collect in such histories', async () => {
    const { folded, rewrittenBytes, removed } = await runHistory(1, 30)
    expect(folded).toBeGreaterThan(10)
    expect(rewrittenBytes).toBeGreaterThan(0)
    expect(removed).toBeGreaterThan(0)
  })
})
