import { describe, expect, it } from 'vitest'
import type { RecoveryPoint } from '../../shared/domain/recovery-point.ts'
import { VaultError } from '../../shared/format/vault-error.ts'
import { collectGarbage } from '../../shared/vault/collect-garbage.ts'
import { compactVm } from '../../shared/vault/compact-vm.ts'
import { readRecoveryPoint } from '../../shared/vault/recovery-points.ts'
import {
  backUpWrites,
  type CompactionWorld,
  collectUnreachable,
  compactionWorld,
  expectExact,
  expire,
  pageWrites,
  reopen,
  type Truth,
} from '../support/compaction-world.ts'
import { SimulatedCrash } from '../support/memory-blob-store.ts'
import { type SeededRandom, seededRandom } from '../support/seeded-random.ts'
import { vmKey } from '../support/vault-world.ts'
import { virtualClock } from '../support/virtual-clock.ts'

/** Two compactions, two collections, an expiry and a backup of one VM at the same time, their calls in random order, some of them dying on
 * the way; round after round in one vault. SOAK=1 for more; COMPACT_SEED replays one. */
const rounds = 5
const first = Number(process.env.COMPACT_SEED ?? 50)
const seeds = process.env.COMPACT_SEED === undefined ? (process.env.SOAK === '1' ? 400 : 6) : 1

interface Vm {
  readonly world: CompactionWorld
  readonly random: SeededRandom
  readonly truths: Map<string, Truth>
  newest: RecoveryPoint | null
  count: number
}

/** A door whose calls wait for some turns each, more at one door than at another, and which may die at one of them. */
const door = ({ world, random }: Vm): CompactionWorld => {
  const opened = reopen(world)
  const slowness = 2 ** random.below(9)
  const wait = async () => {
    for (let turns = random.below(slowness); turns > 0; turns -= 1) await Promise.resolve()
  }
  const diesAt = random.below(3) === 0 ? 1 + random.below(60) : 0
  let calls = 0
  const die = () => {
    calls += 1
    return calls === diesAt ? 'crashAfter' : null
  }
  for (const store of [opened.vault, opened.control]) {
    store.pause = wait
    store.fault = die
  }
  return opened
}

const backUpOne = async (vm: Vm, through: CompactionWorld): Promise<void> => {
  const recoveryPointId = `r${String(vm.count).padStart(3, '0')}`
  vm.count += 1
  const base = vm.newest === null ? null : await readRecoveryPoint(vm.world.vault, vm.newest)
  const before = vm.truths.get(vm.newest?.recoveryPointId ?? '') ?? new Map([['os', Buffer.alloc(128 * 1024)]])
  const of = { recoveryPointId, base: base?.recoveryPoint ?? null, before }
  const next = await backUpWrites(through, of, (_, sizeBytes) =>
    pageWrites(vm.random, sizeBytes, base === null ? 40 : 8),
  )
  vm.newest = next.point
  vm.truths.set(recoveryPointId, next.truth)
}

const expireSome = async (vm: Vm, through: CompactionWorld): Promise<void> => {
  const old = [...vm.truths.keys()].slice(0, -3)
  for (const recoveryPointId of old.filter(() => vm.random.below(3) === 0))
    if (await expire(through, recoveryPointId)) vm.truths.delete(recoveryPointId)
}

const compact = (through: CompactionWorld) => compactVm(through, { vmKey, stepsMax: 6, rewriteBytesMax: 64 * 1024 })

const collect = (through: CompactionWorld, passId: string) =>
  collectGarbage({ ...through, clock: virtualClock() }, { passId, objectsMax: 1000 })

/** Deaths are part of the game, and so is a run that finds what it was about to fold already collected, as everybody who had it has ended. */
const orDead = async (running: Promise<unknown>): Promise<void> => {
  try {
    await running
  } catch (error) {
    const isGone = error instanceof VaultError && error.fault.code === 'object-missing'
    if (!(error instanceof SimulatedCrash) && !isGone) throw error
  }
}

const runRounds = async (seed: number): Promise<void> => {
  const vm: Vm = { world: compactionWorld(), random: seededRandom(seed), truths: new Map(), newest: null, count: 0 }
  for (let number = 0; number < 6; number += 1) await backUpOne(vm, vm.world)
  for (let round = 0; round < rounds; round += 1) {
    const quiet = reopen(vm.world)
    quiet.vault.pause = () => Promise.resolve()
    await Promise.all([
      orDead(compact(door(vm))),
      orDead(compact(door(vm))),
      orDead(collect(door(vm), `pass-${round}-1`)),
      orDead(collect(door(vm), `pass-${round}-2`)),
      expireSome(vm, quiet),
      backUpOne(vm, quiet),
    ])
    await expectExact(vm.world, vm.truths, `seed ${seed}, round ${round}`)
  }
  await collect(vm.world, 'pass-last-0')
  expect((await compact(vm.world)).kind).not.toBe('postponed')
  await compactVm(vm.world, { vmKey, stepsMax: 100, rewriteBytesMax: 64 * 1024 })
  for (const passId of ['pass-last-1', 'pass-last-2']) await collect(vm.world, passId)
  await expectExact(vm.world, vm.truths, `seed ${seed}, at the end`)
  expect(await collectUnreachable(vm.world)).toBe(0)
}

describe('compactions and collections of one vault at the same time', { timeout: 600_000 }, () => {
  it.each(Array.from({ length: seeds }, (_, index) => first + index))(
    'lose nothing and leave nothing behind (seed %i)',
    async (seed) => {
      await runRounds(seed)
    },
  )
})
