import { putAccess } from './access.ts'
import { badRequest, conflict } from './arm-error.ts'
import type { EmulatorContext } from './emulator-context.ts'
import type { OperationAction } from './operations.ts'
import type { AccessRecord, JsonObject, OperationRecord, ReadableKind, ReadableRecord } from './records.ts'

interface GrantInput extends JsonObject {
  readonly kind: ReadableKind
  readonly level: 'Read' | 'Write'
  readonly durationSeconds: number
  readonly before?: AccessRecord
}

const recordOf = (context: EmulatorContext, operation: OperationRecord): ReadableRecord | null =>
  context.state.get(operation.input.kind as ReadableKind, operation.resourceId)

/** Asks the disk store for the SAS. While one is live the store extends it and gives the same URL. */
export const grantAccessAction: OperationAction = {
  work: async (context, operation) => {
    const { level, durationSeconds } = operation.input as GrantInput
    const record = recordOf(context, operation)
    if (record === null) throw conflict('The resource was removed while access was being granted.')
    const grant = await context.disks.grant(record.contentId, level, durationSeconds)
    return { accessSAS: grant.sasUrl, expiresAtMs: grant.expiresAt.getTime() }
  },
  settle: (context, operation, result) => {
    const { kind, level } = operation.input as GrantInput
    const record = recordOf(context, operation)
    if (record !== null) putAccess(context, kind, record, { level, expiresAtMs: Number(result?.expiresAtMs) })
    return { accessSAS: result?.accessSAS }
  },
  undo: (context, operation) => {
    const { kind, before } = operation.input as GrantInput
    const record = recordOf(context, operation)
    if (record !== null) putAccess(context, kind, record, before ?? null)
  },
}

/** Ends all access. Of an upload disk whose writing has begun it also ends the upload: then the footer is looked at, and a
 * disk with a wrong one stays ReadyToUpload and the operation fails. Revoking what was never granted does nothing. */
export const revokeAccessAction: OperationAction = {
  work: async (context, operation) => {
    const record = recordOf(context, operation)
    if (record === null) return undefined
    await context.disks.revoke(record.contentId)
    const disk = operation.input.kind === 'disks' ? context.state.get('disks', record.id) : null
    if (disk?.uploading !== true || disk.access === undefined) return undefined
    const end = await context.disks.finishUpload(record.contentId)
    if (end.kind === 'badFooter') throw badRequest(end.message)
    const content = await context.disks.describe(record.contentId)
    return { uploadedBytes: content?.sizeBytes, familyId: content?.familyId }
  },
  settle: (context, operation, result) => {
    const record = recordOf(context, operation)
    if (record !== null) putAccess(context, operation.input.kind as ReadableKind, record, null)
    const disk = result === undefined ? null : context.state.get('disks', operation.resourceId)
    if (disk !== null)
      context.state.put('disks', {
        ...disk,
        uploading: false,
        sizeBytes: Number(result?.uploadedBytes),
        familyId: String(result?.familyId),
      })
    return undefined
  },
  undo: (context, operation) => {
    const record = recordOf(context, operation)
    if (record !== null && operation.failWith === undefined)
      putAccess(context, operation.input.kind as ReadableKind, record, null)
  },
}
