import { accessRoutesOfAll } from './access.ts'
import { grantAccessAction, revokeAccessAction } from './access-actions.ts'
import type { Route } from './arm-request.ts'
import { createDiskAction } from './disk-create.ts'
import { diskRestorePointRoutes } from './disk-restore-points.ts'
import { updateDiskAction } from './disk-update.ts'
import { deleteDiskAction, diskRoutes } from './disks.ts'
import { operationStatusRoutes } from './operation-status.ts'
import type { OperationAction } from './operations.ts'
import { createRestorePointAction, deleteRestorePointAction } from './restore-point-actions.ts'
import { deleteCollectionAction, restorePointCollectionRoutes } from './restore-point-collections.ts'
import { restorePointRoutes } from './restore-points.ts'
import { createSnapshotAction } from './snapshot-create.ts'
import { updateSnapshotAction } from './snapshot-update.ts'
import { deleteSnapshotAction, snapshotRoutes } from './snapshots.ts'
import { createVmAction, deleteVmAction, putVmRoutes } from './virtual-machine-create.ts'
import { changePowerAction, virtualMachinePowerRoutes } from './virtual-machine-power.ts'
import { virtualMachineRoutes } from './virtual-machines.ts'

/** Everything that the control plane serves, by its name in the specification. */
export const allRoutes: readonly Route[] = [
  ...virtualMachineRoutes,
  ...virtualMachinePowerRoutes,
  ...putVmRoutes,
  ...diskRoutes,
  ...snapshotRoutes,
  ...restorePointCollectionRoutes,
  ...restorePointRoutes,
  ...diskRestorePointRoutes,
  ...accessRoutesOfAll,
  ...operationStatusRoutes,
]

/** What the long-running operations do. The names are stored: a renamed one could not be resumed. */
export const allActions: Readonly<Record<string, OperationAction>> = {
  changePower: changePowerAction,
  createVm: createVmAction,
  deleteVm: deleteVmAction,
  createDisk: createDiskAction,
  updateDisk: updateDiskAction,
  deleteDisk: deleteDiskAction,
  createSnapshot: createSnapshotAction,
  updateSnapshot: updateSnapshotAction,
  deleteSnapshot: deleteSnapshotAction,
  deleteCollection: deleteCollectionAction,
  createRestorePoint: createRestorePointAction,
  deleteRestorePoint: deleteRestorePointAction,
  grantAccess: grantAccessAction,
  revokeAccess: revokeAccessAction,
}
