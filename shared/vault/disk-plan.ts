import * as v from 'valibot'
import { type DiskKey, planSummaryName, type SliceKey, slicePlanName } from '../format/names.ts'
import { decodeSealedJson } from '../format/sealed-json.ts'
import { formatVersion } from '../format/sectors.ts'
import { decodeSlicePlan, type SlicePlan } from '../format/slice-plan-codec.ts'
import { VaultError } from '../format/vault-error.ts'
import type { CallOptions, ObjectReader } from '../ports/blob-store.ts'
import { readSealed } from './objects.ts'
import { parseRecord, requireBirth, requireFormat } from './parse-record.ts'
import { remembering } from './remembered-objects.ts'

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0))

const summarySchema = v.object({
  format: v.literal(formatVersion),
  recoveryPointId: v.string(),
  disk: v.string(),
  /** The planning run whose slice plans count. */
  run: count,
  transfer: v.picklist(['full', 'incremental']),
  /** What a full transfer is compared with, so that only what differs is stored; null where all of it is. */
  comparedWith: v.nullable(v.picklist(['vault', 'image'])),
  sizeBytes: count,
  slices: count,
  /** Data and cleared. */
  changedBytes: count,
  dataBytes: count,
  clearBytes: count,
  rangeCount: count,
  listCalls: count,
  sliceBytes: count,
  plannedAt: v.string(),
})

/** What one disk's transfer comes to; its creation settles which planning run counts (docs/format.md, section 10). */
export type DiskPlan = Readonly<v.InferOutput<typeof summarySchema>>

/** True for an increment that brings nothing: its seal follows from the plan. */
export const isUnchanged = ({ transfer, slices }: Pick<DiskPlan, 'slices' | 'transfer'>): boolean =>
  transfer === 'incremental' && slices === 0

/** The plan of the disk, or null where none was made yet. @throws VaultError */
export const readDiskPlan = async (
  control: ObjectReader,
  key: DiskKey,
  options: CallOptions = {},
): Promise<DiskPlan | null> => {
  const name = planSummaryName(key)
  const record = await readSealed(remembering(control, decodeSealedJson), name, options)
  if (record === null) return null
  requireFormat(record, name)
  const plan = parseRecord(summarySchema, record, name)
  requireBirth(name, `${key.recoveryPointId}/${key.disk}`, `${plan.recoveryPointId}/${plan.disk}`)
  return plan
}

/** The plan of the disk, which must be there. */
export const requireDiskPlan = async (control: ObjectReader, key: DiskKey, options: CallOptions): Promise<DiskPlan> => {
  const plan = await readDiskPlan(control, key, options)
  if (plan === null) throw new VaultError({ code: 'object-missing', name: planSummaryName(key) })
  return plan
}

/** The ranges of one slice, of the run that the summary names. @throws VaultError */
export const readSlicePlan = async (
  control: ObjectReader,
  key: SliceKey,
  run: number,
  options: CallOptions,
): Promise<SlicePlan> => {
  const name = slicePlanName(key, run)
  const content = await control.read(name, options)
  if (content === null) throw new VaultError({ code: 'object-missing', name })
  const plan = decodeSlicePlan(content.bytes, name)
  const expected = `${key.recoveryPointId}/${key.disk}/${key.slice} of run ${run}`
  const actual = `${plan.recoveryPointId}/${plan.disk}/${plan.slice} of run ${plan.run}`
  requireBirth(name, expected, actual)
  return plan
}
