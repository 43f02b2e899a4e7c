/**
 * Three images of one's own: 32 GiB and sparse; one in which 200,000 scattered 4 KiB pages change, so that the list of changes has
 * many pages; one that does not change. Full backup, changes, incremental backup, restore, `cmp`. Prints what was moved.
 */
import { execFileSync } from 'node:child_process'
import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { changedBytesBetween } from '../local/demo/compare-images.ts'
import { imageOfDisk } from '../local/demo/emulator.ts'
import type { JobOutcome } from '../shared/domain/job.ts'
import { postJob, workerPeakMiB } from './support/backup-over-http.ts'
import { makeImage, writeScatteredPages } from './support/images.ts'
import { freshFolder, startOwnFleet } from './support/own-fleet.ts'

const mebibyte = 2 ** 20
const gibibyte = 2 ** 30
const folder = await freshFolder('own-images')
const images = ['sparse.img', 'scattered.img', 'unchanged.img'].map((name) => join(folder, name))
const [sparse = '', scattered = '', unchanged = ''] = images
await makeImage(sparse, { sizeBytes: 32 * gibibyte, everyBytes: gibibyte, dataBytes: 8 * mebibyte })
await makeImage(scattered, { sizeBytes: 2 * gibibyte, everyBytes: 2 * gibibyte, dataBytes: 2 * gibibyte })
await makeImage(unchanged, { sizeBytes: 256 * mebibyte, everyBytes: 32 * mebibyte, dataBytes: 16 * mebibyte })

const { azure, vmId } = await startOwnFleet(folder, images, {})
await using _ = azure
report('full', await postJob(azure.hostOrigin, 'backups', { vmId }))

copyFileSync(scattered, `${scattered}.before`)
await writeScatteredPages(scattered, 200_000)
const changed = await changedBytesBetween(`${scattered}.before`, scattered)
console.log(`changed, by a comparison of the two images: ${(changed / mebibyte).toFixed(1)} MiB`)
const incremental = await postJob(azure.hostOrigin, 'backups', { vmId })
report('incremental', incremental)

const restored = await postJob(azure.hostOrigin, 'restores', {
  vmKey: incremental.accepted.vmKey,
  recoveryPointId: 'latest',
})
report('restore', restored)
const targets = restored.accepted.disks as readonly { readonly disk: string; readonly targetDiskId: string }[]
for (const [index, { disk, targetDiskId }] of targets.entries()) {
  execFileSync('cmp', [images[index] ?? '', await imageOfDisk(azure.compute, targetDiskId)])
  console.log(`cmp: ${disk} is identical`)
}
console.log(`peak of the worker process: ${(await workerPeakMiB(azure.hostOrigin)).toFixed(0)} MiB`)

function report(name: string, { seconds, outcome }: { seconds: number; outcome: JobOutcome }): void {
  if (outcome.kind !== 'completed') throw new Error(`${name} did not complete`)
  console.log(`${name}: ${seconds.toFixed(1)} s`)
  console.table(
    outcome.summary.disks.map((disk) => ({
      disk: disk.disk,
      'size MiB': disk.sizeBytes / mebibyte,
      'changed MiB': (disk.changedBytes / mebibyte).toFixed(1),
      'read MiB': (disk.readBytes / mebibyte).toFixed(1),
      'joined MiB': (disk.joinedBytes / mebibyte).toFixed(1),
      'stored before compression MiB': (disk.storedPlainBytes / mebibyte).toFixed(1),
      'stored MiB': (disk.storedBytes / mebibyte).toFixed(1),
      seconds: (disk.milliseconds / 1000).toFixed(1),
    })),
  )
}
