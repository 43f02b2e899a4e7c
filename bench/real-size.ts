/**
 * One backup at real size: a disk of 32 GiB with every byte allocated (or `--gib N`). Prints wall time, rate and the peak
 * memory of the process that transfers. Needs about 2.3 times the disk's size of free space below `.local`.
 */
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { postJob, workerPeakMiB } from './support/backup-over-http.ts'
import { makeImage } from './support/images.ts'
import { freshFolder, startOwnFleet } from './support/own-fleet.ts'

const gibibyte = 1024 ** 3
const { values } = parseArgs({ options: { gib: { type: 'string', default: '32' } } })
const sizeBytes = Number(values.gib) * gibibyte

const folder = await freshFolder('real-size')
const image = join(folder, 'disk.img')
console.log(`Writing an image of ${values.gib} GiB, every byte allocated`)
await makeImage(image, { sizeBytes, everyBytes: sizeBytes, dataBytes: sizeBytes })

const { azure, vmId } = await startOwnFleet(folder, [image], {})
await using _ = azure
const full = await postJob(azure.hostOrigin, 'backups', { vmId })
if (full.outcome.kind !== 'completed') throw new Error('The backup did not complete.')
const [disk] = full.outcome.summary.disks
if (disk === undefined) throw new Error('The report names no disk.')
const transferSeconds = disk.milliseconds / 1000
console.table({
  'wall seconds, whole job': full.seconds.toFixed(1),
  'wall seconds, transfer of the disk': transferSeconds.toFixed(1),
  'MiB/s of disk, transfer': (sizeBytes / 2 ** 20 / transferSeconds).toFixed(1),
  'GiB read': (disk.readBytes / gibibyte).toFixed(2),
  'GiB joined': (disk.joinedBytes / gibibyte).toFixed(2),
  'GiB stored': (disk.storedBytes / gibibyte).toFixed(2),
  'peak MiB of the worker process': (await workerPeakMiB(azure.hostOrigin)).toFixed(0),
})
