import type { RecoveryPoint } from '../../shared/domain/recovery-point.ts'
import { compactVm } from '../../shared/vault/compact-vm.ts'
import { backUpWrites, type CompactionWorld, collectUnreachable, expire, type Truth } from './compaction-world.ts'
import type { SeededRandom } from './seeded-random.ts'
import { vmKey } from './vault-world.ts'

const diskPages = 128
const pageBytes = 4096
const backups = 9

/** Backs up a disk whose pages are written in random order, a third each time, ends all recovery points but the first and the last one, and folds
 * what that leaves: the frames of the folded layer show little.
 * @returns what the two must restore to */
export const makeSparseStack = async (world: CompactionWorld, random: SeededRandom): Promise<Map<string, Truth>> => {
  const truths = new Map<string, Truth>()
  let truth: Truth = new Map([['os', Buffer.alloc(diskPages * pageBytes)]])
  let base: RecoveryPoint | null = null
  for (let number = 0; number < backups; number += 1) {
    const recoveryPointId = `r${number}`
    const pages = Array.from({ length: diskPages }, (_, page) => page).filter(
      () => number === 0 || random.below(3) === 0,
    )
    const of = { recoveryPointId, base, before: truth, frameCapacityBytes: 64 * 1024 }
    const next: Awaited<ReturnType<typeof backUpWrites>> = await backUpWrites(world, of, () =>
      pages.map((page) => ({ kind: 'data', offsetBytes: page * pageBytes, bytes: random.bytes(pageBytes) })),
    )
    base = next.point
    truth = next.truth
    if (number === 0 || number === backups - 1) truths.set(recoveryPointId, truth)
  }
  for (let number = 1; number < backups - 1; number += 1) await expire(world, `r${number}`)
  await compactVm(world, { vmKey, stepsMax: 100, rewriteBytesMax: 0 })
  await collectUnreachable(world)
  return truths
}
