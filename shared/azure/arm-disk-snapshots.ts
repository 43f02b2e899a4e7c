import type { Snapshot } from '@azure/arm-compute'
import type { Failed, Pending } from '../domain/job-ref.ts'
import type { VmDisk } from '../domain/vm.ts'
import type { DiskAccess, SnapshotRequest, SnapshotSet, VmSnapshots } from '../ports/compute.ts'
import { askArm, beginArm, obstacleOf } from './arm-answers.ts'
import type { ArmClients } from './arm-clients.ts'
import { releaseDiskSnapshots } from './arm-disk-snapshot-release.ts'
import { diskTag, recoveryPointTag, tagOf, vmTag } from './arm-tags.ts'
import { growingWait } from './growing-wait.ts'
import { inParallel } from './in-parallel.ts'
import { isSameId, parseResourceId } from './resource-id.ts'
import { isReadable } from './snapshot-readiness.ts'

/** Disks whose snapshots are asked for or begun at the same time: close together, as they are no common moment anyway. */
const diskLanes = 8
const copyingSeconds = 30

/** Incremental snapshots of each disk by itself: the second source, for VMs that restore points do not support. The disks are taken
 * one after another and are not consistent with each other; what is reached is `crash`. Names are made of the recovery point and
 * the disk, tags tell whose they are. Limits: 7 snapshots of a disk in 5 minutes, 500 in all (incremental snapshots page). */
export const createArmDiskSnapshots = (options: {
  readonly clients: ArmClients
  readonly access: DiskAccess
}): VmSnapshots => ({
  ensure: (request) => ensureDiskSnapshots(options.clients, request),
  release: (vm, keep) => releaseDiskSnapshots(options, vm, keep),
})

/** `deltavault-<recovery point>-<disk>`: at most 80 characters, as snapshot names may have; a recovery point id is unique to its VM. */
const snapshotNameOf = (recoveryPointId: string, disk: string): string => `deltavault-${recoveryPointId}-${disk}`

const ensureDiskSnapshots = async (
  clients: ArmClients,
  request: SnapshotRequest,
): Promise<{ readonly kind: 'ready'; readonly snapshots: SnapshotSet } | Pending | Failed> => {
  const wanted = request.disks.map((label) => ({ label, disk: request.vm.disks.find(({ disk }) => disk === label) }))
  const unknown = wanted.find(({ disk }) => disk === undefined)
  if (unknown !== undefined) return diskGone(unknown.label)
  const disks = wanted.flatMap(({ disk }) => (disk === undefined ? [] : [disk]))
  const taken = await inParallel(disks, diskLanes, (disk) => ensureSnapshot(clients, request, disk))
  const obstacle = obstacleOf(taken)
  if (obstacle !== null) return obstacle
  return {
    kind: 'ready',
    snapshots: setOf(
      disks,
      taken.flatMap((one) => (one.kind === 'ready' ? [one.snapshot] : [])),
    ),
  }
}

const setOf = (disks: readonly VmDisk[], snapshots: readonly Snapshot[]): SnapshotSet => ({
  kind: 'diskSnapshots',
  restorePointId: null,
  consistency: 'crash',
  // The set is as old as its oldest part.
  takenAt: new Date(Math.min(...snapshots.map(({ timeCreated }) => timeCreated?.getTime() ?? 0))).toISOString(),
  disks: disks.map(({ disk, uniqueId }, index) => ({
    disk,
    source: {
      kind: 'diskSnapshot',
      resourceId: snapshots[index]?.id ?? '',
      familyId: snapshots[index]?.incrementalSnapshotFamilyId ?? null,
      sourceUniqueId: snapshots[index]?.creationData?.sourceUniqueId ?? uniqueId,
    },
  })),
})

const ensureSnapshot = async (
  clients: ArmClients,
  request: SnapshotRequest,
  disk: VmDisk,
): Promise<{ readonly kind: 'ready'; readonly snapshot: Snapshot } | Pending | Failed> => {
  const vm = parseResourceId(request.vm.vmId)
  if (vm === null) return diskGone(disk.disk)
  const { snapshots } = clients.forSubscription(vm.subscriptionId)
  const name = snapshotNameOf(request.recoveryPointId, disk.disk)
  const found = await askArm(() => snapshots.get(vm.resourceGroup, name))
  if (found.kind === 'answered') return progressOf(request, disk, found.value)
  if (found.kind !== 'absent') return found
  const begun = await beginArm(() => snapshots.createOrUpdate(vm.resourceGroup, name, bodyOf(request, disk)))
  if (begun.kind === 'absent') return diskGone(disk.disk)
  return begun.kind === 'answered' ? { kind: 'pending', retryAfterSeconds: growingWait(undefined) } : begun
}

const bodyOf = (request: SnapshotRequest, disk: VmDisk): Snapshot => ({
  location: request.vm.location,
  incremental: true,
  creationData: { createOption: 'Copy', sourceResourceId: disk.diskId },
  tags: { [vmTag]: request.vm.vmKey, [recoveryPointTag]: request.recoveryPointId, [diskTag]: disk.disk },
})

const progressOf = (
  request: SnapshotRequest,
  disk: VmDisk,
  snapshot: Snapshot,
): { readonly kind: 'ready'; readonly snapshot: Snapshot } | Pending | Failed => {
  const isOurs =
    tagOf(snapshot, vmTag) === request.vm.vmKey && isSameId(snapshot.creationData?.sourceResourceId, disk.diskId)
  if (!isOurs) return nameTaken(disk.disk)
  if (snapshot.provisioningState === 'Failed') return snapshotFailed(disk.disk)
  if (snapshot.copyCompletionError !== undefined) return snapshotFailed(disk.disk)
  if (snapshot.provisioningState !== 'Succeeded')
    return { kind: 'pending', retryAfterSeconds: growingWait(snapshot.timeCreated) }
  if (!isReadable(snapshot)) return { kind: 'pending', retryAfterSeconds: copyingSeconds }
  return { kind: 'ready', snapshot }
}

const diskGone = (disk: string): Failed => ({
  kind: 'failed',
  reason: 'disk-not-found',
  message: `Disk ${disk} of the VM does not exist any more.`,
  hint: 'The disk was detached while the backup started. Start a new backup.',
})
const nameTaken = (disk: string): Failed => ({
  kind: 'failed',
  reason: 'snapshot-of-another',
  message: `A snapshot with the name for disk ${disk} exists and is not of this VM and disk.`,
  hint: 'Remove the snapshot, or put its deltavault tags back, and start again.',
})
const snapshotFailed = (disk: string): Failed => ({
  kind: 'failed',
  reason: 'snapshot-failed',
  message: `The snapshot of disk ${disk} has failed.`,
  hint: 'See the activity log of the disk in the portal. The next backup makes a new snapshot.',
})
