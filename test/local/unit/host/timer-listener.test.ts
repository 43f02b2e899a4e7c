import { mkdtemp, rm } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { TimerFunction } from '../../../../local/host/function-catalog.ts'
import type { RpcValue } from '../../../../local/host/invocation.ts'
import { parseSchedule } from '../../../../local/host/timers/schedule.ts'
import { never, readStatus, statusAtStart, writeStatus } from '../../../../local/host/timers/schedule-status.ts'
import { startTimerListener } from '../../../../local/host/timers/timer-listener.ts'

/** Time is vitest's; the runs of a function are counted, and may be held open. */

const timer = (settings: Partial<TimerFunction> = {}): TimerFunction => ({
  kind: 'timer',
  name: 'sweep',
  triggerName: 'timer',
  clientNames: [],
  schedule: '0 */5 * * * *',
  runOnStartup: false,
  useMonitor: true,
  ...settings,
})

const infoOf = (trigger: RpcValue) =>
  JSON.parse(trigger.json!) as { IsPastDue: boolean; ScheduleStatus: { Last: string } | null }

let folder: string
let runs: { at: string; reason: string; isPastDue: boolean }[]
let hold: Promise<void>

const listen = (hosted: TimerFunction, schedule = '0 */5 * * * *') =>
  startTimerListener({
    hosted,
    schedule: parseSchedule(schedule, 'UTC'),
    statusFolder: folder,
    run: async (trigger, reason) => {
      runs.push({ at: new Date().toISOString().slice(11, 19), reason, isPastDue: infoOf(trigger).IsPastDue })
      await hold
    },
    onLog: () => {},
  })

const pass = (seconds: number) => vi.advanceTimersByTimeAsync(seconds * 1000)

/** Status files are written in real time: waits until the listener has set its clock for the next occurrence. */
const waitsForNext = async (): Promise<void> => {
  while (vi.getTimerCount() === 0) await new Promise((resolve) => setImmediate(resolve))
}

beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'timer-'))
  runs = []
  hold = Promise.resolve()
  vi.useFakeTimers({ toFake: ['Date', 'setTimeout', 'clearTimeout'], now: Date.parse('2026-01-01T10:01:00Z') })
})

afterEach(async () => {
  vi.useRealTimers()
  await rm(folder, { recursive: true })
})

describe('a timer function', () => {
  it('runs at each occurrence and keeps what is next', async () => {
    const listener = await listen(timer())
    await pass(240)
    await waitsForNext()
    await pass(300)
    await waitsForNext()
    await listener.stop()
    expect(runs).toEqual([
      { at: '10:05:00', reason: 'schedule', isPastDue: false },
      { at: '10:10:00', reason: 'schedule', isPastDue: false },
    ])
    expect((await readStatus(folder, 'SWEEP'))?.next).toBe(Date.parse('2026-01-01T10:15:00Z'))
  })

  it('runs once, past due, for all occurrences missed while no host ran', async () => {
    await (await listen(timer())).stop()
    await pass(3600)
    const listener = await listen(timer())
    await pass(0)
    await listener.stop()
    expect(runs).toEqual([{ at: '11:01:00', reason: 'past due', isPastDue: true }])
  })

  it('is not past due where the schedule has changed meanwhile', async () => {
    await (await listen(timer())).stop()
    await pass(3600)
    const listener = await listen(timer(), '0 */7 * * * *')
    await pass(0)
    await listener.stop()
    expect(runs).toEqual([])
  })

  it('keeps no status with useMonitor off', async () => {
    await (await listen(timer({ useMonitor: false }))).stop()
    expect(await readStatus(folder, 'sweep')).toBeNull()
  })

  it('runs on startup where it asks for it', async () => {
    const listener = await listen(timer({ runOnStartup: true }))
    await pass(0)
    await listener.stop()
    expect(runs).toEqual([{ at: '10:01:00', reason: 'run on startup', isPastDue: false }])
  })

  it('never runs twice at once, and catches up once', async () => {
    let release = (): void => {}
    hold = new Promise((resolve) => {
      release = resolve
    })
    const listener = await listen(timer())
    await pass(240)
    await pass(720)
    expect(runs.map(({ at }) => at)).toEqual(['10:05:00'])
    release()
    await waitsForNext()
    await pass(1)
    await listener.stop()
    expect(runs.map(({ at }) => at)).toEqual(['10:05:00', '10:17:00'])
  })

  it('stops only after the run that goes on', async () => {
    let release = (): void => {}
    hold = new Promise((resolve) => {
      release = resolve
    })
    const listener = await listen(timer())
    await pass(240)
    let stopped = false
    const stopping = listener.stop().then(() => {
      stopped = true
    })
    await pass(1)
    expect(stopped).toBe(false)
    release()
    await stopping
    await pass(600)
    expect(runs).toHaveLength(1)
  })

  it('waits for occurrences that are further away than a timeout can be', async () => {
    const listener = await listen(timer(), '0 0 0 1 3 *')
    for (let day = 0; day < 60; day += 1) await pass(24 * 3600)
    await listener.stop()
    expect(runs).toEqual([{ at: '00:00:00', reason: 'schedule', isPastDue: false }])
  })

  it('is shown its status in a run by hand, not past due', async () => {
    const listener = await listen(timer())
    const info = infoOf(listener.manualTrigger())
    await listener.stop()
    expect(info).toMatchObject({ IsPastDue: false, ScheduleStatus: { Last: '0001-01-01T00:00:00.000+00:00' } })
  })
})

describe('the status of a schedule', () => {
  const schedule = parseSchedule('00:10:00', 'UTC')

  it('is taken as kept where it fits the schedule', async () => {
    const kept = { last: 1_000_000, next: 1_600_000, lastUpdated: 1_000_000 }
    await writeStatus(folder, 'a b/c', kept)
    expect(statusAtStart(await readStatus(folder, 'a b/c'), schedule, 5_000_000)).toEqual(kept)
  })

  it('begins anew where the schedule is another and its occurrence has passed', () => {
    const kept = { last: 1_000_000, next: 1_300_000, lastUpdated: 1_000_000 }
    expect(statusAtStart(kept, schedule, 5_000_000)).toEqual({ last: never, next: 5_600_000, lastUpdated: 5_000_000 })
  })
})
