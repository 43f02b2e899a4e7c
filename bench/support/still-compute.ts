import type { Services } from '../../functions/services.ts'
import type { VmDescription } from '../../shared/domain/vm.ts'
import type { StillOrder } from './engine-order.ts'

const group = '/subscriptions/5b0b3a3e-5d4f-4c39-9d4a-4d4f5e0f1c11/resourceGroups/bench/providers/Microsoft.Compute'
export const vmIdOf = (vm: string): string => `${group}/virtualMachines/${vm}`

/** A compute platform that answers at once and has the sources of the order: what it takes in Azure is not the engine's doing. */
export const stillCompute = (
  order: StillOrder,
  vmKey: string,
): Pick<Services, 'access' | 'inventory' | 'restoreDisks' | 'snapshots'> => {
  const urls = order.kind === 'backup' ? order.sources : {}
  const snapshots = {
    ensure: async () => ({ kind: 'ready' as const, snapshots: snapshotsOf(order) }),
    release: async () => ({ kind: 'released' as const, removed: 0 }),
  }
  return {
    inventory: {
      find: async () => vmOf(order, vmKey),
      async *select() {
        yield vmOf(order, vmKey)
      },
    },
    snapshots: { restorePoints: snapshots, diskSnapshots: snapshots },
    access: {
      grantRead: async (resourceId) => ({ kind: 'granted', sasUrl: urls[resourceId.split('/').at(-1) ?? ''] ?? '' }),
      revoke: async () => ({ kind: 'revoked' }),
      exists: async () => true,
      forget: () => undefined,
    },
    restoreDisks: {
      open: async () => ({ kind: 'open', sasUrl: order.kind === 'restore' ? order.targetUrl : '' }),
      finish: async () => ({ kind: 'finished' }),
    },
  }
}

const snapshotsOf = (order: StillOrder) => ({
  kind: 'restorePoint' as const,
  restorePointId: `${group}/restorePoints/bench`,
  consistency: 'crash' as const,
  takenAt: new Date().toISOString(),
  disks: [
    {
      disk: 'os',
      source: {
        kind: 'diskRestorePoint' as const,
        resourceId: `${group}/diskRestorePoints/${order.kind === 'backup' ? order.source : ''}`,
        familyId: 'family',
        sourceUniqueId: `unique-${order.vm}`,
      },
    },
  ],
})

const vmOf = (order: StillOrder, vmKey: string): VmDescription => ({
  vmId: vmIdOf(order.vm),
  vmKey,
  name: order.vm,
  location: 'westeurope',
  resourceGroup: 'bench',
  osType: 'Linux',
  hyperVGeneration: 'V2',
  isRunning: true,
  tags: {},
  imageReference: order.kind === 'backup' ? order.imageReference : null,
  disks: [
    {
      disk: 'os',
      name: `${order.vm}-os`,
      diskId: `${group}/disks/${order.vm}-os`,
      uniqueId: `unique-${order.vm}`,
      sizeBytes: order.kind === 'backup' ? order.sizeBytes : 0,
      sku: 'Premium_LRS',
      zones: [],
      caching: null,
    },
  ],
  unsupported: [],
  configuration: { disks: { os: { sku: { name: 'Premium_LRS' }, osType: 'Linux' } } },
})
