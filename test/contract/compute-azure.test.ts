import { describe, it } from 'vitest'
import { createArmClients } from '../../shared/azure/arm-clients.ts'
import { createArmDiskAccess } from '../../shared/azure/arm-disk-access.ts'
import { createArmDiskSnapshots } from '../../shared/azure/arm-disk-snapshots.ts'
import { createArmRestoreDisks } from '../../shared/azure/arm-restore-disks.ts'
import { createArmRestorePoints } from '../../shared/azure/arm-restore-points.ts'
import { createArmVmInventory } from '../../shared/azure/arm-vm-inventory.ts'
import { createCredential } from '../../shared/azure/credential.ts'
import { computeContract } from './compute.contract.ts'

/** The same contract on the real service: DELTAVAULT_TEST_VM_ID names a VM that may be snapshotted, as whoever is signed in (Azure
 * CLI or an identity). It makes one restore point, one snapshot and one 24 MiB disk; the disk is left for you to look at. */
const vmId = process.env.DELTAVAULT_TEST_VM_ID

if (vmId === undefined) {
  describe('the compute adapters on Azure', () => {
    it('keep the same contract', ({ skip }) => skip('set DELTAVAULT_TEST_VM_ID to a VM that may be snapshotted'))
  })
} else {
  computeContract('the compute adapters on Azure', async () => {
    const endpoint = process.env.AZURE_RESOURCE_MANAGER_ENDPOINT ?? 'https://management.azure.com'
    const clients = createArmClients({ credential: createCredential(null), endpoint })
    const access = createArmDiskAccess(clients)
    return {
      vmId,
      inventory: createArmVmInventory(clients),
      access,
      restorePoints: createArmRestorePoints({ clients, access }),
      diskSnapshots: createArmDiskSnapshots({ clients, access }),
      restoreDisks: createArmRestoreDisks({ clients, accessSeconds: 3600 }),
      newDiskId: vmId.replace(/\/virtualMachines\/[^/]+$/i, `/disks/deltavault-contract-${Date.now()}`),
      pauseMs: 3000,
      close: async () => undefined,
    }
  })
}
