import type { RecoveryPoint } from '../../shared/domain/recovery-point.ts'
import { type Collected, type CollectRequest, collectGarbage } from '../../shared/vault/collect-garbage.ts'
import { backUpWrites, type CompactionWorld, pageWrites, reopen, type Truth } from './compaction-world.ts'
import type { SeededRandom } from './seeded-random.ts'
import { restoreDisk } from './vault-world.ts'
import { virtualClock } from './virtual-clock.ts'

const emptyDisks: Truth = new Map([['os', Buffer.alloc(1024 * 1024)]])

/** Recovery points on each other, `r1` a full one, with what each restores to. */
export const backUpChain = async (world: CompactionWorld, random: SeededRandom, ids: readonly string[]) => {
  const made: { readonly point: RecoveryPoint; readonly truth: Truth }[] = []
  for (const recoveryPointId of ids) {
    const last = made.at(-1)
    const of = { recoveryPointId, base: last?.point ?? null, before: last?.truth ?? emptyDisks }
    made.push(await backUpWrites(world, of, (_, sizeBytes) => pageWrites(random, sizeBytes, 12)))
  }
  return made
}

export const collect = (
  world: CompactionWorld,
  passId: string,
  change: Partial<Omit<CollectRequest, 'passId'>> = {},
): Promise<Collected> => collectGarbage({ ...world, clock: virtualClock() }, { passId, objectsMax: 1000, ...change })

/** Passes until nothing is left to do. */
export const collectQuietly = async (
  world: CompactionWorld,
  name: string,
  hasEnded: (jobId: string) => Promise<boolean> = async () => true,
): Promise<void> => {
  for (const pass of ['first', 'second'])
    while ((await collect(world, `${name}-${pass}`, { hasEnded })).kind === 'more');
}

export const expectRestores = async (
  world: CompactionWorld,
  { point, truth }: { readonly point: RecoveryPoint; readonly truth: Truth },
): Promise<boolean> => {
  const { vault } = reopen(world)
  for (const [disk, bytes] of truth) if (!(await restoreDisk(vault, point, disk)).equals(bytes)) return false
  return true
}

export const namesIn = (world: CompactionWorld, prefix: string): string[] =>
  [...world.vault.objects.keys()].filter((name) => name.startsWith(prefix)).sort()
