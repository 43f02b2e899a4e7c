import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import path from 'node:path'
import * as v from 'valibot'
import type { Schedule } from './schedule.ts'

const statusFile = v.object({ last: v.number(), next: v.number(), lastUpdated: v.number() })

/** What is known of a timer's occurrences, in milliseconds of the epoch; `last` and `lastUpdated` are `never` at first. */
export type ScheduleStatus = Readonly<v.InferOutput<typeof statusFile>>

/** .NET's default date, which the real host shows for what has not happened yet. */
export const never = Date.parse('0001-01-01T00:00:00Z')

const fileOf = (folder: string, functionName: string): string =>
  path.join(folder, `${encodeURIComponent(functionName.toLowerCase())}.json`)

/** The status kept for a function, or null where there is none yet. Throws where the file is not one. */
export const readStatus = async (folder: string, functionName: string): Promise<ScheduleStatus | null> => {
  const text = await readFile(fileOf(folder, functionName), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null
    throw error
  })
  return text === null ? null : v.parse(statusFile, JSON.parse(text))
}

/** Keeps a function's status; whoever reads sees the old one or the new one, whole. */
export const writeStatus = async (folder: string, functionName: string, status: ScheduleStatus): Promise<void> => {
  const file = fileOf(folder, functionName)
  await mkdir(folder, { recursive: true })
  await writeFile(`${file}.new`, JSON.stringify(status))
  await rename(`${file}.new`, file)
}

/**
 * The status to begin with when a host starts: what was kept, unless the schedule has changed since.
 * An occurrence that lies before `now` was missed; the caller runs it at once, once, as past due.
 * Source of the rule: the timer extension's ScheduleMonitor.
 */
export const statusAtStart = (kept: ScheduleStatus | null, schedule: Schedule, now: number): ScheduleStatus => {
  if (kept === null) return { last: never, next: schedule.next(now), lastUpdated: now }
  const basis = kept.last !== never ? kept.last : kept.lastUpdated !== never ? kept.lastUpdated : now
  const expected = schedule.next(basis)
  if (kept.next === expected) return kept
  return expected < now
    ? { last: never, next: schedule.next(now), lastUpdated: now }
    : { last: never, next: expected, lastUpdated: basis }
}
