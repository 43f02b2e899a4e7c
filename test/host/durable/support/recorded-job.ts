import { DatabaseSync } from 'node:sqlite'
import { expect } from 'vitest'
import { readRecording } from './recording.ts'

/** A job of a recording whose outcome does not depend on how fast its parts are. */
export interface RecordedJob {
  readonly recording: string
  readonly name: string
  readonly input: unknown
  /** Where the recording's observations have the outcome. */
  readonly outcome: string
}

export const plainJob: RecordedJob = {
  recording: 's25',
  name: 'protectVmPlain',
  input: { slices: [2, 3, 1] },
  outcome: 'plain',
}

export const lanesJob: RecordedJob = {
  recording: 's26',
  name: 'protectVm26',
  input: {
    disks: [
      { slices: 13, lanes: 3 },
      { slices: 1, lanes: 1 },
      { slices: 6, lanes: 2 },
    ],
    // The recorded 120 seconds, and some more for a slow machine: the window is not what is looked at.
    windowSeconds: 12_000,
  },
  outcome: 'transferred',
}

export const recordedOutcome = (job: RecordedJob): unknown =>
  (readRecording(job.recording) as unknown as { observations: Record<string, unknown> }).observations[job.outcome]

const scheduling = [4, 7]
const answers = [5, 6, 8, 9]

/** Holds a database to what must be true when all is over: every instance has completed, every activity and child that a
 * history asked for has exactly one answer there, and no message and no run is left. */
export function expectFinished(databasePath: string): void {
  const database = new DatabaseSync(databasePath, { readOnly: true })
  const counts = new Map<string, number>()
  const count = (execution: unknown, id: unknown, more: number) =>
    counts.set(`${execution} ${id}`, (counts.get(`${execution} ${id}`) ?? 0) + more)
  for (const row of database.prepare('SELECT execution_id, event FROM history ORDER BY execution_id, seq').all()) {
    const event = JSON.parse(String(row.event))
    if (scheduling.includes(event.EventType)) count(row.execution_id, event.EventId, 0)
    if (answers.includes(event.EventType)) count(row.execution_id, event.TaskScheduledId, 1)
  }
  const left = ['messages', 'activities'].map(
    (table) => database.prepare(`SELECT count(*) AS n FROM ${table}`).get()?.n,
  )
  const statuses = database.prepare('SELECT DISTINCT status FROM instances').all()
  database.close()
  expect([...counts].filter(([, number]) => number !== 1)).toEqual([])
  expect(left).toEqual([0, 0])
  expect(statuses.map((row) => row.status)).toEqual(['Completed'])
}
