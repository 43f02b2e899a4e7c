import { expect, it } from 'vitest'
import type { RecoveryPoint } from '../../shared/domain/recovery-point.ts'
import { recoveryPointsRoot } from '../../shared/format/names.ts'
import { checkBase } from '../../shared/vault/check-base.ts'
import { expireRecoveryPoint } from '../../shared/vault/expire-recovery-points.ts'
import { type Intent, writeIntent } from '../../shared/vault/intents.ts'
import { readRecoveryPoint } from '../../shared/vault/recovery-points.ts'
import { runCompaction } from '../../shared/vault/run-compaction.ts'
import { backUpChain, collect, expectRestores, namesIn } from '../support/collection-world.ts'
import { backUpWrites, type CompactionWorld, compactionWorld, pageWrites, reopen } from '../support/compaction-world.ts'
import type { StoreCall } from '../support/memory-blob-store.ts'
import { seededRandom } from '../support/seeded-random.ts'
import { vmKey } from '../support/vault-world.ts'

/** The way that test/model finds where a pass reads no more than the newest revision of what it finds behind the intents: it finds r3 only at its
 * last look, and by then a fold has re-pointed it. */

const random = seededRandom(20_261_123)

type Made = Awaited<ReturnType<typeof backUpChain>>[number]

/** A backup that stands before its commit, its parents found there, until it is let go. */
const beforeCommit = async (world: CompactionWorld, recoveryPointId: string, on: Made) => {
  const intent: Intent = { kind: 'backup', id: recoveryPointId, vmKey, dependsOn: [on.point.recoveryPointId] }
  await writeIntent(world.control, intent)
  expect(await checkBase(world, intent, on.point)).toEqual(on.point)
  const door = reopen(world)
  const reached = Promise.withResolvers<void>()
  const letGo = Promise.withResolvers<void>()
  door.vault.pause = async ({ operation, name }) => {
    if (operation !== 'create' || name !== `${recoveryPointsRoot}${vmKey}/${recoveryPointId}/0001.json`) return
    reached.resolve()
    await letGo.promise
  }
  const of = { recoveryPointId, base: on.point, before: on.truth }
  const running = backUpWrites(door, of, (_, sizeBytes) => pageWrites(random, sizeBytes, 12))
  await reached.promise
  return (): Promise<Made> => {
    letGo.resolve()
    return running
  }
}

const foldWhole = async (world: CompactionWorld, { recoveryPointId, disks }: RecoveryPoint): Promise<void> => {
  const [of = expect.unreachable()] = disks
  const nothing = { sparse: new Set<string>(), regathered: new Set<string>() }
  const makings = [{ id: 'fold-late', disk: of.disk, from: of.stack, isLowest: true, ...nothing }]
  const step = { makings, points: [{ recoveryPointId, revision: 2 }] }
  expect(await runCompaction(world, vmKey, step, {})).toMatchObject({ kind: 'compacted', revisions: 1 })
}

/** Does something in front of each of these calls, one after the other. */
const atCalls = (world: CompactionWorld, acts: readonly (readonly [string, () => Promise<void>])[]) => {
  const left = [...acts]
  const pause = async ({ operation, name }: StoreCall): Promise<void> => {
    const [next] = left
    if (next === undefined || !`${operation} ${name}`.startsWith(next[0])) return
    left.shift()
    await next[1]()
  }
  world.vault.pause = pause
  world.control.pause = pause
  return left
}

/** Who builds on r3, or reads it, in the revision before the fold: a backup that begins before the second look at intents, a restore that
 * begins after it. */
it.each(['a backup', 'a restore'])(
  'keeps every revision of a recovery point that the pass finds behind the intents, for %s that uses an earlier one',
  async (user) => {
    const world = compactionWorld()
    const [r1 = expect.unreachable()] = await backUpChain(world, random, ['r1'])
    const made: Made[] = [r1]
    const commits: (() => Promise<Made>)[] = [await beforeCommit(world, 'r2', r1)]
    const newest = () => made.at(-1) ?? r1
    const begin = async (recoveryPointId: string) => {
      commits.push(await beforeCommit(world, recoveryPointId, newest()))
    }
    const commit = async () => {
      for (const one of commits.splice(0)) made.push(await one())
    }
    const expire = (recoveryPointId: string) =>
      expireRecoveryPoint(world.vault, { vmKey, recoveryPointId, revision: 1 })
    const restore = async () => {
      await writeIntent(world.control, { kind: 'restore', id: 'restore-1', vmKey, dependsOn: ['r3'] })
      const found = await readRecoveryPoint(world.vault, { vmKey, recoveryPointId: 'r3' })
      expect(found?.recoveryPoint.revision).toBe(1)
    }
    const isBackup = user === 'a backup'
    await expire('r1')
    const pass = reopen(world)
    const left = atCalls(pass, [
      ['list condemned/', commit],
      ['list intents/', async () => undefined],
      [`list ${recoveryPointsRoot}`, () => begin('r3').then(() => expire('r2'))],
      ['create condemned/', () => commit().then(() => (isBackup ? begin('r4') : undefined))],
      ['list intents/', async () => undefined],
      [
        `list ${recoveryPointsRoot}`,
        () => (isBackup ? Promise.resolve() : restore()).then(() => foldWhole(world, newest().point)),
      ],
      ['purge ', commit],
    ])
    await collect(pass, 'pass')
    await commit()
    expect(left.length).toBeLessThan(2)
    expect(made.map(({ point }) => point.recoveryPointId)).toEqual(['r1', 'r2', 'r3', ...(isBackup ? ['r4'] : [])])
    expect(namesIn(world, 'layers/r1/')).toEqual(['layers/r1/os'])
    for (const one of made.slice(2)) expect(await expectRestores(world, one)).toBe(true)
  },
)
