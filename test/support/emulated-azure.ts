import { mkdir, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import tls from 'node:tls'
import { type ComputeEmulator, startComputeEmulator } from '../../local/compute/compute-emulator.ts'
import type { SettingsInput } from '../../local/compute/control-plane/settings.ts'
import { type ArmClients, createArmClients } from '../../shared/azure/arm-clients.ts'
import { createCredential } from '../../shared/azure/credential.ts'

const mebibyte = 1024 * 1024
export const subscriptionId = '5f2c9f52-6d3e-4b0c-9f55-0c8a3bb1d0aa'
const resourceGroup = 'rg-fleet'
export const diskBytes = 24 * mebibyte

/** A compute emulator with a small fleet, and the app's own clients pointed at it the way production is: by an endpoint and the
 * managed-identity variables. */
export interface EmulatedAzure extends AsyncDisposable {
  readonly emulator: ComputeEmulator
  readonly clients: ArmClients
  readonly linuxVmId: string
  readonly windowsVmId: string
  readonly coldVmId: string
  readonly imagePath: (name: string) => string
  readonly close: () => Promise<void>
}

/** Times short enough for tests, limits too high to be met by chance. */
const quick: SettingsInput = {
  operationMs: 30,
  retryAfterSeconds: 0,
  buckets: {
    GetOperationResource: { capacity: 10_000, windowSeconds: 60 },
    GetVMResource: { capacity: 10_000, windowSeconds: 60 },
    PutRestorePointCollectionResource: { capacity: 10_000, windowSeconds: 60 },
  },
}

/** Id of a compute resource in the fleet's resource group. */
export const computeId = (...segments: readonly string[]): string =>
  `/subscriptions/${subscriptionId}/resourceGroups/${resourceGroup}/providers/Microsoft.Compute/${segments.join('/')}`

/** Starts it over a fresh folder. Certificate and identity are put into this process, as NODE_EXTRA_CA_CERTS and the app settings
 * would do for a new one. */
export const startEmulatedAzure = async (settings: SettingsInput = {}): Promise<EmulatedAzure> => {
  const folder = await mkdtemp(join(tmpdir(), 'emulated-azure-'))
  const fleetPath = await writeFleet(folder)
  const emulator = await startComputeEmulator({
    dataFolder: join(folder, 'data'),
    fleetPath,
    settings: { ...quick, ...settings },
  })
  tls.setDefaultCACertificates([...tls.getCACertificates('default'), emulator.certificate])
  process.env.IDENTITY_ENDPOINT = emulator.identityEndpoint
  process.env.IDENTITY_HEADER = emulator.identityHeader
  const close = async () => {
    await emulator.close()
    await rm(folder, { recursive: true, force: true })
  }
  return {
    emulator,
    clients: createArmClients({ credential: createCredential(null), endpoint: emulator.armEndpoint }),
    linuxVmId: computeId('virtualMachines', 'vm-linux'),
    windowsVmId: computeId('virtualMachines', 'vm-windows'),
    coldVmId: computeId('virtualMachines', 'vm-cold'),
    imagePath: (name) => join(folder, 'images', `${name}.raw`),
    close,
    [Symbol.asyncDispose]: close,
  }
}

const disk = (name: string, lun: 'os' | number) => ({ name, lun, image: `images/${name}.raw` })

const writeFleet = async (folder: string): Promise<string> => {
  const images = ['linux-os', 'linux-data-0', 'linux-data-1', 'windows-os', 'cold-os']
  await mkdir(join(folder, 'images'))
  for (const image of images) {
    await writeFile(join(folder, 'images', `${image}.raw`), `first bytes of ${image}`)
    await truncate(join(folder, 'images', `${image}.raw`), diskBytes)
  }
  const common = { resourceGroup, tags: { Policy: 'daily' } }
  const fleet = {
    subscription: subscriptionId,
    resourceGroups: [{ name: resourceGroup, location: 'westeurope' }],
    virtualMachines: [
      {
        ...common,
        name: 'vm-linux',
        osType: 'Linux',
        imageReference: { publisher: 'Canonical', offer: 'ubuntu-24_04-lts', sku: 'server', version: 'latest' },
        disks: [{ ...disk('linux-os', 'os'), caching: 'ReadWrite' }, disk('linux-data-1', 1), disk('linux-data-0', 0)],
      },
      { ...common, name: 'vm-windows', osType: 'Windows', disks: [disk('windows-os', 'os')] },
      {
        ...common,
        name: 'vm-cold',
        osType: 'Linux',
        hyperVGeneration: 'V1',
        powerState: 'deallocated',
        tags: { Policy: 'weekly' },
        disks: [disk('cold-os', 'os')],
      },
    ],
  }
  await writeFile(join(folder, 'fleet.json'), JSON.stringify(fleet))
  return join(folder, 'fleet.json')
}
