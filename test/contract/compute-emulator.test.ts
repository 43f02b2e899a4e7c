import { createArmDiskAccess } from '../../shared/azure/arm-disk-access.ts'
import { createArmDiskSnapshots } from '../../shared/azure/arm-disk-snapshots.ts'
import { createArmRestoreDisks } from '../../shared/azure/arm-restore-disks.ts'
import { createArmRestorePoints } from '../../shared/azure/arm-restore-points.ts'
import { createArmVmInventory } from '../../shared/azure/arm-vm-inventory.ts'
import { computeId, startEmulatedAzure } from '../support/emulated-azure.ts'
import { computeContract } from './compute.contract.ts'

computeContract('the compute adapters on the emulator', async () => {
  const azure = await startEmulatedAzure()
  const { clients } = azure
  const access = createArmDiskAccess(clients)
  return {
    vmId: azure.linuxVmId,
    inventory: createArmVmInventory(clients),
    access,
    restorePoints: createArmRestorePoints({ clients, access }),
    diskSnapshots: createArmDiskSnapshots({ clients, access }),
    restoreDisks: createArmRestoreDisks({ clients, accessSeconds: 3600 }),
    newDiskId: computeId('disks', 'restored'),
    pauseMs: 20,
    close: azure.close,
  }
})
