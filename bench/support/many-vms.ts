import type { Services } from '../../functions/services.ts'
import { vmKeyOf } from '../../shared/domain/ids.ts'
import type { VmDescription } from '../../shared/domain/vm.ts'
import { generatedDiskReader } from '../../test/support/memory-disk.ts'

const subscription = '5b0b3a3e-5d4f-4c39-9d4a-4d4f5e0f1c11'
const diskBytes = 64 * 1024

/** A platform that answers at once: resource groups named `vms-<count>-<any>` have that many VMs with one small disk each. */
export const manyVms = (): Pick<
  Services,
  'access' | 'inventory' | 'openReader' | 'restoreDisks' | 'snapshots' | 'subscriptionIds'
> => {
  const snapshots: Services['snapshots']['restorePoints'] = {
    ensure: async ({ vm, recoveryPointId }) => ({
      kind: 'ready',
      snapshots: {
        kind: 'restorePoint',
        restorePointId: `${vm.vmId}/${recoveryPointId}`,
        consistency: 'crash',
        takenAt: new Date().toISOString(),
        disks: [{ disk: 'os', source: sourceOf(vm, recoveryPointId) }],
      },
    }),
    release: async () => ({ kind: 'released', removed: 0 }),
  }
  return {
    subscriptionIds: [subscription],
    inventory: {
      find: async (vmId) => vmOf(vmId),
      async *select({ resourceGroups }) {
        for (const group of resourceGroups ?? [])
          for (let number = 0; number < Number(group.split('-')[1]); number += 1) yield vmOf(vmIdOf(group, number))
      },
    },
    snapshots: { restorePoints: snapshots, diskSnapshots: snapshots },
    access: {
      grantRead: async () => ({ kind: 'granted', sasUrl: 'https://memory/?sig=bench' }),
      revoke: async () => ({ kind: 'revoked' }),
      exists: async () => true,
      forget: () => undefined,
    },
    restoreDisks: {
      open: () => Promise.reject(new Error('nothing is restored here')),
      finish: () => Promise.reject(new Error('nothing is restored here')),
    },
    openReader: () =>
      generatedDiskReader(diskBytes, [{ kind: 'data', offsetBytes: 0, lengthBytes: diskBytes }], (target, offset) =>
        target.fill(offset % 251),
      ),
  }
}

const vmIdOf = (group: string, number: number): string =>
  `/subscriptions/${subscription}/resourceGroups/${group}/providers/Microsoft.Compute/virtualMachines/vm-${number}`

const sourceOf = (vm: VmDescription, recoveryPointId: string) => ({
  kind: 'diskRestorePoint' as const,
  resourceId: `${vm.vmId}/${recoveryPointId}/os`,
  familyId: vm.vmId,
  sourceUniqueId: vm.vmKey,
})

const vmOf = (vmId: string): VmDescription => {
  const [, , , , resourceGroup = '', , , , name = ''] = vmId.split('/')
  const vmKey = vmKeyOf(vmId)
  return {
    vmId,
    vmKey,
    name,
    location: 'westeurope',
    resourceGroup,
    osType: 'Linux',
    hyperVGeneration: 'V2',
    isRunning: true,
    tags: {},
    imageReference: null,
    disks: [
      {
        disk: 'os',
        name: `${name}-os`,
        diskId: `${vmId}-os`,
        uniqueId: vmKey,
        sizeBytes: diskBytes,
        sku: 'Premium_LRS',
        zones: [],
        caching: null,
      },
    ],
    unsupported: [],
    configuration: {},
  }
}
