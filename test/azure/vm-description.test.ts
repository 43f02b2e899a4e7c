import type { ComputeManagementClient } from '@azure/arm-compute'
import { describe, expect, it } from 'vitest'
import { ArmError } from '../../shared/azure/arm-error.ts'
import { describeVm } from '../../shared/azure/arm-vm-description.ts'

const group = '/subscriptions/0b1f6471-1bf0-4dda-aec3-cb9272f09590/resourceGroups/rg/providers/Microsoft.Compute'
const secret = 'cGFzc3dvcmQ9aHVudGVyMg=='

interface Keep {
  readonly onResponse?: (answer: { readonly bodyAsText: string }) => void
}
type Raw = Record<string, unknown>

/** A client that answers with the VM and the disks given, as the SDK shows them, beside their JSON. */
const clientOf = (vm: Raw, disks: Readonly<Record<string, Raw | number>>) => {
  const answer = (shown: Raw, raw: Raw, options: Keep) => {
    options.onResponse?.({ bodyAsText: JSON.stringify(raw) })
    return shown
  }
  return {
    virtualMachines: { get: async (_: string, __: string, options: Keep) => answer(vm, rawVm(vm), options) },
    disks: {
      get: async (_: string, name: string, options: Keep) => {
        const disk = disks[name]
        if (typeof disk === 'number' || disk === undefined)
          throw Object.assign(new Error('x'), { statusCode: disk ?? 404, code: 'X' })
        return answer(
          { id: `${group}/disks/${name}`, name, ...disk },
          { id: `${group}/disks/${name}`, properties: disk },
          options,
        )
      },
    },
  } as unknown as ComputeManagementClient
}

const { disk, vm } = {
  disk: (more: Raw = {}): Raw => ({ diskSizeBytes: 1 << 30, uniqueId: 'u', sku: { name: 'Premium_LRS' }, ...more }),
  vm: (more: Raw = {}): Raw => ({
    id: `${group}/virtualMachines/vm`,
    name: 'vm',
    location: 'westeurope',
    instanceView: { statuses: [{ code: 'ProvisioningState/succeeded' }, { code: 'PowerState/running' }] },
    storageProfile: { osDisk: { osType: 'Linux', managedDisk: { id: `${group}/disks/os` } }, dataDisks: [] },
    ...more,
  }),
}

const rawVm = (shown: Raw): Raw => ({
  id: shown.id,
  etag: '"1"',
  plan: { name: 'byol', publisher: 'p', product: 'q' },
  properties: {
    userData: secret,
    osProfile: {
      computerName: 'vm',
      customData: secret,
      adminPassword: secret,
      windowsConfiguration: { additionalUnattendContent: [{ content: secret }] },
    },
    instanceView: { computerName: secret },
    diagnosticsProfile: { bootDiagnostics: { enabled: true } },
  },
  resources: [
    {
      id: `${group}/virtualMachines/vm/extensions/monitor`,
      name: 'monitor',
      properties: { publisher: 'p', type: 't', typeHandlerVersion: '1.0', settings: { key: secret } },
    },
  ],
})

const dataDisks = (...names: readonly string[]) =>
  vm({
    storageProfile: {
      osDisk: { osType: 'Linux', managedDisk: { id: `${group}/disks/os` } },
      dataDisks: names.map((name, lun) => ({ lun, managedDisk: { id: `${group}/disks/${name}` } })),
    },
  })

describe('the description of a VM', () => {
  it('keeps what a restore needs and leaves out what may be secret', async () => {
    const described = await describeVm(clientOf(vm(), { os: disk({ purchasePlan: { name: 'byol' } }) }), 'rg', 'vm')
    expect(JSON.stringify(described)).not.toContain(secret)
    expect(described?.configuration).toMatchObject({
      plan: { name: 'byol' },
      properties: { osProfile: { computerName: 'vm' }, diagnosticsProfile: { bootDiagnostics: { enabled: true } } },
      resources: [{ name: 'monitor', properties: { type: 't' } }],
      disks: { os: { properties: { purchasePlan: { name: 'byol' } } } },
    })
    expect(described?.configuration).not.toHaveProperty('etag')
  })

  it('names each disk that cannot be backed up, with the reason', async () => {
    const odd = dataDisks('shared', 'vhdx', 'entra', 'denied', 'fresh', 'gone', 'hidden', 'fine')
    const described = await describeVm(
      clientOf(odd, {
        os: disk(),
        shared: disk({ maxShares: 2 }),
        vhdx: disk({ creationData: { logicalSectorSize: 4096 } }),
        entra: disk({ dataAccessAuthMode: 'AzureActiveDirectory' }),
        denied: disk({ networkAccessPolicy: 'DenyAll' }),
        fresh: { uniqueId: 'u' },
        hidden: 403,
        fine: disk(),
      }),
      'rg',
      'vm',
    )
    expect(described?.disks.map((one) => one.disk)).toEqual(['os', 'lun-7'])
    expect(described?.unsupported).toEqual([
      { disk: 'lun-0', reason: 'shared' },
      { disk: 'lun-1', reason: 'sector-size-4096' },
      { disk: 'lun-2', reason: 'entra-only-access' },
      { disk: 'lun-3', reason: 'export-denied' },
      { disk: 'lun-4', reason: 'not-ready' },
      { disk: 'lun-5', reason: 'disk-not-found' },
      { disk: 'lun-6', reason: 'not-authorized' },
    ])
  })

  it('names unmanaged and ephemeral OS disks without asking for them', async () => {
    const unmanaged = vm({ storageProfile: { osDisk: { osType: 'Windows', vhd: { uri: 'x' } } } })
    expect((await describeVm(clientOf(unmanaged, {}), 'rg', 'vm'))?.unsupported).toEqual([
      { disk: 'os', reason: 'unmanaged' },
    ])
    const ephemeral = vm({ storageProfile: { osDisk: { osType: 'Linux', diffDiskSettings: { option: 'Local' } } } })
    expect((await describeVm(clientOf(ephemeral, {}), 'rg', 'vm'))?.unsupported).toEqual([
      { disk: 'os', reason: 'ephemeral' },
    ])
  })

  it.each([
    ['running', true],
    ['starting', true],
    ['stopping', true],
    ['stopped', false],
    ['deallocated', false],
  ])('of a VM that is %s says isRunning %s', async (state, isRunning) => {
    const shown = vm({ instanceView: { statuses: [{ code: `PowerState/${state}` }] } })
    expect((await describeVm(clientOf(shown, { os: disk() }), 'rg', 'vm'))?.isRunning).toBe(isRunning)
  })

  it('is not made up when a disk cannot be had for now', async () => {
    const made = describeVm(clientOf(vm(), { os: 429 }), 'rg', 'vm')
    await expect(made).rejects.toMatchObject({ fault: { code: 'throttled' } })
    await expect(made).rejects.toBeInstanceOf(ArmError)
  })
})
