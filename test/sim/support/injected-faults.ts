import { StorageError } from '../../../shared/ports/blob-store.ts'
import { SourceError } from '../../../shared/ports/disk-reader.ts'
import type { SeededRandom } from '../../support/seeded-random.ts'
import { secret } from './platform.ts'
import type { PortCall } from './watch.ts'
import type { World } from './world.ts'

/** What happens to one call instead of its answer. `repeat`: it is done twice, as a client does that lost the first answer. */
export type Injected =
  | { readonly when: 'before' | 'after'; readonly name: string; readonly error: Error }
  | { readonly when: 'before' | 'after'; readonly name: string; readonly answer: unknown }
  | { readonly when: 'repeat'; readonly name: string }

/** Chooses a fault that a call of this kind can meet. */
export const chooseFault = (world: World, call: PortCall, random: SeededRandom): Injected => {
  const choices = faultsOfPort(world, call)
  return choices[random.below(choices.length)]!
}

const faultsOfPort = (world: World, call: PortCall): readonly Injected[] => {
  switch (call.port) {
    case 'disk':
      return diskFaults(world, call)
    case 'compute':
      return computeFaults(call)
    case 'key':
      return keyFaults
    default:
      return storageFaults(call)
  }
}

const keyFaults: readonly Injected[] = [
  { when: 'before', name: 'throttled', answer: { kind: 'throttled', key: 'kek', retryAfterSeconds: 2 } },
  { when: 'before', name: 'unreachable', answer: { kind: 'unreachable', key: 'kek' } },
  { when: 'after', name: 'answer lost', answer: { kind: 'unreachable', key: 'kek' } },
]

const storageFaults = ({ name }: PortCall): readonly Injected[] => {
  const unreachable = () => new StorageError({ code: 'unreachable', name })
  return [
    { when: 'before', name: 'throttled', error: new StorageError({ code: 'throttled', name, retryAfterSeconds: 2 }) },
    { when: 'before', name: 'unreachable', error: unreachable() },
    { when: 'after', name: 'answer lost', error: unreachable() },
    { when: 'repeat', name: 'answer lost and repeated' },
  ]
}

const canPend = ['ensure', 'grantRead', 'revoke', 'release', 'open', 'finish']

/** A platform's error may carry a URL; the app must not let it out. */
const computeFaults = ({ operation, name }: PortCall): readonly Injected[] => {
  const lost = () => new Error(`read ECONNRESET https://disks.invalid${name}?sig=${secret}0`)
  const pending = { kind: 'pending', retryAfterSeconds: 3 }
  const errors: readonly Injected[] = [
    { when: 'before', name: 'unreachable', error: lost() },
    { when: 'after', name: 'answer lost', error: lost() },
  ]
  if (!canPend.includes(operation)) return errors
  return [
    ...errors,
    { when: 'before', name: 'throttled', answer: pending },
    { when: 'after', name: 'begun', answer: pending },
  ]
}

const diskFaults = (world: World, { name }: PortCall): readonly Injected[] => {
  const endAccess = (): Error => {
    const id = name.split('@')[0]!
    world.platform.live.delete(id)
    return new SourceError({ code: 'access-ended' })
  }
  return [
    { when: 'before', name: 'throttled', error: new SourceError({ code: 'throttled', retryAfterSeconds: 2 }) },
    { when: 'before', name: 'unreachable', error: new SourceError({ code: 'unreachable', detail: 'ECONNRESET' }) },
    {
      when: 'after',
      name: 'short body',
      error: new SourceError({ code: 'short-body', expectedBytes: 2, actualBytes: 1 }),
    },
    {
      when: 'before',
      name: 'access ended',
      get error() {
        return endAccess()
      },
    },
  ]
}
