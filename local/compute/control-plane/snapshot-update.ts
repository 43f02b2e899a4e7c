import { type ArmReply, type ArmRequest, param } from './arm-request.ts'
import type { EmulatorContext } from './emulator-context.ts'
import { accepted } from './operation-status.ts'
import type { OperationAction } from './operations.ts'
import { markFailed, requireIdle } from './provisioning.ts'
import type { SnapshotRecord } from './records.ts'
import { acceptedSnapshot, viewOfSnapshot } from './snapshot-view.ts'

/** What a snapshot lets one change. */
export interface SnapshotPatch {
  readonly tags?: Readonly<Record<string, string>> | undefined
  readonly sku?: { readonly name: string } | undefined
  readonly networkAccessPolicy?: string | undefined
  readonly publicNetworkAccess?: string | undefined
}

/** Accepts a change of tags, SKU or network settings. @throws ArmError 409 while another operation runs */
export const updateSnapshot = (
  context: EmulatorContext,
  request: ArmRequest,
  snapshot: SnapshotRecord,
  patch: SnapshotPatch,
): ArmReply => {
  requireIdle('snapshots', snapshot)
  const changed: Partial<SnapshotRecord> = {
    ...(patch.tags === undefined ? {} : { tags: patch.tags }),
    ...(patch.sku === undefined ? {} : { sku: patch.sku.name }),
    ...(patch.networkAccessPolicy === undefined ? {} : { networkAccessPolicy: patch.networkAccessPolicy }),
    ...(patch.publicNetworkAccess === undefined ? {} : { publicNetworkAccess: patch.publicNetworkAccess }),
  }
  const operation = context.state.transaction(() => {
    context.state.put('snapshots', { ...snapshot, provisioningState: 'Updating' })
    return context.operations.begin(request, {
      action: 'updateSnapshot',
      service: 'disk',
      subscriptionId: param(request, 'subscriptionId'),
      location: snapshot.location,
      resourceId: snapshot.id,
      input: { changed },
    })
  })
  return accepted(context, request, operation, {
    status: 202,
    location: true,
    body: acceptedSnapshot({ ...snapshot, ...changed }),
  })
}

/** Applies the accepted change. */
export const updateSnapshotAction: OperationAction = {
  work: async () => undefined,
  settle: (context, operation) => {
    const snapshot = context.state.get('snapshots', operation.resourceId)
    if (snapshot === null) return undefined
    const changed = operation.input.changed as Partial<SnapshotRecord>
    const made: SnapshotRecord = { ...snapshot, ...changed, provisioningState: 'Succeeded' }
    context.state.put('snapshots', made)
    return viewOfSnapshot(context, made)
  },
  undo: markFailed('snapshots'),
}
