import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type LocalAzure, startLocalAzure } from '../../local/demo/processes.ts'

const subscription = '5b0b3a3e-5d4f-4c39-9d4a-4d4f5e0f1c11'

/** Where measurements keep their images and data; removed and made anew by each run. */
const benchFolder = (name: string): string => join(import.meta.dirname, '../../.local/bench', name)

/** A local Azure with one running Linux VM whose disks are the given raw images, the first one as its OS disk. */
export const startOwnFleet = async (
  folder: string,
  images: readonly string[],
  settings: Readonly<Record<string, string>>,
): Promise<{ readonly azure: LocalAzure; readonly vmId: string }> => {
  const fleet = {
    subscription,
    resourceGroups: [{ name: 'bench', location: 'westeurope' }],
    virtualMachines: [
      {
        name: 'measured',
        resourceGroup: 'bench',
        osType: 'Linux',
        disks: images.map((image, index) => ({ name: `disk-${index}`, lun: index === 0 ? 'os' : index - 1, image })),
      },
    ],
  }
  const fleetPath = join(folder, 'fleet.json')
  await writeFile(fleetPath, JSON.stringify(fleet, null, 2))
  const azure = await startLocalAzure({
    dataFolder: join(folder, 'azure'),
    fleetPath,
    subscriptionIds: [subscription],
    ports: 'any',
    settings,
  })
  return {
    azure,
    vmId: `/subscriptions/${subscription}/resourceGroups/bench/providers/Microsoft.Compute/virtualMachines/measured`,
  }
}

export const freshFolder = async (name: string): Promise<string> => {
  const folder = benchFolder(name)
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder, { recursive: true })
  return folder
}
