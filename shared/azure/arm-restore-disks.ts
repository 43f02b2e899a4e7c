import type { Disk } from '@azure/arm-compute'
import type { Failed, Pending } from '../domain/job-ref.ts'
import type { RestoreDiskRequest, RestoreDisks } from '../ports/compute.ts'
import { grantAccess, revokeAccess } from './arm-access.ts'
import { askArm, beginArm, followArm } from './arm-answers.ts'
import type { ArmClients } from './arm-clients.ts'
import { jobTag, tagOf } from './arm-tags.ts'
import { createFlights } from './flights.ts'
import { createGrantMemory } from './grant-memory.ts'
import { parseResourceId } from './resource-id.ts'

type Opened = { readonly kind: 'open'; readonly sasUrl: string } | Pending | Failed
type Finished = { readonly kind: 'finished' } | Pending | Failed

/** A fixed VHD ends with a footer of 512 bytes, which the upload has to hold. */
const footerBytes = 512
const mebibyte = 1024 * 1024
/** Upload disks: 20 MiB to 32 TiB, in whole MiB (CreationData.uploadSizeBytes; "Upload a VHD to Azure"). */
const uploadBytesMin = 20 * mebibyte
const uploadBytesMax = 32 * 1024 * 1024 * mebibyte
const againSeconds = 2

/** Upload disks, into which a restore writes. A disk carries its job in a tag, so that a repeated call knows its own again; a write
 * URL is kept in memory only.
 * @param options.accessSeconds life of the write access */
export const createArmRestoreDisks = (options: {
  readonly clients: ArmClients
  readonly accessSeconds: number
  readonly nowMs?: () => number
}): RestoreDisks => {
  const { clients, accessSeconds, nowMs = Date.now } = options
  const memory = createGrantMemory(nowMs)
  const owners = new Map<string, string>()
  const opening = createFlights<Opened>()
  const finishing = createFlights<Finished>()
  const open = async (request: RestoreDiskRequest): Promise<Opened> => {
    const made = await ensureDisk(clients, request)
    if (made.kind !== 'made') return made
    const askedAtMs = nowMs()
    const granted = await grantAccess(clients, request.diskId, 'Write', accessSeconds)
    if (granted.kind !== 'granted') return granted
    memory.keep(request.diskId, granted.sasUrl, askedAtMs, accessSeconds)
    owners.set(request.diskId.toLowerCase(), request.jobId)
    return { kind: 'open', sasUrl: granted.sasUrl }
  }
  return {
    open: async (request, waitMs) => {
      // Another job gets nothing of what this one remembers.
      const isOwn = owners.get(request.diskId.toLowerCase()) === request.jobId
      const sasUrl = isOwn ? memory.fresh(request.diskId) : null
      if (sasUrl !== null) return { kind: 'open', sasUrl }
      const key = `${request.diskId.toLowerCase()} ${request.jobId}`
      return (await opening.join(key, waitMs, () => open(request))) ?? underWay
    },
    finish: async (diskId, jobId, waitMs) => {
      if (owners.get(diskId.toLowerCase()) === jobId) {
        memory.drop(diskId)
        owners.delete(diskId.toLowerCase())
      }
      const key = `${diskId.toLowerCase()} ${jobId}`
      return (await finishing.join(key, waitMs, () => finishDisk(clients, diskId, jobId))) ?? underWay
    },
  }
}

const underWay: Pending = { kind: 'pending', retryAfterSeconds: againSeconds }

const ensureDisk = async (
  clients: ArmClients,
  request: RestoreDiskRequest,
): Promise<{ readonly kind: 'made' } | Pending | Failed> => {
  const id = parseResourceId(request.diskId)
  if (id?.kind !== 'disk') return notADisk
  const { sizeBytes } = request
  if (sizeBytes % mebibyte !== 0 || sizeBytes < uploadBytesMin || sizeBytes > uploadBytesMax) return sizeUnsupported
  const { disks } = clients.forSubscription(id.subscriptionId)
  const found = await askArm(() => disks.get(id.resourceGroup, id.name))
  if (found.kind === 'answered') return stateOf(found.value, request.jobId)
  if (found.kind !== 'absent') return found
  const begun = await beginArm(() => disks.createOrUpdate(id.resourceGroup, id.name, bodyOf(request)))
  if (begun.kind === 'absent') return groupGone
  if (begun.kind !== 'answered') return begun
  const made = await followArm(begun.value.poller)
  if (made.kind === 'absent') return groupGone
  return made.kind === 'answered' ? { kind: 'made' } : made
}

/** States of an upload disk: ReadyToUpload, ActiveUpload while it is open, Unattached when it has been finished. */
const stateOf = (disk: Disk, jobId: string): { readonly kind: 'made' } | Pending | Failed => {
  if (tagOf(disk, jobTag) !== jobId) return diskOfAnother
  if (disk.provisioningState === 'Failed') return creationFailed
  if (disk.diskState === 'ReadyToUpload' || disk.diskState === 'ActiveUpload') return { kind: 'made' }
  return disk.provisioningState === 'Succeeded' ? alreadyFinished : underWay
}

const bodyOf = (request: RestoreDiskRequest): Disk => ({
  location: request.location,
  sku: { name: request.sku },
  creationData: { createOption: 'Upload', uploadSizeBytes: request.sizeBytes + footerBytes },
  tags: { ...request.tags, [jobTag]: request.jobId },
  ...(request.osType === null ? {} : { osType: request.osType }),
  ...(request.hyperVGeneration === null ? {} : { hyperVGeneration: request.hyperVGeneration }),
  ...(request.zones.length === 0 ? {} : { zones: [...request.zones] }),
})

/** The revoke is what makes a disk of an upload; before it, nothing can attach it. */
const finishDisk = async (clients: ArmClients, diskId: string, jobId: string): Promise<Finished> => {
  const before = await diskStateOf(clients, diskId, jobId)
  if (typeof before !== 'string') return before
  if (before !== 'ActiveUpload' && before !== 'ReadyToUpload') return { kind: 'finished' }
  const revoked = await revokeAccess(clients, diskId)
  if (revoked.kind !== 'revoked') return revoked
  const after = await diskStateOf(clients, diskId, jobId)
  if (typeof after !== 'string') return after
  if (after === 'ReadyToUpload') return nothingUploaded
  return after === 'ActiveUpload' ? underWay : { kind: 'finished' }
}

const diskStateOf = async (clients: ArmClients, diskId: string, jobId: string): Promise<string | Pending | Failed> => {
  const id = parseResourceId(diskId)
  if (id?.kind !== 'disk') return notADisk
  const found = await askArm(() => clients.forSubscription(id.subscriptionId).disks.get(id.resourceGroup, id.name))
  if (found.kind === 'absent') return diskGone
  if (found.kind !== 'answered') return found
  if (tagOf(found.value, jobTag) !== jobId) return diskOfAnother
  if (found.value.provisioningState === 'Updating') return underWay
  return found.value.diskState ?? ''
}

const refused = (reason: string, message: string, hint: string): Failed => ({ kind: 'failed', reason, message, hint })

const notADisk = refused(
  'not-a-disk-id',
  'The id is not that of a managed disk.',
  'Give the ARM id of the disk to make: /subscriptions/…/resourceGroups/…/providers/Microsoft.Compute/disks/….',
)
const sizeUnsupported = refused(
  'disk-size-unsupported',
  'Azure takes uploads of 20 MiB to 32 TiB, in whole MiB.',
  'Disks of Azure have such sizes; check where the recovery point comes from.',
)
const groupGone = refused(
  'resource-group-not-found',
  'The resource group of the disk to make does not exist.',
  'Create the resource group, or name another target.',
)
const diskOfAnother = refused(
  'disk-exists',
  'A disk of that name exists and was not made by this job.',
  'Give the target another name; a restore never writes into a disk that exists.',
)
const creationFailed = refused(
  'disk-creation-failed',
  'The disk to restore into could not be made.',
  'See the activity log of the disk in the portal, remove the disk, and start the restore again.',
)
const alreadyFinished = refused(
  'restore-disk-finished',
  'The disk was finished already and cannot be written any more.',
  'Start a new restore into another disk.',
)
const nothingUploaded = refused('nothing-uploaded', 'The disk still waits for its upload.', 'Start the restore again.')
const diskGone = refused(
  'disk-not-found',
  'The disk that was restored into does not exist any more.',
  'Start a new restore.',
)
