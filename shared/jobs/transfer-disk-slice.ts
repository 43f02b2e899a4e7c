import type { DiskRef, Failed, Pending, Stopped } from '../domain/job-ref.ts'
import type { Comparison } from '../vault/comparison.ts'
import { readDiskPlan } from '../vault/disk-plan.ts'
import { type SliceTransfer, type TransferSliceRequest, transferSlice } from '../vault/transfer-slice.ts'
import { findDisk } from './backup-plan.ts'
import type { JobDeps } from './job-deps.ts'
import { encodingOf } from './plan-encoding.ts'
import { sliceProgress } from './slice-progress.ts'
import { stopReasonOf } from './stop.ts'
import { withAccess } from './with-reader.ts'

/** `transferred` also for a slice that was in the vault already. Bytes are of the raw disk, but `storedBytes`. */
export type SliceTransferred =
  | {
      readonly kind: 'transferred'
      readonly changedBytes: number
      readonly readBytes: number
      readonly storedBytes: number
    }
  | Pending
  | Stopped
  | Failed

/** Moves one slice of a disk into the vault. Key: the slice of the disk of the recovery point; a slice that is there already is not
 * moved again. Reads the stop request behind its access and between frames. */
export const transferDiskSlice = async (
  deps: Pick<JobDeps, 'access' | 'clock' | 'control' | 'keys' | 'limits' | 'moveSlice' | 'openReader' | 'vault'>,
  { slice, ...ref }: DiskRef & { readonly slice: number },
): Promise<SliceTransferred> => {
  const disk = await findDisk(deps.control, ref)
  if ('kind' in disk) return disk
  const isStopped = () => stopReasonOf(deps.control, ref)
  const progress = sliceProgress(deps, ref, slice)
  return withAccess(deps, ref, { source: disk.source, base: null }, async (sasUrl) => {
    const { recoveryPointId, jobId, disk: label } = ref
    const shouldStop = async () => (await isStopped()) !== null
    const encoding = await encodingOf(deps, disk.plan.encoding)
    const compared = await comparedWith(deps, ref, disk.planned.comparison)
    const hooks = { shouldStop, onProgress: progress.note }
    const of = { recoveryPointId, jobId, disk: label, slice, isOfImage: disk.planned.image !== null }
    const request = { ...of, encoding, ...compared, ...hooks }
    const here = moveHere(deps, sasUrl)
    const moved = await (deps.moveSlice === undefined ? here(request) : deps.moveSlice(sasUrl, request, here))
    if (moved.kind === 'stopped') return { kind: 'stopped' as const, reason: (await isStopped()) ?? 'cancelled' }
    const { changedBytes, readBytes, storedBytes } = moved
    return { kind: 'transferred' as const, changedBytes, readBytes, storedBytes }
  }).finally(progress.end)
}

/** Nothing where the disk's plan compares with nothing. What is stored may lie under any of the vault's keys. */
const comparedWith = async (
  { control, keys }: Pick<JobDeps, 'control' | 'keys'>,
  ref: DiskRef,
  comparison: Comparison | null,
): Promise<Pick<TransferSliceRequest, 'comparison' | 'comparisonKeys'>> => {
  if (comparison === null || ((await readDiskPlan(control, ref))?.comparedWith ?? null) === null) return {}
  return { comparison, comparisonKeys: await keys.opened() }
}

/** Moves slices in this thread, on the ports of these services. */
const moveHere =
  (deps: Pick<JobDeps, 'clock' | 'control' | 'openReader' | 'vault'>, sasUrl: string) =>
  async (request: TransferSliceRequest): Promise<SliceTransfer> => {
    const reader = deps.openReader(sasUrl, null)
    try {
      return await transferSlice({ vault: deps.vault, control: deps.control, clock: deps.clock, reader }, request)
    } finally {
      reader.close()
    }
  }
