import type { RestorePoint } from '@azure/arm-compute'
import type { Failed, Pending } from '../domain/job-ref.ts'
import type { VmDescription } from '../domain/vm.ts'
import type { DiskAccess, SnapshotRequest, SnapshotSet, VmSnapshots } from '../ports/compute.ts'
import { type ArmAnswer, askArm, beginArm } from './arm-answers.ts'
import type { ArmClients } from './arm-clients.ts'
import { type Creations, createCreations } from './arm-creations.ts'
import { plainMessage } from './arm-failure.ts'
import { releaseRestorePoints } from './arm-restore-point-release.ts'
import { type RestorePointScope, scopeOf } from './arm-restore-point-scope.ts'
import { readRestorePoint } from './arm-restore-point-sources.ts'
import { vmTag } from './arm-tags.ts'
import { growingWait } from './growing-wait.ts'
import { isSameId } from './resource-id.ts'

type Ensured = { readonly kind: 'ready'; readonly snapshots: SnapshotSet } | Pending | Failed

/** Restore points: one moment for all disks of a VM. They lie in the collection `deltavault-<vmKey>` of the VM's resource group and
 * are named by their recovery point, which makes `ensure` idempotent. */
export const createArmRestorePoints = (options: {
  readonly clients: ArmClients
  readonly access: DiskAccess
}): VmSnapshots => {
  const creations = createCreations()
  return {
    ensure: (request) => ensureRestorePoint(options.clients, creations, request),
    release: (vm, keep) => releaseRestorePoints(options, vm, keep),
  }
}

const ensureRestorePoint = async (
  clients: ArmClients,
  creations: Creations,
  request: SnapshotRequest,
): Promise<Ensured> => {
  const scope = scopeOf(clients, request.vm)
  if (scope === null) return vmGone
  const { client, resourceGroup, collection } = scope
  const found = await askArm(() =>
    client.restorePoints.get(resourceGroup, collection, request.recoveryPointId, { expand: 'instanceView' }),
  )
  if (found.kind === 'absent') return beginRestorePoint(scope, creations, request)
  if (found.kind !== 'answered') return found
  return progressOf(scope, creations, request, found.value)
}

/** A restore point takes half a minute and more, and the service sends no Retry-After with it. Its provisioning states (Azure
 * REST reference): Creating, Succeeded, Failed, and Deleting on its way out. */
const progressOf = async (
  scope: RestorePointScope,
  creations: Creations,
  request: SnapshotRequest,
  point: RestorePoint,
): Promise<Ensured> => {
  switch (point.provisioningState) {
    case 'Succeeded':
      return readRestorePoint(scope, request, point)
    case 'Failed':
    case 'Canceled':
      return (await creations.failureOf(point.id)) ?? { ...failed, message: statusTextOf(point) }
    default:
      return { kind: 'pending', retryAfterSeconds: growingWait(point.timeCreated) }
  }
}

const beginRestorePoint = async (
  scope: RestorePointScope,
  creations: Creations,
  request: SnapshotRequest,
): Promise<Ensured> => {
  const prepared = await ensureCollection(scope, request.vm)
  if (prepared.kind !== 'answered') return prepared.kind === 'absent' ? vmGone : prepared
  if (!isSameId(prepared.value.vmId, request.vm.vmId)) return foreignCollection
  const { client, resourceGroup, collection } = scope
  const begun = await beginArm(() =>
    client.restorePoints.create(resourceGroup, collection, request.recoveryPointId, bodyOf(request)),
  )
  if (begun.kind === 'absent') return vmGone
  if (begun.kind !== 'answered') return begun
  creations.remember(`${prepared.value.collectionId}/restorePoints/${request.recoveryPointId}`, begun.value.poller)
  return { kind: 'pending', retryAfterSeconds: growingWait(undefined) }
}

interface Collection {
  readonly collectionId: string
  /** The VM that its restore points are of. */
  readonly vmId: string | undefined
}

const ensureCollection = async (scope: RestorePointScope, vm: VmDescription): Promise<ArmAnswer<Collection>> => {
  const { client, resourceGroup, collection } = scope
  const body = { location: vm.location, source: { id: vm.vmId }, tags: { [vmTag]: vm.vmKey } }
  const found = await askArm(() => client.restorePointCollections.get(resourceGroup, collection))
  const there =
    found.kind === 'absent'
      ? await askArm(() => client.restorePointCollections.createOrUpdate(resourceGroup, collection, body))
      : found
  if (there.kind !== 'answered') return there
  return { kind: 'answered', value: { collectionId: there.value.id ?? '', vmId: there.value.source?.id } }
}

/** Only CrashConsistent may be asked for; the better modes are what comes of asking for none. A VM that does not run has no
 * application to coordinate with, and the documentation disagrees on what is done then: crash is asked for explicitly. */
const bodyOf = (request: SnapshotRequest): RestorePoint => {
  const excluded = allDiskIds(request.vm).filter((id) => !wantedIds(request).some((wanted) => isSameId(wanted, id)))
  const isCrash = request.consistency === 'crash' || !request.vm.isRunning
  return {
    ...(isCrash ? { consistencyMode: 'CrashConsistent' } : {}),
    ...(excluded.length === 0 ? {} : { excludeDisks: excluded.map((id) => ({ id })) }),
  }
}

const wantedIds = ({ vm, disks }: SnapshotRequest): string[] =>
  vm.disks.filter(({ disk }) => disks.includes(disk)).map(({ diskId }) => diskId)

/** All managed disks of the VM, those included that cannot be backed up: a shared disk fails the restore point unless left out. */
const allDiskIds = (vm: VmDescription): string[] => {
  const unsupported = vm.unsupported.flatMap(({ disk }) => {
    const resource = (vm.configuration.disks as Readonly<Record<string, { readonly id?: unknown }>> | undefined)?.[disk]
    return typeof resource?.id === 'string' ? [resource.id] : []
  })
  return [...vm.disks.map(({ diskId }) => diskId), ...unsupported]
}

const statusTextOf = (point: RestorePoint): string => {
  const texts =
    point.instanceView?.statuses?.map(({ code, message }) => [code, message].filter(Boolean).join(': ')) ?? []
  return plainMessage(texts.join('; ')) || 'The platform gave no reason.'
}

const failed = {
  kind: 'failed',
  reason: 'restore-point-failed',
  hint: 'See the activity log of the VM in the portal. The next backup makes a new restore point; crash consistency needs no agent.',
} as const
const vmGone: Failed = {
  kind: 'failed',
  reason: 'vm-not-found',
  message: 'The VM does not exist any more.',
  hint: 'Take the VM out of the policy; its recovery points stay.',
}
const foreignCollection: Failed = {
  kind: 'failed',
  reason: 'collection-of-another-vm',
  message: 'The restore point collection belongs to another VM.',
  hint: 'Remove the collection, whose name begins with deltavault-, and start again.',
}
