import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type ControlPlane, startControlPlane } from './control-plane/control-plane.ts'
import type { SettingsInput } from './control-plane/settings.ts'
import { type DataPlane, startDataPlane } from './data-plane/server.ts'
import { createDiskStore, type FileDiskStore } from './disks/file-disk-store.ts'
import { readFleet } from './fleet.ts'

export interface ComputeEmulatorOptions {
  readonly dataFolder: string
  readonly fleetPath: string
  /** 0, the default: the port of the last time if it is free, else any. */
  readonly port?: number
  /** The same for the data plane. */
  readonly dataPort?: number
  readonly settings?: SettingsInput
}

/** A running emulator: everything that a client needs to be pointed at it. */
export interface ComputeEmulator extends ControlPlane {
  /** Origin of all SAS URLs, plain http on loopback. */
  readonly dataPlaneOrigin: string
  readonly dataPlane: DataPlane
  readonly disks: FileDiskStore
}

/** Starts control plane, data plane and disk store over one data folder.
 * @throws FleetError with every problem of the fleet file; an error when a port is taken */
export const startComputeEmulator = async (options: ComputeEmulatorOptions): Promise<ComputeEmulator> => {
  const fleet = await readFleet(options.fleetPath)
  await mkdir(options.dataFolder, { recursive: true, mode: 0o700 })
  let origin = ''
  const disks = await createDiskStore({ folder: join(options.dataFolder, 'disks'), publicOrigin: () => origin })
  const dataPlane = await openDataPlane(options, disks)
  origin = dataPlane.origin
  try {
    const controlPlane = await startControlPlane({ ...options, fleet, disks })
    return {
      ...controlPlane,
      dataPlaneOrigin: origin,
      dataPlane,
      disks,
      close: async () => {
        await controlPlane.close()
        await dataPlane.close()
        await disks.close()
      },
    }
  } catch (error) {
    await dataPlane.close()
    await disks.close()
    throw error
  }
}

/** SAS URLs name the port, so a restarted emulator takes the one it had if nobody else has it. */
const openDataPlane = async (options: ComputeEmulatorOptions, store: FileDiskStore): Promise<DataPlane> => {
  const file = join(options.dataFolder, 'data-plane-port')
  const lastPort = Number(await readFile(file, 'utf8').catch(() => '0'))
  const port = options.dataPort ?? 0
  const dataPlane =
    port === 0 && lastPort > 0
      ? await startDataPlane({ store, port: lastPort }).catch(() => startDataPlane({ store, port: 0 }))
      : await startDataPlane({ store, port })
  await writeFile(file, new URL(dataPlane.origin).port)
  return dataPlane
}
