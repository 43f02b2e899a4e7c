import type { DiskRestorePoint, RestorePoint } from '@azure/arm-compute'
import type { Failed, Pending } from '../domain/job-ref.ts'
import type { Consistency } from '../domain/vm.ts'
import type { SnapshotRequest, SnapshotSet } from '../ports/compute.ts'
import { askArm } from './arm-answers.ts'
import type { RestorePointScope } from './arm-restore-point-scope.ts'
import { isSameId } from './resource-id.ts'
import { isReadable } from './snapshot-readiness.ts'

/** What a caller is told to wait while disk restore points are copied in the background. */
const copyingSeconds = 30

/** Finds the source of each wanted disk in a restore point that has Succeeded.
 * @returns `pending` while one of them cannot be read yet */
export const readRestorePoint = async (
  { client, resourceGroup, collection }: RestorePointScope,
  request: SnapshotRequest,
  point: RestorePoint,
): Promise<{ readonly kind: 'ready'; readonly snapshots: SnapshotSet } | Pending | Failed> => {
  const listed = await askArm(() =>
    allOf(client.diskRestorePoint.listByRestorePoint(resourceGroup, collection, request.recoveryPointId)),
  )
  if (listed.kind !== 'answered') return listed.kind === 'absent' ? gone : listed
  const ids = sourceIdsOf(point)
  const sources = request.disks.map((disk) => ({
    disk,
    source: listed.value.find(({ id }) => isSameId(id, ids.get(disk))),
  }))
  const missing = sources.find(({ source }) => source === undefined)
  if (missing !== undefined) return withoutDisk(missing.disk)
  if (!sources.every(({ source }) => source !== undefined && isReadable(source)))
    return { kind: 'pending', retryAfterSeconds: copyingSeconds }
  return {
    kind: 'ready',
    snapshots: {
      kind: 'restorePoint',
      restorePointId: point.id ?? null,
      consistency: reachedBy(point),
      takenAt: (point.timeCreated ?? new Date(0)).toISOString(),
      disks: sources.flatMap(({ disk, source }) =>
        source === undefined ? [] : [{ disk, source: sourceOf(source, request, disk) }],
      ),
    },
  }
}

/** A VM has at most 64 data disks, so the list is short. */
const allOf = async <T>(items: AsyncIterable<T>): Promise<T[]> => {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

/** Ids of the disk restore points by the label of their disk. */
const sourceIdsOf = (point: RestorePoint): Map<string, string | undefined> => {
  const { osDisk, dataDisks = [] } = point.sourceMetadata?.storageProfile ?? {}
  return new Map([
    ['os', osDisk?.diskRestorePoint?.id],
    ...dataDisks.map(({ lun, diskRestorePoint }) => [`lun-${lun}`, diskRestorePoint?.id] as const),
  ])
}

const sourceOf = (source: DiskRestorePoint, request: SnapshotRequest, disk: string) => ({
  kind: 'diskRestorePoint' as const,
  resourceId: source.id ?? '',
  familyId: source.familyId ?? null,
  sourceUniqueId: source.sourceUniqueId ?? request.vm.disks.find((own) => own.disk === disk)?.uniqueId ?? '',
})

/** What was reached, not what was asked for; the least where the platform does not say. */
const reachedBy = (point: RestorePoint): Consistency => {
  if (point.consistencyMode === 'ApplicationConsistent') return 'application'
  return point.consistencyMode === 'FileSystemConsistent' ? 'fileSystem' : 'crash'
}

const gone: Failed = {
  kind: 'failed',
  reason: 'source-gone',
  message: 'The restore point was removed while it was read.',
  hint: 'Start a new backup.',
}

const withoutDisk = (disk: string): Failed => ({
  kind: 'failed',
  reason: 'disk-not-in-restore-point',
  message: `The restore point holds nothing of disk ${disk}.`,
  hint: 'The disk was attached or detached while the backup started. Start a new backup.',
})
