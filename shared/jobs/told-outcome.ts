import type { DiskReport, Job, JobOutcome, JobSummary, StopReason } from '../domain/job.ts'

/** What is told of something that failed, was stopped, is damaged or refused: a stable code for programs, what happened and what can be done for people. */
export interface Told {
  readonly code: string
  readonly reason: string
  readonly hint: string
}

/** One disk's line of an outcome. `code`, `reason` and `hint` are null where nothing went wrong. */
export interface ToldDisk extends DiskReport {
  readonly code: string | null
  /** Of a restore: the ARM id of the disk that was made, or was to be. */
  readonly targetDiskId?: string
}

/** A job's outcome as it is answered. Records keep it as the stories made it. */
export type ToldOutcome =
  | {
      readonly kind: 'completed'
      readonly recoveryPointId: string
      readonly summary: Omit<JobSummary, 'disks'> & { readonly disks: readonly ToldDisk[] }
    }
  | ({ readonly kind: 'failed' | StopReason; readonly disks: readonly ToldDisk[] } & Told)

/** What is told of a backup that ended without a commit and that POST resume takes up again. */
export const goesOn = (jobId: string): string => `This backup can go on where it stopped: POST jobs/${jobId}/resume.`

/** The outcome with code and words apart. A stop is its own code, and its disks say what the job says of it.
 * @param canGoOn whether the job is a backup that can be resumed */
export const toldOutcome = (job: Job, outcome: JobOutcome, canGoOn: boolean): ToldOutcome => {
  if (outcome.kind === 'completed') {
    const { disks, ...summary } = outcome.summary
    return { ...outcome, summary: { ...summary, disks: toldDisks(job, disks) } }
  }
  const { code, words } = takenApart(outcome.reason)
  if (outcome.kind === 'failed') {
    const reason = allFailed(outcome.disks) + joined(outcome.message, words)
    const stopHint = (stop: StopReason) => (job.kind === 'backup' ? backupStopHint(job, stop, canGoOn) : startAgain)
    const disks = toldDisks(job, outcome.disks, stopHint)
    return { kind: outcome.kind, code, reason, hint: outcome.hint, disks }
  }
  const hint = job.kind === 'backup' ? backupStopHint(job, outcome.kind, canGoOn) : outcome.hint
  return {
    kind: outcome.kind,
    code,
    reason: wordsOf(code, words),
    hint,
    disks: toldDisks(job, outcome.disks, () => hint),
  }
}

/** The message of a job is of its first disk that failed: where more of them did, all are named before it. */
const allFailed = (disks: readonly DiskReport[]): string => {
  const labels = disks.flatMap(({ disk, kind }) => (kind === 'failed' ? disk : []))
  if (labels.length <= 1) return ''
  return `${labels.length} of ${disks.length} disks failed (${labels.join(', ')}), each for the reason that stands with it. `
}

const startAgain = 'Start the job again when you want.'

const backupStopHint = ({ jobId }: Job, stop: StopReason, canGoOn: boolean): string => {
  const next = canGoOn ? goesOn(jobId) : 'Start the backup again when you want: POST backups.'
  return stop === 'missedWindow' ? `${next} Widen the window of the policy, or raise LANES_MAX.` : next
}

/** @param stopHint of disks that were stopped */
const toldDisks = (
  job: Job,
  disks: readonly DiskReport[],
  stopHint: (stop: StopReason) => string = () => startAgain,
): readonly ToldDisk[] =>
  disks.map((report) => {
    const { code, words } = report.reason === null ? nothingWrong : takenApart(report.reason)
    const reason = code === null ? null : wordsOf(code, words)
    return { ...report, code, reason, hint: isStop(code) ? stopHint(code) : report.hint, ...targetOf(job, report.disk) }
  })

const nothingWrong = { code: null, words: '' }

/** The disk of a restore that is made of a disk of the recovery point; nothing for another job. */
export const targetOf = (job: Job, label: string): { readonly targetDiskId?: string } => {
  if (job.kind !== 'restore') return {}
  const target = job.disks.find(({ disk }) => disk === label)
  return target === undefined ? {} : { targetDiskId: target.targetDiskId }
}

/** Records name a code alone, or a code, a colon and the words. */
const takenApart = (reason: string): { readonly code: string; readonly words: string } => {
  const [, code, words] = /^([A-Za-z][A-Za-z0-9-]*)(?:: (.*))?$/s.exec(reason) ?? []
  return code === undefined ? { code: 'failed', words: reason } : { code, words: words ?? '' }
}

const joined = (message: string, words: string): string => (words === '' ? message : `${message} ${words}`)

const stopWords: Readonly<Record<StopReason, string>> = {
  cancelled: 'It was asked to stop.',
  missedWindow: 'Its window ended before it was done.',
}

const isStop = (code: string | null): code is StopReason => code !== null && Object.hasOwn(stopWords, code)

const wordsOf = (code: string, words: string): string =>
  words !== '' ? words : isStop(code) ? stopWords[code] : 'Its record says no more than the code.'
