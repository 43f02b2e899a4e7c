import type { DiskSource } from '../domain/disk-source.ts'
import type { DiskReport } from '../domain/job.ts'
import type { DiskRef, Failed, Pending, Stopped } from '../domain/job-ref.ts'
import { slicesRoot } from '../format/names.ts'
import { VaultError } from '../format/vault-error.ts'
import type { BlobReader } from '../ports/blob-store.ts'
import { type DiskReader, SourceError } from '../ports/disk-reader.ts'
import { withHolesCleared } from '../vault/compare-ranges.ts'
import { type Comparison, layersBelow } from '../vault/comparison.ts'
import { damageOf } from '../vault/damage-reports.ts'
import type { DiskStack } from '../vault/damaged-ranges.ts'
import { type DiskPlan, isUnchanged, readDiskPlan } from '../vault/disk-plan.ts'
import { rangesToHeal, withRangesAdded } from '../vault/heal.ts'
import { planDiskAnew } from '../vault/plan-disk.ts'
import { sealUnchanged } from '../vault/seal-disk.ts'
import { openStack } from '../vault/stack.ts'
import { noteStoredDamage } from '../vault/stored-damage.ts'
import { findDisk, type PlannedBase, planMissing } from './backup-plan.ts'
import { crossesDiffBoundary } from './choose-base.ts'
import { fullReasonName } from './control-names.ts'
import type { JobDeps } from './job-deps.ts'
import { decideOnce, readDecision } from './json-object.ts'
import { withReader } from './with-reader.ts'

/** `slices` is 0 where nothing changed. `lanes` says over how many children the slices are spread, at least 1. Bytes are of the raw disk. */
export type DiskPlanned =
  | {
      readonly kind: 'planned'
      readonly transfer: 'full' | 'incremental'
      readonly slices: number
      readonly lanes: number
      readonly sizeBytes: number
      readonly changedBytes: number
      /** Present where nothing changed and no plan is stored: all there is to tell of the disk, which needs neither slices nor seal. */
      readonly unchanged?: DiskReport
    }
  | Pending
  | Stopped
  | Failed

type PlanDeps = Pick<JobDeps, 'access' | 'clock' | 'control' | 'limits' | 'openReader' | 'vault'>

/** Lists what a disk's transfer has to move and cuts it into slices. Key: the disk of the recovery point; the first plan stays. A first attempt does
 * not look for it: repeated, it lists again, and takes the plan that is there. Where the platform cannot compare the source with its base, the plan is that
 * of a full transfer, and the reason is recorded. */
export const planDiskTransfer = async (deps: PlanDeps, ref: DiskRef): Promise<DiskPlanned> => {
  const stored = ref.attempt === 1 ? null : await readDiskPlan(deps.control, ref)
  if (stored !== null) return plannedOf(deps, stored)
  if (ref.attempt !== 1 && (await hasSlices(deps, ref))) return planAgain(deps, ref)
  const disk = await findDisk(deps.control, ref)
  if ('kind' in disk) return disk
  const { source, planned } = disk
  const base = await usableBase(deps, ref, source, planned.base)
  return listTolerantly(deps, ref, source, { base, comparison: planned.comparison })
}

/** Slices of a plan that is gone: another list may be cut in other places, and they would not fit together. */
const hasSlices = async ({ vault }: PlanDeps, { recoveryPointId, disk }: DiskRef): Promise<boolean> => {
  for await (const _ of vault.list(`${slicesRoot}${recoveryPointId}/${disk}/`)) return true
  return false
}

/** A twin may have planned the disk since the first look. */
const planAgain = async (deps: PlanDeps, ref: DiskRef): Promise<DiskPlanned> => {
  const stored = await readDiskPlan(deps.control, ref)
  return stored === null ? planMissing : plannedOf(deps, stored)
}

/** What the source is listed against. */
interface Against {
  readonly base: PlannedBase | null
  readonly comparison: Comparison | null
}

const plain: Against = { base: null, comparison: null }

/** Does without the base where the platform cannot compare with it, or has lost it in the middle of that, and without what is stored where its index is damaged: what would lie
 * on it could not be restored. */
const listTolerantly = async (
  deps: PlanDeps,
  ref: DiskRef,
  source: DiskSource,
  against: Against,
): Promise<DiskPlanned> => {
  try {
    const listed = await list(deps, ref, source, against)
    if (listed.kind !== 'failed' || against.base === null || (await isThere(deps, against.base))) return listed
    await noteFull(deps, ref, 'base-gone')
    return listTolerantly(deps, ref, source, { ...against, base: null })
  } catch (error) {
    if (error instanceof SourceError && error.fault.code === 'diff-unsupported' && against.base !== null) {
      await noteFull(deps, ref, 'diff-unsupported')
      return listTolerantly(deps, ref, source, { ...against, base: null })
    }
    if (error instanceof VaultError && error.fault.name.startsWith('layers/') && against !== plain) {
      await noteStoredDamage(deps.control, ref, error)
      return listTolerantly(deps, ref, source, plain)
    }
    throw error
  }
}

/** The base, unless the platform cannot compare with it. The base was chosen by what the VM was before its
 * copy was taken: a disk that was exchanged in between is seen only here. */
const usableBase = async (
  deps: PlanDeps,
  ref: DiskRef,
  source: DiskSource,
  base: PlannedBase | null,
): Promise<PlannedBase | null> => {
  if (base === null) return null
  const obstacle = obstacleBetween(source, base.source) ?? ((await isThere(deps, base)) ? null : 'base-gone')
  if (obstacle === null) return base
  await noteFull(deps, ref, obstacle)
  return null
}

const isThere = (deps: PlanDeps, { source }: PlannedBase): Promise<boolean> => deps.access.exists(source.resourceId)

const obstacleBetween = (source: DiskSource, base: DiskSource): string | null => {
  const isSame = (one: string, other: string): boolean => one.toLowerCase() === other.toLowerCase()
  if (!isSame(source.sourceUniqueId, base.sourceUniqueId)) return 'disk-recreated'
  if (source.familyId !== null && base.familyId !== null && !isSame(source.familyId, base.familyId))
    return 'different-family'
  return null
}

const list = (deps: PlanDeps, ref: DiskRef, source: DiskSource, { base, comparison }: Against): Promise<DiskPlanned> =>
  withReader(deps, ref, { source, base: base?.source ?? null }, async (reader) => {
    const { recoveryPointId, disk } = ref
    const { sliceBytes } = deps.limits
    // A disk may be resized after the base was chosen for it; only its copy says how large it was.
    if (base !== null && crossesDiffBoundary(base.sizeBytes, await reader.sizeBytes()))
      throw new SourceError({ code: 'diff-unsupported', serviceCode: 'resized-across-4-tib' })
    const sound = base === null ? await soundComparison(deps, ref, reader, comparison) : comparison
    const plan = await planDiskAnew(
      {
        control: deps.control,
        clock: deps.clock,
        reader: await hiding(deps, ref, reader, { base, comparison: sound }),
      },
      {
        recoveryPointId,
        disk,
        hasBase: base !== null,
        comparedWith: base === null ? kindOf(sound) : null,
        sliceBytes,
        tellsUnchanged: ref.attempt !== undefined,
      },
    )
    const planned = plannedOf(deps, plan)
    if (ref.attempt === undefined || !isUnchanged(plan)) return planned
    return { ...planned, unchanged: sealUnchanged(plan, [], null).report }
  })

const kindOf = (comparison: Comparison | null) => comparison?.kind ?? null

/** Null where the stack is known to show what cannot be restored. Reading it back may not tell: a data key whose record is gone may still be in
 * this process's memory. An image's base is asked about when it is chosen. */
const soundComparison = async (
  deps: PlanDeps,
  ref: DiskRef,
  reader: DiskReader,
  comparison: Comparison | null,
): Promise<Comparison | null> => {
  if (comparison?.kind !== 'vault') return comparison
  const reports = await damageOf(deps.control, ref.vmKey)
  const [fault] = reports.filter(({ kind }) => kind === 'key' || kind === 'data')
  if (fault === undefined) return comparison
  const below = { stack: comparison.stack, sizeBytes: await reader.sizeBytes() }
  if ((await rangesToHeal(deps.vault, below, reports)).length === 0) return comparison
  await noteStoredDamage(deps.control, ref, { fault })
  return null
}

/** The source with what the new layer has to hide of those it will lie on. An increment is told so by the platform, but for what older
 * layers may hold behind the end that the disk had at its base. */
const hiding = async (
  deps: PlanDeps,
  ref: DiskRef,
  reader: DiskReader,
  { base, comparison }: Against,
): Promise<DiskReader> => {
  if (comparison === null) return reader
  const sizeBytes = await reader.sizeBytes()
  const below = { stack: layersBelow(comparison), sizeBytes }
  const whole = base === null ? reader : await healing(deps, reader, ref, below)
  if (base !== null && sizeBytes <= base.sizeBytes) return whole
  return withHolesCleared(whole, await openStack(deps.vault, below), base?.sizeBytes ?? 0)
}

/** An increment brings anew what a check found damaged below it: the source still has it. */
const healing = async (
  deps: PlanDeps,
  reader: DiskReader,
  { vmKey }: DiskRef,
  below: DiskStack,
): Promise<DiskReader> => {
  const reports = await damageOf(deps.control, vmKey)
  if (reports.length === 0) return reader
  return withRangesAdded(reader, await rangesToHeal(deps.vault, below, reports))
}

const plannedOf = (deps: PlanDeps, plan: DiskPlan): DiskPlanned & { readonly kind: 'planned' } => ({
  kind: 'planned',
  transfer: plan.transfer,
  slices: plan.slices,
  lanes: Math.max(1, Math.min(deps.limits.lanesMax, plan.slices)),
  sizeBytes: plan.sizeBytes,
  changedBytes: plan.changedBytes,
})

const noteFull = async (deps: PlanDeps, ref: DiskRef, reason: string): Promise<void> => {
  await decideOnce(deps.control, fullReasonName(ref.recoveryPointId, ref.disk), { reason })
}

/** Why the disk's transfer became a full one after the backup was planned; null where it did not. */
export const readFullReason = async (control: BlobReader, ref: DiskRef): Promise<string | null> =>
  (await readDecision<{ readonly reason: string }>(control, fullReasonName(ref.recoveryPointId, ref.disk)))?.reason ??
  null
