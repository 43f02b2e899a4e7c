import type { ComputeManagementClient } from '@azure/arm-compute'
import type { Failed, Pending } from '../domain/job-ref.ts'
import { beginArm, followArm } from './arm-answers.ts'
import type { ArmClients } from './arm-clients.ts'
import { type ComputeResource, parseResourceId } from './resource-id.ts'

/** Bounds of the service for `durationInSeconds`. */
const durationSecondsMin = 30
const durationSecondsMax = 5_184_000

/** Seconds that the service accepts, as near as possible to those asked for. */
export const acceptedSeconds = (seconds: number): number =>
  Math.min(durationSecondsMax, Math.max(durationSecondsMin, Math.floor(seconds)))

/** Asks for a SAS URL of a disk, snapshot or disk restore point and follows the operation to its end.
 * @throws ArmError where another try may cure it */
export const grantAccess = async (
  clients: ArmClients,
  resourceId: string,
  access: 'Read' | 'Write',
  durationSeconds: number,
): Promise<{ readonly kind: 'granted'; readonly sasUrl: string } | Pending | Failed> => {
  const resource = parseResourceId(resourceId)
  if (resource === null) return notReadable
  const begun = await beginArm(() => beginGrant(clients, resource, access, durationSeconds))
  if (begun.kind === 'absent') return sourceGone
  if (begun.kind !== 'answered') return begun
  const ended = await followArm(begun.value.poller)
  if (ended.kind === 'absent') return sourceGone
  if (ended.kind !== 'answered') return ended
  return ended.value?.accessSAS ? { kind: 'granted', sasUrl: ended.value.accessSAS } : noUrl
}

/** Ends all access to a resource and follows the operation to its end; `revoked` too where the resource is gone.
 * @throws ArmError where another try may cure it */
export const revokeAccess = async (
  clients: ArmClients,
  resourceId: string,
): Promise<{ readonly kind: 'revoked' } | Pending | Failed> => {
  const resource = parseResourceId(resourceId)
  if (resource === null) return notReadable
  const begun = await beginArm(() => beginRevoke(clients, resource))
  if (begun.kind === 'absent') return { kind: 'revoked' }
  if (begun.kind !== 'answered') return begun
  const ended = await followArm(begun.value.poller)
  return ended.kind === 'answered' || ended.kind === 'absent' ? { kind: 'revoked' } : ended
}

type Grant = ReturnType<ComputeManagementClient['disks']['grantAccess']>
type Revoke = ReturnType<ComputeManagementClient['disks']['revokeAccess']>

const beginGrant = (
  clients: ArmClients,
  resource: ComputeResource,
  access: 'Read' | 'Write',
  durationSeconds: number,
): Grant => {
  const { disks, snapshots, diskRestorePoint } = clients.forSubscription(resource.subscriptionId)
  const { resourceGroup, name } = resource
  const asked = { access, durationInSeconds: acceptedSeconds(durationSeconds) }
  if (resource.kind === 'diskRestorePoint')
    return diskRestorePoint.grantAccess(resourceGroup, resource.collection, resource.restorePoint, name, asked)
  return (resource.kind === 'snapshot' ? snapshots : disks).grantAccess(resourceGroup, name, asked)
}

const beginRevoke = (clients: ArmClients, resource: ComputeResource): Revoke => {
  const { disks, snapshots, diskRestorePoint } = clients.forSubscription(resource.subscriptionId)
  const { resourceGroup, name } = resource
  if (resource.kind === 'diskRestorePoint')
    return diskRestorePoint.revokeAccess(resourceGroup, resource.collection, resource.restorePoint, name)
  return (resource.kind === 'snapshot' ? snapshots : disks).revokeAccess(resourceGroup, name)
}

const notReadable: Failed = {
  kind: 'failed',
  reason: 'not-a-disk-source',
  message: 'The id is not that of a disk, a snapshot or a disk restore point.',
  hint: 'Start a new backup.',
}
const sourceGone: Failed = {
  kind: 'failed',
  reason: 'source-gone',
  message: 'The disk, snapshot or disk restore point does not exist any more.',
  hint: 'Start a new backup.',
}
const noUrl: Failed = {
  kind: 'failed',
  reason: 'no-access-url',
  message: 'The platform granted access but named no URL for it.',
  hint: 'Start the job again; open a support request if it stays.',
}
