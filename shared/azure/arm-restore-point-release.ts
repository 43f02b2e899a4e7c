import type { RestorePoint } from '@azure/arm-compute'
import type { Failed, Pending } from '../domain/job-ref.ts'
import type { DiskAccess } from '../ports/compute.ts'
import { type ArmAnswer, askArm, beginArm, obstacleOf } from './arm-answers.ts'
import type { ArmClients } from './arm-clients.ts'
import { type RestorePointScope, scopeOf } from './arm-restore-point-scope.ts'
import { inParallel } from './in-parallel.ts'

/** Deletions of restore points begun at the same time; the service takes about 350 in 3 minutes. */
const deleteLanes = 4
const revokeLanes = 4
const deletingSeconds = 3

/** Removes the restore points of our collection but those named in `keep`: access is revoked, the deletion begun, and asked for again
 * until they are gone. Restore points in other collections are never touched.
 * @returns `removed` counts those that this call found gone or saw go; an earlier, pending call may have begun more */
export const releaseRestorePoints = async (
  { clients, access }: { readonly clients: ArmClients; readonly access: DiskAccess },
  vm: { readonly vmId: string; readonly vmKey: string },
  keep: readonly string[],
): Promise<{ readonly kind: 'released'; readonly removed: number } | Pending | Failed> => {
  const scope = scopeOf(clients, vm)
  if (scope === null) return { kind: 'released', removed: 0 }
  const listed = await listPoints(scope)
  if (listed.kind === 'absent') return { kind: 'released', removed: 0 }
  if (listed.kind !== 'answered') return listed
  const unwanted = listed.value.filter(({ name }) => !keep.some((kept) => kept.toLowerCase() === name?.toLowerCase()))
  const ends = await inParallel(unwanted, deleteLanes, (point) => removePoint(scope, access, point))
  const obstacle = obstacleOf(ends)
  if (obstacle !== null) return obstacle
  return { kind: 'released', removed: unwanted.length }
}

const listPoints = ({
  client,
  resourceGroup,
  collection,
}: RestorePointScope): Promise<ArmAnswer<readonly RestorePoint[]>> =>
  askArm(async () => {
    const found = await client.restorePointCollections.get(resourceGroup, collection, { expand: 'restorePoints' })
    return found.restorePoints ?? []
  })

/** @returns `released` where it is gone by the end of the call */
const removePoint = async (
  scope: RestorePointScope,
  access: DiskAccess,
  point: RestorePoint,
): Promise<{ readonly kind: 'released' } | Pending | Failed> => {
  const underWay: Pending = { kind: 'pending', retryAfterSeconds: deletingSeconds }
  // One that is being made cannot be deleted yet.
  if (point.provisioningState === 'Deleting' || point.provisioningState === 'Creating') return underWay
  const { client, resourceGroup, collection } = scope
  const name = point.name ?? ''
  const sources = await sourceIdsOf(scope, point)
  if (sources.kind === 'absent') return { kind: 'released' }
  if (sources.kind !== 'answered') return sources
  const revokes = await inParallel(sources.value, revokeLanes, (id) => access.revoke(id))
  const waiting = revokes.find((revoke) => revoke.kind === 'pending')
  if (waiting !== undefined) return waiting
  // A refused revoke is not the last word: a live access makes the deletion fail, and that says why.
  const begun = await beginArm(() => client.restorePoints.delete(resourceGroup, collection, name))
  if (begun.kind === 'absent') return { kind: 'released' }
  if (begun.kind !== 'answered') return begun
  return begun.value.poller.isDone ? { kind: 'released' } : underWay
}

/** A list of restore points may leave out what they hold; then it is asked for. */
const sourceIdsOf = async (
  { client, resourceGroup, collection }: RestorePointScope,
  point: RestorePoint,
): Promise<ArmAnswer<readonly string[]>> => {
  const { osDisk, dataDisks = [] } = point.sourceMetadata?.storageProfile ?? {}
  const known = [osDisk, ...dataDisks].flatMap((disk) => disk?.diskRestorePoint?.id ?? [])
  if (known.length > 0) return { kind: 'answered', value: known }
  return askArm(async () => {
    const ids: string[] = []
    const listed = client.diskRestorePoint.listByRestorePoint(resourceGroup, collection, point.name ?? '')
    for await (const { id } of listed) if (id !== undefined) ids.push(id)
    return ids
  })
}
