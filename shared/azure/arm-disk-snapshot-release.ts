import type { ComputeManagementClient, Snapshot } from '@azure/arm-compute'
import type { Failed, Pending } from '../domain/job-ref.ts'
import type { DiskAccess } from '../ports/compute.ts'
import { askArm, beginArm, obstacleOf } from './arm-answers.ts'
import type { ArmClients } from './arm-clients.ts'
import { recoveryPointTag, tagOf, vmTag } from './arm-tags.ts'
import { inParallel } from './in-parallel.ts'
import { parseResourceId } from './resource-id.ts'

/** Deletions begun at the same time; they draw on the same allowance as snapshots and grants, 1,000 in 3 minutes. */
const deleteLanes = 4
const deletingSeconds = 3

/** Removes the snapshots of this VM that carry our tags, but those of the recovery points in `keep`. Snapshots without the tags are
 * never touched. */
export const releaseDiskSnapshots = async (
  { clients, access }: { readonly clients: ArmClients; readonly access: DiskAccess },
  vm: { readonly vmId: string; readonly vmKey: string },
  keep: readonly string[],
): Promise<{ readonly kind: 'released'; readonly removed: number } | Pending | Failed> => {
  const resource = parseResourceId(vm.vmId)
  if (resource === null) return { kind: 'released', removed: 0 }
  const client = clients.forSubscription(resource.subscriptionId)
  const listed = await askArm(() => unwantedOf(client, resource.resourceGroup, vm.vmKey, keep))
  if (listed.kind === 'absent') return { kind: 'released', removed: 0 }
  if (listed.kind !== 'answered') return listed
  const ends = await inParallel(listed.value, deleteLanes, (snapshot) =>
    removeSnapshot(client, resource.resourceGroup, access, snapshot),
  )
  const obstacle = obstacleOf(ends)
  if (obstacle !== null) return obstacle
  return { kind: 'released', removed: listed.value.length }
}

const unwantedOf = async (
  client: ComputeManagementClient,
  resourceGroup: string,
  vmKey: string,
  keep: readonly string[],
): Promise<Snapshot[]> => {
  const unwanted: Snapshot[] = []
  for await (const snapshot of client.snapshots.listByResourceGroup(resourceGroup)) {
    const recoveryPointId = tagOf(snapshot, recoveryPointTag)
    const isOurs = tagOf(snapshot, vmTag) === vmKey && recoveryPointId !== undefined
    if (isOurs && !keep.includes(recoveryPointId)) unwanted.push(snapshot)
  }
  return unwanted
}

const removeSnapshot = async (
  client: ComputeManagementClient,
  resourceGroup: string,
  access: DiskAccess,
  snapshot: Snapshot,
): Promise<{ readonly kind: 'released' } | Pending | Failed> => {
  // Revoking costs as much as deleting; a snapshot says whether there is anything to revoke.
  if (snapshot.diskState === 'ActiveSAS') {
    const revoked = await access.revoke(snapshot.id ?? '')
    if (revoked.kind !== 'revoked') return revoked
  }
  const begun = await beginArm(() => client.snapshots.delete(resourceGroup, snapshot.name ?? ''))
  if (begun.kind === 'absent') return { kind: 'released' }
  if (begun.kind !== 'answered') return begun
  return begun.value.poller.isDone ? { kind: 'released' } : { kind: 'pending', retryAfterSeconds: deletingSeconds }
}
