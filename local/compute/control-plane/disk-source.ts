import { badRequest, conflict, invalidParameter } from './arm-error.ts'
import type { EmulatorContext } from './emulator-context.ts'
import { findRecord } from './find-record.ts'
import type { DiskRecord, DiskRestorePointRecord, ReadableRecord, SnapshotRecord } from './records.ts'
import { parseComputeId } from './resource-ids.ts'

const target = 'properties.creationData.sourceResourceId'

const gib = 2 ** 30

export type Source = DiskRecord | SnapshotRecord | DiskRestorePointRecord

/** The disk or snapshot that a `Copy`, or the disk restore point that a `Restore`, names.
 * @throws ArmError 400 for another kind of id, 404 where it does not exist, 409 while it is being made or uploaded */
export const findSource = (
  context: EmulatorContext,
  createOption: 'Copy' | 'Restore',
  sourceResourceId: string | undefined,
  location: string,
): Source => {
  if (sourceResourceId === undefined)
    throw invalidParameter(target, `Required parameter '${target}' is missing (null) for createOption ${createOption}.`)
  const source = recordOf(context, createOption, sourceResourceId)
  if (source.provisioningState !== 'Succeeded' || ('uploading' in source && source.uploading))
    throw conflict(`The source '${source.name}' is not ready to be copied.`)
  if (source.location !== location)
    throw badRequest(
      `The source '${source.name}' is in ${source.location}, the new resource would be in ${location}: they must be in one region.`,
    )
  return source
}

const recordOf = (context: EmulatorContext, createOption: 'Copy' | 'Restore', id: string): Source => {
  const path = id.startsWith('/') ? id : `/${id}`
  const types = (parseComputeId(path)?.segments ?? [])
    .filter((_, index) => index % 2 === 0)
    .map((type) => type.toLowerCase())
  if (createOption === 'Restore' && types.join() === 'restorepointcollections,restorepoints,diskrestorepoints')
    return findRecord(context, 'diskRestorePoints', path)
  if (createOption === 'Copy' && types.join() === 'disks') return findRecord(context, 'disks', path)
  if (createOption === 'Copy' && types.join() === 'snapshots') return findRecord(context, 'snapshots', path)
  throw invalidParameter(
    target,
    `The value of '${target}' must be the id of a ${createOption === 'Copy' ? 'disk or snapshot' : 'disk restore point'}.`,
  )
}

/** Size of a copy: its source's own, exact, unless a larger one is asked for. @throws ArmError 400 for a smaller one */
export const copySizeBytes = (sourceBytes: number, diskSizeGb: number | undefined): number => {
  if (diskSizeGb === undefined || diskSizeGb === Math.max(1, Math.ceil(sourceBytes / gib))) return sourceBytes
  if (diskSizeGb * gib < sourceBytes)
    throw badRequest(`The new disk's size of ${diskSizeGb} GB is less than the ${sourceBytes} bytes of its source.`)
  return diskSizeGb * gib
}

/** sizeBytes of a source that is ready. */
export const sourceBytes = (source: Source): number => {
  if (source.sizeBytes === undefined) throw conflict(`The source '${(source as ReadableRecord).name}' has no size yet.`)
  return source.sizeBytes
}
