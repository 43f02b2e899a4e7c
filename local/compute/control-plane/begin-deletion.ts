import { accessIsLive } from './access-state.ts'
import { conflict } from './arm-error.ts'
import { type ArmReply, type ArmRequest, param } from './arm-request.ts'
import type { EmulatorContext } from './emulator-context.ts'
import { accepted } from './operation-status.ts'
import type { OperationAction } from './operations.ts'
import { markFailed, putState, requireIdle } from './provisioning.ts'
import type { DiskRecord, SnapshotRecord } from './records.ts'

/** What is said of one, and the operation that removes it. */
const managed = {
  disks: { title: 'Disk', action: 'deleteDisk' },
  snapshots: { title: 'Snapshot', action: 'deleteSnapshot' },
} as const

type ManagedKind = keyof typeof managed

/** Accepts the removal of a disk or a snapshot. @throws ArmError 409 with a live SAS, or while another operation runs */
export const beginDeletion = (
  context: EmulatorContext,
  request: ArmRequest,
  kind: ManagedKind,
  record: DiskRecord | SnapshotRecord,
): ArmReply => {
  const { title, action } = managed[kind]
  if (accessIsLive(context, record))
    throw conflict(`${title} '${record.name}' has an active shared access signature. Call endGetAccess on it first.`)
  requireIdle(kind, record)
  const operation = context.state.transaction(() => {
    putState(context, kind, record.id, 'Deleting')
    return context.operations.begin(request, {
      action,
      service: 'disk',
      subscriptionId: param(request, 'subscriptionId'),
      location: record.location,
      resourceId: record.id,
      input: {},
    })
  })
  return accepted(context, request, operation, { status: 202, location: true })
}

/** Frees the bytes of a disk or a snapshot and forgets it.
 * @param onRemoved in the transaction that forgets it */
export const deletionAction = (
  kind: ManagedKind,
  onRemoved: (context: EmulatorContext, resourceId: string) => void = () => undefined,
): OperationAction => ({
  work: async (context, operation) => {
    const record = context.state.get(kind, operation.resourceId)
    if (record !== null) await context.disks.remove(record.contentId)
    return undefined
  },
  settle: (context, operation) => {
    context.state.remove(kind, operation.resourceId)
    onRemoved(context, operation.resourceId)
    return undefined
  },
  undo: markFailed(kind),
})
