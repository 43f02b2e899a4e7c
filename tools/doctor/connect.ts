import { createArmClients } from '../../shared/azure/arm-clients.ts'
import { createArmDiskAccess } from '../../shared/azure/arm-disk-access.ts'
import { removeEmptyCollection } from '../../shared/azure/arm-restore-point-collection.ts'
import { createArmRestorePoints } from '../../shared/azure/arm-restore-points.ts'
import { createArmVmInventory } from '../../shared/azure/arm-vm-inventory.ts'
import { connectKeys } from '../../shared/azure/connect-keys.ts'
import { createCredential } from '../../shared/azure/credential.ts'
import { createSasDiskReader } from '../../shared/azure/sas-disk-reader.ts'
import { connectStorage } from '../../shared/azure/storage-connection.ts'
import { type StorageSurvey, surveyStorage } from '../../shared/azure/storage-survey.ts'
import type { Config } from '../../shared/config.ts'
import type { ControlStore, VaultStore } from '../../shared/ports/blob-store.ts'
import type { Clock } from '../../shared/ports/clock.ts'
import type { DiskAccess, VmInventory, VmSnapshots } from '../../shared/ports/compute.ts'
import type { DiskReader } from '../../shared/ports/disk-reader.ts'
import type { KeyWrappers } from '../../shared/ports/key-wrapper.ts'
import { systemClock } from '../../shared/system-clock.ts'
import { createVaultKeys, type VaultKeys } from '../../shared/vault/vault-keys.ts'

/** What the checks look through: the app's own adapters, connected as the app connects them. */
export interface Connected {
  readonly config: Config
  readonly clock: Clock
  /** Gets a token and drops it. @throws where there is none */
  readonly proveToken: (clientId: string | null, scope: string) => Promise<void>
  readonly survey: StorageSurvey
  readonly vault: VaultStore
  readonly control: ControlStore
  readonly wrappers: KeyWrappers
  readonly keys: VaultKeys
  readonly inventory: VmInventory
  readonly restorePoints: VmSnapshots
  readonly access: DiskAccess
  readonly openReader: (sasUrl: string, baseSasUrl: string | null) => DiskReader
  readonly removeEmptyCollection: (vm: {
    readonly vmId: string
    readonly vmKey: string
  }) => ReturnType<typeof removeEmptyCollection>
}

/** Makes no request. */
export const connect = (config: Config, clock: Clock = systemClock): Connected => {
  const { vault, control } = connectStorage(config.storage)
  const credential = createCredential(config.identityClientId)
  const clients = createArmClients({ credential, endpoint: config.armEndpoint })
  const access = createArmDiskAccess(clients)
  const wrappers = connectKeys(config.keys, credential)
  return {
    config,
    clock,
    proveToken: async (clientId, scope) => {
      if ((await createCredential(clientId).getToken(scope)) === null) throw new Error('There is no token.')
    },
    survey: surveyStorage(config.storage.connection),
    vault,
    control,
    wrappers,
    keys: createVaultKeys({ vault, control, wrappers, clock }),
    inventory: createArmVmInventory(clients),
    restorePoints: createArmRestorePoints({ clients, access }),
    access,
    openReader: (sasUrl, baseSasUrl) => createSasDiskReader({ sasUrl, baseSasUrl }),
    removeEmptyCollection: (vm) => removeEmptyCollection(clients, vm),
  }
}
