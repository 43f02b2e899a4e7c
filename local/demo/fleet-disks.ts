import { stat } from 'node:fs/promises'
import type { Fleet, FleetVm } from '../compute/fleet.ts'
import { changedBytesBetween } from './compare-images.ts'
import { copyImage } from './copy-image.ts'
import type { MeasuredDisk } from './report.ts'

/** The ARM id of a VM of a fleet. */
export const vmIdOf = (fleet: Fleet, vm: FleetVm): string =>
  `/subscriptions/${fleet.subscription}/resourceGroups/${vm.resourceGroup}/providers/Microsoft.Compute/virtualMachines/${vm.name}`

/** The image files of a VM by the label that the app gives each disk: `os`, `lun-<n>`. */
export const imagesOf = (vm: FleetVm): ReadonlyMap<string, string> =>
  new Map(vm.disks.map(({ lun, imagePath }) => [lun === 'os' ? 'os' : `lun-${lun}`, imagePath]))

/** Copies all images of a fleet into a folder, so that what changes afterwards can be measured.
 * @returns paths of the copies by path of the image */
export const keepImages = async (fleet: Fleet, folder: string): Promise<ReadonlyMap<string, string>> => {
  const copies = new Map<string, string>()
  for (const { imagePath } of fleet.virtualMachines.flatMap(({ disks }) => disks)) {
    const copyPath = `${folder}/${copies.size}.raw`
    await copyImage(imagePath, copyPath)
    copies.set(imagePath, copyPath)
  }
  return copies
}

/** Measures a VM's images as they are now, with `stat`, and where there is a copy from before by comparing pages. */
export const measureImages = async (
  vm: FleetVm,
  copies: ReadonlyMap<string, string> | null,
): Promise<ReadonlyMap<string, MeasuredDisk>> => {
  const measured = new Map<string, MeasuredDisk>()
  for (const [disk, imagePath] of imagesOf(vm)) {
    const copyPath = copies?.get(imagePath)
    const changedBytes = copyPath === undefined ? null : await changedBytesBetween(copyPath, imagePath)
    measured.set(disk, { allocatedBytes: (await stat(imagePath)).blocks * statBlockBytes, changedBytes })
  }
  return measured
}

/** POSIX leaves the unit of `st_blocks` open; on Linux and macOS it is 512 bytes. */
const statBlockBytes = 512
