import type { JobDeps } from '../../shared/jobs/job-deps.ts'
import type { JobInstances } from '../../shared/jobs/job-instances.ts'
import { StorageError } from '../../shared/ports/blob-store.ts'
import type { TransferTuning } from '../../shared/vault/transfer-tuning.ts'
import { createVaultKeys } from '../../shared/vault/vault-keys.ts'
import { type FakeKeyWrapper, noWrappers, onlyWrapper } from './fake-key-wrapper.ts'
import { type MemoryBlobStore, SimulatedCrash, type StoreFault, type StoreOperation } from './memory-blob-store.ts'
import { type HistoryPlatform, portsOf } from './random-history-platform.ts'
import type { SeededRandom } from './seeded-random.ts'
import type { virtualClock } from './virtual-clock.ts'

export interface HistoryWorld {
  readonly vault: MemoryBlobStore
  readonly control: MemoryBlobStore
  readonly clock: ReturnType<typeof virtualClock>
  readonly platform: HistoryPlatform
  /** Null where nothing can be encrypted. */
  readonly wrapper: FakeKeyWrapper | null
  readonly tuning: Partial<TransferTuning>
  /** Tokens that were given out. */
  tokens: number
}

export type HistoryDeps = Pick<
  JobDeps,
  'access' | 'clock' | 'control' | 'inventory' | 'keys' | 'limits' | 'newToken' | 'openReader' | 'snapshots' | 'vault'
> & { readonly moveSlice: NonNullable<JobDeps['moveSlice']>; readonly instances: JobInstances }

/** What happens to a run at one of its storage calls, counted from 1 over both containers: of all calls, or of those that write. `asleep`: it stands
 * still there until it is woken. */
export interface Mishap {
  readonly kind: StoreFault | 'asleep'
  readonly of: 'call' | 'write'
  readonly at: number
}

/** One process: its own calls, and nothing in memory of those before it. */
export interface Door {
  readonly deps: HistoryDeps
  /** Settles when the run falls asleep. */
  readonly asleep: Promise<'asleep'>
  wake(): void
  /** True once no later call has any effect. */
  isDead(): boolean
}

const mib = 1024 * 1024
const readingOperations: ReadonlySet<StoreOperation> = new Set(['read', 'readRange', 'list'])

export const openDoor = (world: HistoryWorld, random: SeededRandom, mishap: Mishap | null): Door => {
  const [vault, control] = [world.vault.reopen(), world.control.reopen()]
  let calls = 0
  let isDead = false
  let fallAsleep: (value: 'asleep') => void = () => undefined
  let wake: () => void = () => undefined
  const asleep = new Promise<'asleep'>((resolve) => {
    fallAsleep = resolve
  })
  const woken = new Promise<void>((resolve) => {
    wake = resolve
  })
  let isDue = false
  for (const store of [vault, control]) {
    store.fault = ({ operation }) => {
      if (isDead) return 'crashBefore'
      if (mishap === null || (mishap.of === 'write' && readingOperations.has(operation))) return null
      calls += 1
      if (calls !== mishap.at) return null
      isDue = mishap.kind === 'asleep'
      isDead = mishap.kind === 'crashBefore' || mishap.kind === 'crashAfter'
      return mishap.kind === 'asleep' ? null : mishap.kind
    }
    store.pause = async () => {
      if (!isDue) return
      isDue = false
      fallAsleep('asleep')
      await woken
    }
  }
  return { deps: depsOf(world, random, vault, control), asleep, wake, isDead: () => isDead }
}

const depsOf = (
  world: HistoryWorld,
  random: SeededRandom,
  vault: MemoryBlobStore,
  control: MemoryBlobStore,
): HistoryDeps => {
  const { clock, wrapper, platform } = world
  const wrappers = wrapper === null ? noWrappers : onlyWrapper(wrapper)
  return {
    ...portsOf(platform, random),
    clock,
    vault,
    control,
    keys: createVaultKeys({ vault, control, clock, wrappers }),
    newToken: () => {
      world.tokens += 1
      return `token-${world.tokens}`
    },
    limits: { sliceBytes: mib, lanesMax: 4, accessSeconds: 3600 },
    moveSlice: (_, request, here) => here({ ...request, tuning: world.tuning }),
    instances: {
      start: async () => 'started',
      status: async () => null,
      cancel: async () => undefined,
      startMaintenance: async () => 'started',
    },
  }
}

/** True for what a mishap of storage looks like from above. */
export const isMishap = (error: unknown): boolean => error instanceof SimulatedCrash || error instanceof StorageError
