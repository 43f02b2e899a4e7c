import type { Services } from '../../../functions/services.ts'
import { createVaultKeys } from '../../../shared/vault/vault-keys.ts'
import { onlyWrapper } from '../../support/fake-key-wrapper.ts'
import { computePorts } from './compute-ports.ts'
import { openReader, openWriter } from './disk-ports.ts'
import { subscriptionId } from './fleet.ts'
import { type Watch, watchStore, watchWrapper } from './watch.ts'
import { type World, worldNow } from './world.ts'

const mib = 1024 * 1024

/** The production use cases' services over the world; every call of a port passes the watch. */
export const servicesOf = (world: World, watch: Watch): Services => {
  const [vault, control] = [watchStore(world.vault, 'vault', watch), watchStore(world.control, 'control', watch)]
  const clock: Services['clock'] = {
    now: () => worldNow(world),
    sleep: async (_milliseconds, signal) => signal?.throwIfAborted(),
  }
  return {
    ...computePorts(world, watch),
    clock,
    newToken: () => {
      world.tokens += 1
      return `token-${world.tokens}`
    },
    vault,
    control,
    keys: createVaultKeys({ vault, control, clock, wrappers: onlyWrapper(watchWrapper(world.wrapper, watch)) }),
    openReader: (sasUrl, baseSasUrl) => openReader(world, watch, sasUrl, baseSasUrl),
    openWriter: (sasUrl) => openWriter(world, watch, sasUrl),
    limits: { sliceBytes: mib, lanesMax: 2, accessSeconds: 3600 },
    subscriptionIds: [subscriptionId],
    windowHours: 96,
    attemptsMax: 5,
  }
}
