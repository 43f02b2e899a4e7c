import type { StopReason } from './job.ts'
import type { Consistency } from './vm.ts'

/** Where a job's story stands. `ended` is shown by instances that have an outcome. */
export type JobPhase = 'plan' | 'snapshot' | 'transfer' | 'commit' | 'release' | 'ended'

/** Custom status of a VM's orchestration; disks show their own. */
export interface VmProgress {
  readonly phase: JobPhase
  readonly deadline: string | null
  readonly disks: number
  readonly consistency: Consistency | null
  readonly stopping: StopReason | null
  /** Of a comparison: the disk that it is at, and all its disks together in bytes. */
  readonly comparing?: {
    readonly disk: string
    readonly doneBytes: number
    readonly readBytes: number
    readonly totalBytes: number
  }
}

/** What has been moved so far, in bytes of the raw disk (`storedBytes`: as stored). */
export interface Moved {
  readonly slicesDone: number
  readonly doneBytes: number
  readonly readBytes: number
  readonly storedBytes: number
}

/** Custom status of a disk's orchestration. `totalBytes` is what will have been moved when all is done. */
export interface DiskProgress extends Moved {
  readonly phase: 'plan' | 'transfer' | 'seal' | 'ended'
  readonly transfer: 'full' | 'incremental' | null
  readonly sizeBytes: number
  readonly totalBytes: number
  readonly slices: number
  /** How many children hold the counts; 0 where the disk's own orchestration moves the slices. */
  readonly lanes: number
}

/** The counts of a transfer that has only begun. */
export const nothingMoved: Moved = { slicesDone: 0, doneBytes: 0, readBytes: 0, storedBytes: 0 }

/** Adds counts up, field by field. */
export const sumMoved = (parts: readonly Moved[]): Moved =>
  parts.reduce(
    (sum, part) => ({
      slicesDone: sum.slicesDone + part.slicesDone,
      doneBytes: sum.doneBytes + part.doneBytes,
      readBytes: sum.readBytes + part.readBytes,
      storedBytes: sum.storedBytes + part.storedBytes,
    }),
    nothingMoved,
  )

/** Share of `doneBytes` in `totalBytes`, 0 to 100 with one decimal; 100 where nothing is to be moved. */
export const percentOf = (doneBytes: number, totalBytes: number): number =>
  totalBytes <= 0 ? 100 : Math.min(100, Math.floor((doneBytes / totalBytes) * 1000) / 10)

/** When the work will be done at the speed it had until now, or null while nothing can be said (nothing moved, or no time passed). */
export const expectedEndOf = (startedAt: Date, now: Date, doneBytes: number, totalBytes: number): Date | null => {
  const elapsedMs = now.getTime() - startedAt.getTime()
  if (elapsedMs <= 0 || doneBytes <= 0) return null
  const remainingBytes = Math.max(0, totalBytes - doneBytes)
  return new Date(now.getTime() + Math.round((remainingBytes / doneBytes) * elapsedMs))
}
