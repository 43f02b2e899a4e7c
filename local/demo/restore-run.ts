import type { FleetVm } from '../compute/fleet.ts'
import type { AppApi } from './app-api.ts'
import type { ComputeReady } from './app-environment.ts'
import { compareImages } from './compare-images.ts'
import type { Console } from './console.ts'
import { imageOfDisk } from './emulator.ts'
import { imagesOf } from './fleet-disks.ts'
import { followJobs } from './follow-jobs.ts'
import { createProgressView } from './progress.ts'

/** Restores all disks of a VM's recovery point over HTTP into new disks and compares each byte for byte with the image that the VM runs on.
 * @returns what is wrong; empty when every byte is right */
export const restoreAndCompare = async (
  parts: { readonly api: AppApi; readonly compute: ComputeReady; readonly console: Console },
  vm: FleetVm,
  recoveryPoint: { readonly vmKey: string; readonly recoveryPointId: string },
): Promise<readonly string[]> => {
  const { api, console } = parts
  const restore = await api.startRestore(recoveryPoint.vmKey, recoveryPoint.recoveryPointId)
  const [status] = await followJobs(api, [{ vm: vm.name, jobId: restore.jobId }], createProgressView(console.screen))
  const outcome = status?.outcome ?? null
  if (outcome?.kind !== 'completed')
    return [`The restore of ${vm.name} ended ${outcome?.kind}: ${JSON.stringify(outcome)}`]
  const wrong: string[] = []
  for (const [disk, imagePath] of imagesOf(vm)) {
    const targetDiskId = restore.disks.find((one) => one.disk === disk)?.targetDiskId
    if (targetDiskId === undefined) {
      wrong.push(`The restore left out ${vm.name} ${disk}.`)
      continue
    }
    const restoredPath = await imageOfDisk(parts.compute, targetDiskId)
    const comparison = await compareImages(imagePath, restoredPath)
    const verdict = comparison.kind === 'same' ? 'identical' : `DIFFERENT from byte ${comparison.atByte} on`
    console.say(`${vm.name} ${disk}: ${verdict}. To repeat: cmp ${imagePath} ${restoredPath}`)
    if (comparison.kind === 'different') wrong.push(`${vm.name} ${disk} was not restored as it was.`)
  }
  return wrong
}
