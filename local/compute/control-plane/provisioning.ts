import { conflict } from './arm-error.ts'
import type { EmulatorContext } from './emulator-context.ts'
import type { OperationAction } from './operations.ts'
import type { DiskRecord, ProvisioningState, RecordKind, SnapshotRecord } from './records.ts'

/** A resource is changed by one operation at a time. @throws ArmError 409 while one runs */
export const requireIdle = (
  kind: keyof typeof nouns,
  { name, provisioningState }: DiskRecord | SnapshotRecord,
): void => {
  if (provisioningState !== 'Succeeded' && provisioningState !== 'Failed')
    throw conflict(`Another operation on ${nouns[kind]} '${name}' is in progress.`)
}

/** In words to people. */
const nouns = { disks: 'disk', snapshots: 'snapshot' } as const

/** What an operation leaves that did not come to its end. */
export const markFailed =
  (kind: RecordKind): OperationAction['undo'] =>
  (context, operation) =>
    putState(context, kind, operation.resourceId, 'Failed')

/** Nothing is done where the resource is gone. */
export const putState = <Kind extends RecordKind>(
  context: EmulatorContext,
  kind: Kind,
  id: string,
  provisioningState: ProvisioningState,
): void => {
  const record = context.state.get(kind, id)
  if (record !== null) context.state.put(kind, { ...record, provisioningState })
}
