import { encodeJson } from '../../../shared/jobs/json-object.ts'
import { createFakeKeyWrapper, type FakeKeyWrapper } from '../../support/fake-key-wrapper.ts'
import { createMemoryBlobStore, type MemoryBlobStore } from '../../support/memory-blob-store.ts'
import { type ChangeCount, countedMap } from './counted-map.ts'
import { copyPlatform, createPlatform, type Platform } from './platform.ts'

/** Everything outside the app that survives its death, but for the task hub, which is a file. */
export interface World {
  readonly vault: MemoryBlobStore
  readonly control: MemoryBlobStore
  /** Wraps the data keys: all backups are encrypted. */
  readonly wrapper: FakeKeyWrapper
  readonly platform: Platform
  /** Counts every change of what survives. */
  readonly changes: ChangeCount
  /** The day that the app's clock shows: 0 for today, at noon. */
  day: number
  /** How many of the next sweeps go by what they saw of the slot before its job was started, as a host that slept since. */
  lateLooks: number
  tokens: number
  /** Rules that were broken on the way; the checkers show them. */
  readonly broken: string[]
  /** All lines that the app logged, and all that the engine said. */
  readonly log: string[]
}

const dayMs = 24 * 3600 * 1000
const startedMs = performance.now()
const noonMs = (Math.floor(Date.now() / dayMs) + 0.5) * dayMs

/** The app's time. It begins at noon, so that no slot of the policy comes while a test runs; a deadline of four days on is within what a
 * durable timer takes, and in the future of the engine's clock, which is the machine's. */
export const worldNow = (world: World): Date => new Date(noonMs + world.day * dayMs + performance.now() - startedMs)

/** A world with one VM and a policy whose slot is due. */
export const createWorld = async (): Promise<World> => {
  const changes = { count: 0 }
  const world: World = {
    vault: createMemoryBlobStore(countedMap(changes)),
    control: createMemoryBlobStore(countedMap(changes)),
    wrapper: createFakeKeyWrapper(),
    platform: createPlatform(changes),
    changes,
    day: -1,
    lateLooks: 0,
    tokens: 0,
    broken: [],
    log: [],
  }
  const schedule = { kind: 'daily', times: ['00:00'], timeZone: 'UTC' }
  const policy = { name: 'daily', selection: { tags: { backup: 'daily' } }, schedule }
  await world.control.create('policies/daily.json', [encodeJson(policy)])
  return world
}

/** Another world in the same state: what happens in one is not seen in the other. */
export const forkWorld = (world: World): World => {
  const changes = { count: 0 }
  return {
    ...world,
    vault: createMemoryBlobStore(countedMap(changes, world.vault.objects)),
    control: createMemoryBlobStore(countedMap(changes, world.control.objects)),
    platform: copyPlatform(world.platform, changes),
    changes,
    broken: [...world.broken],
    log: [...world.log],
  }
}

/** Recovery points that have a commit record, oldest first. */
export const committedIds = (world: World): readonly string[] =>
  [...world.vault.objects.keys()]
    .filter((name) => name.startsWith('recovery-points/'))
    .map((name) => name.split('/')[2]!)
    .sort()
