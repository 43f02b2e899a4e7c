import { type DiskRef, type Failed, type Pending, type Stopped, superseded } from '../domain/job-ref.ts'
import type { DiskWriter } from '../ports/disk-writer.ts'
import { type RestoreRangeDeps, restoreRange } from '../vault/restore-range.ts'
import { isCurrent } from './claim.ts'
import { footerName } from './control-names.ts'
import type { JobDeps } from './job-deps.ts'
import { createOrRead, readJson } from './json-object.ts'
import { type DiskToRestore, findRestoreDisk } from './restore-plan.ts'
import { stopReasonOf } from './stop.ts'
import { tellingDamage } from './telling-damage.ts'

type RestoreDeps = Pick<
  JobDeps,
  'clock' | 'control' | 'keys' | 'limits' | 'openWriter' | 'restoreDisks' | 'restoreLanes' | 'vault'
>

/** How long one activity may poll the platform before it leaves the waiting to a durable timer. */
const waitMs = 10_000

/** Makes the disk and opens it for upload. Key: the target disk; it carries the job's mark, so a repeated call finds its own. A disk that
 * an earlier attempt completed stays as it is. */
export const openPlannedDisk = async (
  deps: RestoreDeps,
  ref: DiskRef,
): Promise<{ readonly kind: 'open'; readonly sizeBytes: number } | Pending | Stopped | Failed> =>
  (await stopped(deps, ref)) ??
  (await ofComplete(deps, ref, (sizeBytes) => ({ kind: 'open' as const, sizeBytes }))) ??
  withWriter(deps, ref, async ({ sizeBytes }) => ({ kind: 'open' as const, sizeBytes }))

/** Writes the disk from an offset on, as much as one activity should. Key: the offset; written again, the bytes are the same. */
export const writePlannedRange = async (
  deps: RestoreDeps,
  { fromOffsetBytes, ...ref }: DiskRef & { readonly fromOffsetBytes: number },
): Promise<
  | { readonly kind: 'more'; readonly nextOffsetBytes: number; readonly writtenBytes: number }
  | { readonly kind: 'written'; readonly nextOffsetBytes: number; readonly writtenBytes: number }
  | Pending
  | Stopped
  | Failed
> =>
  (await stopped(deps, ref)) ??
  (await ofComplete(deps, ref, (sizeBytes) => ({
    kind: 'written' as const,
    nextOffsetBytes: sizeBytes,
    writtenBytes: 0,
  }))) ??
  withWriter(deps, ref, async ({ recoveryPoint }, writer, sasUrl) => {
    const request = { recoveryPoint, disk: ref.disk, fromOffsetBytes, budgetBytes: deps.limits.sliceBytes }
    const { kind, nextOffsetBytes, writtenBytes } = await restoreRange(
      { vault: deps.vault, writer: writer(), keys: await deps.keys.ring(), ...(await lanesTo(deps, sasUrl)) },
      request,
    )
    return { kind, nextOffsetBytes, writtenBytes }
  })

/** A key that cannot be opened is told of where a frame needs it. */
const lanesTo = async (
  { keys, restoreLanes }: Pick<RestoreDeps, 'keys' | 'restoreLanes'>,
  sasUrl: string,
): Promise<Pick<RestoreRangeDeps, 'startLanes'>> => {
  if (restoreLanes === undefined) return {}
  const opened = await keys.opened().catch(() => [])
  return { startLanes: (lane) => restoreLanes({ sasUrl, keys: opened }, lane) }
}

/** Writes the footer, then ends the upload, which makes the disk one that can be attached. Key: the target disk. */
export const finishPlannedDisk = async (
  deps: RestoreDeps,
  ref: DiskRef,
): Promise<{ readonly kind: 'finished' } | Pending | Failed> => {
  const footer = footerName(ref.jobId, ref.disk)
  if ((await readJson(deps.control, footer)) === null) {
    const written = await withWriter(deps, ref, async (_disk, writer) => {
      await writer().writeFooter()
      return { kind: 'finished' as const }
    })
    if (written.kind !== 'finished') return written
    await createOrRead(deps.control, footer, { disk: ref.disk })
  }
  return endUpload(deps, ref)
}

/** Ends the access to a disk that stays incomplete. Without a footer it cannot be used. Repeatable. */
export const abandonPlannedDisk = async (
  deps: RestoreDeps,
  ref: DiskRef,
): Promise<{ readonly kind: 'abandoned' } | Pending | Failed> => {
  const ended = await endUpload(deps, ref)
  return ended.kind === 'finished' ? { kind: 'abandoned' } : ended
}

const endUpload = async (
  deps: RestoreDeps,
  ref: DiskRef,
): Promise<{ readonly kind: 'finished' } | Pending | Failed> => {
  if (!(await isCurrent(deps.control, ref))) return superseded
  const disk = await findRestoreDisk(deps, ref)
  return 'kind' in disk ? disk : deps.restoreDisks.finish(disk.request.diskId, ref.jobId, waitMs)
}

const stopped = async (deps: RestoreDeps, ref: DiskRef): Promise<Stopped | null> => {
  const reason = await stopReasonOf(deps.control, ref)
  return reason === null ? null : { kind: 'stopped', reason }
}

/** The answer for a disk whose footer is written: it is complete, and its upload may have ended, so it cannot be opened again. Null for a
 * disk that is not. */
const ofComplete = async <Outcome>(
  deps: RestoreDeps,
  ref: DiskRef,
  answer: (sizeBytes: number) => Outcome,
): Promise<Outcome | Failed | null> => {
  if ((await readJson(deps.control, footerName(ref.jobId, ref.disk))) === null) return null
  const disk = await findRestoreDisk(deps, ref)
  return 'kind' in disk ? disk : answer(disk.sizeBytes)
}

type UseWriter<Outcome> = (disk: DiskToRestore, writer: () => DiskWriter, sasUrl: string) => Promise<Outcome>

const withWriter = <Outcome>(
  deps: RestoreDeps,
  ref: DiskRef,
  use: UseWriter<Outcome>,
): Promise<Outcome | Pending | Failed> => tellingDamage(deps, ref.vmKey, () => withOpenWriter(deps, ref, use))

const withOpenWriter = async <Outcome>(
  deps: RestoreDeps,
  ref: DiskRef,
  use: UseWriter<Outcome>,
): Promise<Outcome | Pending | Failed> => {
  if (!(await isCurrent(deps.control, ref))) return superseded
  const disk = await findRestoreDisk(deps, ref)
  if ('kind' in disk) return disk
  const opened = await deps.restoreDisks.open(disk.request, waitMs)
  if (opened.kind !== 'open') return opened
  let writer: DiskWriter | null = null
  try {
    return await use(disk, () => (writer ??= deps.openWriter(opened.sasUrl, disk.sizeBytes)), opened.sasUrl)
  } finally {
    ;(writer as DiskWriter | null)?.close()
  }
}
