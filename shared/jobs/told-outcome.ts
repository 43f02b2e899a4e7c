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

/** The outcome with code and words apart. A stop is its own code. */
export const toldOutcome = (job: Job, outcome: JobOutcome): ToldOutcome => {
  if (outcome.kind === 'completed') {
    const { disks, ...summary } = outcome.summary
    return { ...outcome, summary: { ...summary, disks: toldDisks(job, disks) } }
  }
  const { kind, hint } = outcome
  const { code, words } = takenApart(outcome.reason)
  const reason = outcome.kind === 'failed' ? joined(outcome.message, words) : wordsOf(code, words)
  return { kind, code, reason, hint, disks: toldDisks(job, outcome.disks) }
}

const toldDisks = (job: Job, disks: readonly DiskReport[]): readonly ToldDisk[] =>
  disks.map((report) => {
    const { code, words } = report.reason === null ? nothingWrong : takenApart(report.reason)
    const reason = code === null ? null : wordsOf(code, words)
    return { ...report, code, reason, hint: report.hint ?? hintOf(code), ...targetOf(job, report.disk) }
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

const stopWords: Readonly<Record<StopReason, { readonly reason: string; readonly hint: string }>> = {
  cancelled: { reason: 'It was asked to stop.', hint: 'Start the job again when you want.' },
  missedWindow: { reason: 'Its window ended before it was done.', hint: 'Widen the window, or resume the job.' },
}

const isStop = (code: string | null): code is StopReason => code !== null && Object.hasOwn(stopWords, code)

const wordsOf = (code: string, words: string): string =>
  words !== '' ? words : isStop(code) ? stopWords[code].reason : 'Its record says no more than the code.'

const hintOf = (code: string | null): string | null => (isStop(code) ? stopWords[code].hint : null)
