import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type AppApi, appApi } from '../../../local/demo/app-api.ts'
import { type LocalAzure, startLocalAzure } from '../../../local/demo/processes.ts'
import { connectStorage } from '../../../shared/azure/storage-connection.ts'
import type { JobStatus } from '../../../shared/jobs/job-status.ts'
import type { BlobReader, ControlStore } from '../../../shared/ports/blob-store.ts'
import { makeImage, mebibyte } from './images.ts'

export const subscription = '11111111-2222-4333-8444-555555555555'

export interface TestDisk {
  readonly sizeMiB: number
  /** Noise at the start of the disk. */
  readonly filledMiB: number
}

/** The whole local Azure over a fleet of one Linux VM, in a folder of its own. */
export interface LocalWorld extends AsyncDisposable {
  readonly folder: string
  readonly azure: LocalAzure
  readonly api: AppApi
  readonly vault: BlobReader
  readonly control: ControlStore
  readonly vmId: string
  /** Raw images by disk label. */
  readonly images: Readonly<Record<string, string>>
}

/** Starts everything on free ports; ends and removes everything when disposed. Needs the built app.
 * @param settings app settings and host switches over the local ones */
export const startLocalWorld = async (
  disks: Readonly<Record<string, TestDisk>>,
  settings: Readonly<Record<string, string>> = {},
): Promise<LocalWorld> => {
  const folder = await mkdtemp(join(tmpdir(), 'deltavault-e2e-'))
  try {
    const { fleetPath, images } = await writeFleet(folder, disks)
    const azure = await startLocalAzure({
      dataFolder: join(folder, 'data'),
      fleetPath,
      subscriptionIds: [subscription],
      ports: 'any',
      settings: { BACKUP_SWEEP_SCHEDULE: '*/3 * * * * *', ...settings },
    })
    const connection = { kind: 'connectionString', connectionString: azure.storageConnectionString } as const
    const stores = connectStorage({ connection, vaultContainer: 'vault', controlContainer: 'control' })
    return {
      folder,
      azure,
      api: appApi(azure.hostOrigin),
      ...stores,
      vmId: vmIdOf('machine'),
      images,
      [Symbol.asyncDispose]: async () => {
        await azure.stop()
        await rm(folder, { recursive: true, force: true })
      },
    }
  } catch (error) {
    await rm(folder, { recursive: true, force: true })
    throw error
  }
}

export const vmIdOf = (name: string): string =>
  `/subscriptions/${subscription}/resourceGroups/tests/providers/Microsoft.Compute/virtualMachines/${name}`

/** Asks for the job until it has ended, or for as long as `isOver` says no.
 * @throws after `secondsMax` with the last status */
export const waitForJob = async (
  world: Pick<LocalWorld, 'api'>,
  jobId: string,
  isOver: (status: JobStatus) => boolean = ({ outcome }) => outcome !== null,
  secondsMax = 120,
): Promise<JobStatus> => {
  const deadline = Date.now() + secondsMax * 1000
  for (;;) {
    const status = await world.api.getJob(jobId)
    if (isOver(status)) return status
    if (Date.now() > deadline)
      throw new Error(`${jobId} did not get there in ${secondsMax} s: ${JSON.stringify(status)}`)
    await sleep(200)
  }
}

/** Names of all objects below a prefix. */
export const namesBelow = async (reader: BlobReader, prefix: string): Promise<readonly string[]> => {
  const names: string[] = []
  for await (const { name } of reader.list(prefix)) names.push(name)
  return names
}

const writeFleet = async (folder: string, disks: Readonly<Record<string, TestDisk>>) => {
  await mkdir(join(folder, 'images'))
  const images: Record<string, string> = {}
  for (const [label, { sizeMiB, filledMiB }] of Object.entries(disks)) {
    images[label] = join(folder, 'images', `${label}.raw`)
    await makeImage(images[label], sizeMiB * mebibyte, label, [{ offsetBytes: 0, lengthBytes: filledMiB * mebibyte }])
  }
  const fleetPath = join(folder, 'fleet.json')
  const fleet = {
    subscription,
    resourceGroups: [{ name: 'tests', location: 'westeurope' }],
    virtualMachines: [
      {
        name: 'machine',
        resourceGroup: 'tests',
        osType: 'Linux',
        disks: Object.entries(images).map(([label, image]) => ({
          name: `machine-${label}`,
          lun: label === 'os' ? 'os' : Number(label.replace('lun-', '')),
          image,
        })),
      },
    ],
  }
  await writeFile(fleetPath, JSON.stringify(fleet))
  return { fleetPath, images }
}
