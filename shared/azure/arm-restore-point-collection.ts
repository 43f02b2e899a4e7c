import type { Failed, Pending } from '../domain/job-ref.ts'
import { askArm, beginArm } from './arm-answers.ts'
import type { ArmClients } from './arm-clients.ts'
import { scopeOf } from './arm-restore-point-scope.ts'

/** What a caller is told to wait while the collection is being removed. */
const removingSeconds = 3

/** Removes our collection of a VM's restore points when nothing is left in it. Repeatable: asked again until it is gone. */
export const removeEmptyCollection = async (
  clients: ArmClients,
  vm: { readonly vmId: string; readonly vmKey: string },
): Promise<{ readonly kind: 'removed' } | Pending | Failed> => {
  const scope = scopeOf(clients, vm)
  if (scope === null) return { kind: 'removed' }
  const { client, resourceGroup, collection } = scope
  const found = await askArm(() =>
    client.restorePointCollections.get(resourceGroup, collection, { expand: 'restorePoints' }),
  )
  if (found.kind === 'absent') return { kind: 'removed' }
  if (found.kind !== 'answered') return found
  if ((found.value.restorePoints ?? []).length > 0) return notEmpty
  const begun = await beginArm(() => client.restorePointCollections.delete(resourceGroup, collection))
  if (begun.kind === 'absent') return { kind: 'removed' }
  return begun.kind === 'answered' ? { kind: 'pending', retryAfterSeconds: removingSeconds } : begun
}

const notEmpty: Failed = {
  kind: 'failed',
  reason: 'collection-not-empty',
  message: 'The restore point collection still holds restore points.',
  hint: 'Remove them first; a collection takes its restore points with it.',
}
