import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import { parseAnswer } from '../../../../local/host/durable/answer.ts'
import type { EngineEvent } from '../../../../local/host/durable/engine-event.ts'
import type { InvocationResult } from '../../../../local/host/invocation.ts'
import { differences } from './compare.ts'
import type { Deviations } from './deviations.ts'
import { type EngineServer, startEngineServer } from './engine-server.ts'
import { compareHttp } from './http-step.ts'
import { eventKey, receivedEvents } from './message-key.ts'
import { createRecordedGate, type RecordedGate } from './recorded-gate.ts'
import { createRecordedWorker, type RecordedWorker } from './recorded-worker.ts'
import type { ActivityItem, OrchestrationItem, Recording, TraceItem } from './recording.ts'

/** What a run of one recording came to. */
export interface LockstepResult {
  readonly turns: number
  readonly historyEvents: number
  readonly activities: number
  readonly httpAnswers: number
  /** Instances that the engine refused where the recording says that it should, with the rule's text. */
  readonly refused: ReadonlyMap<string, string>
  readonly skipped: number
  /** Everything that differs and should not. */
  readonly differences: readonly string[]
}

interface Run {
  readonly recording: Recording
  readonly deviations: Deviations
  readonly worker: RecordedWorker
  readonly gate: RecordedGate
  server: EngineServer
  readonly startServer: () => Promise<EngineServer>
  /** Ids that differ between recording and run: generated instance ids, execution ids. */
  readonly actualIds: Map<string, string>
  readonly createdMs: { readonly recorded: number; readonly actual: number }[]
  readonly refused: Map<string, string>
  readonly dead: Set<string>
  readonly found: string[]
  readonly counts: { turns: number; historyEvents: number; httpAnswers: number; skipped: number }
}

/**
 * Plays a recording against the engine, step by step in its order: client calls are made over HTTP; each turn is let begin
 * with the messages that the recorded one had; the trigger, the answer, each activity's input and each HTTP answer are held
 * to the recorded ones. Timers are due at once, so nothing waits.
 */
export async function playRecording(
  recording: Recording,
  databasePath: string,
  deviations: Deviations,
  source: string,
): Promise<LockstepResult> {
  const run = await begin(recording, databasePath, deviations, source)
  try {
    for (const item of recording.trace) await step(run, item)
    await quiet(run)
  } finally {
    await run.server.stop()
  }
  return resultOf(run)
}

async function begin(recording: Recording, databasePath: string, deviations: Deviations, source: string): Promise<Run> {
  const actualIds = new Map<string, string>()
  const gate = createRecordedGate()
  const worker = createRecordedWorker(recording, source, silentItem(recording, deviations), (id) =>
    toRecorded(actualIds, id),
  )
  const refused = new Map<string, string>()
  const onLog = (event: EngineEvent) => {
    if (event.kind === 'refused') refused.set(toRecorded(actualIds, event.instanceId), event.message)
  }
  const startServer = () =>
    startEngineServer({ databasePath, worker, gate, onLog, timeScale: 0, ...deviations.engineOptions })
  return {
    recording,
    deviations,
    worker,
    gate,
    server: await startServer(),
    startServer,
    actualIds,
    createdMs: [],
    refused,
    dead: new Set(deviations.notFollowed),
    found: [],
    counts: { turns: 0, historyEvents: 0, httpAnswers: 0, skipped: 0 },
  }
}

async function step(run: Run, item: TraceItem): Promise<void> {
  switch (item.type) {
    case 'orchestration':
      return isDead(run, item.instanceId) ? skip(run) : await turn(run, item)
    case 'http':
    case 'clientRpc':
      await quiet(run)
      return await http(run, item)
    case 'note':
      return await note(run, item.note)
    default:
      return
  }
}

const skip = (run: Run): void => {
  run.counts.skipped += 1
}

async function turn(run: Run, item: OrchestrationItem): Promise<void> {
  const instanceId = toActual(run.actualIds, item.instanceId)
  const received = receivedEvents(item.trigger.history)
  const keys = received.map(eventKey)
  if (item.out && 'none' in item.out) run.worker.dieIn(item.fn)
  run.gate.release(instanceId, keys)
  const at = `turn ${item.instanceId} [${keys.join(', ')}]`
  if (!(await until(() => !run.gate.isHeld(instanceId)))) {
    run.found.push(`${at}: never became possible; due are [${run.gate.seen(instanceId).join(', ')}]`)
    run.dead.add(item.instanceId)
    return
  }
  await quiet(run)
  const [call] = run.worker.takeCalls(instanceId)
  if (!call) {
    run.found.push(`${at}: the function was not called`)
    return
  }
  learn(run, item, call.trigger)
  const found = differences(item.trigger, call.trigger, 'trigger')
  const answer = differences(recordedAnswer(item), actualAnswer(call.result), 'answer')
  run.found.push(...[...found, ...answer].map((line) => `${at} ${line}`))
  run.counts.turns += 1
  run.counts.historyEvents += item.trigger.history.length
  if (run.refused.has(item.instanceId)) run.dead.add(item.instanceId)
}

function recordedAnswer(item: OrchestrationItem): unknown {
  if (item.threw) return { threw: item.threw.outOfProcData ?? { message: item.threw.message } }
  return item.out?.json ?? item.out
}

function actualAnswer(result: InvocationResult): unknown {
  if (result.kind === 'workerDied') return { none: 'worker died or still running' }
  if (result.kind === 'succeeded') return JSON.parse(result.returnValue?.json ?? result.returnValue?.string ?? 'null')
  if (result.kind !== 'failed') return parseAnswer('', result)
  const label = '$OutOfProcData$:'
  const at = result.message.indexOf(label)
  return { threw: at < 0 ? { message: result.message } : JSON.parse(result.message.slice(at + label.length)) }
}

async function http(run: Run, item: Extract<TraceItem, { type: 'http' | 'clientRpc' }>): Promise<void> {
  const unsupported = Object.entries(run.deviations.notImplemented).find(([part]) => item.url.includes(part))
  const result = await compareHttp(
    {
      origin: run.server.origin,
      toActual: (text) => toActual(run.actualIds, text),
      time: (recordedMs) => actualTime(run, recordedMs),
      isDead: (text) => run.deviations.skipHttp.some((part) => text.includes(part)) || namesDead(run, text),
      inputOf: (instanceId) => inputOf(run.recording, item, instanceId),
    },
    item,
  )
  if (result.kind === 'skipped') return skip(run)
  if (unsupported) {
    if (result.status !== 501) run.found.push(`${item.url}: not implemented, but answered ${result.status}`)
    run.dead.add(unsupported[1])
    return skip(run)
  }
  if (result.kind === 'started') run.actualIds.set(result.recordedId, result.actualId)
  if (result.kind === 'started') run.worker.globals.codeVersion = 1
  run.found.push(...result.differences.filter((line) => !run.deviations.accepted.some((text) => line.includes(text))))
  run.counts.httpAnswers += 1
}

async function note(run: Run, text: string): Promise<void> {
  if (text === 'code version 2 now') run.worker.globals.codeVersion = 2
  if (!text.startsWith('killed host')) return
  await quiet(run)
  await run.server.stop()
  run.server = await run.startServer()
}

/** The one activity run of a recording that never answers: its host is killed. */
function silentItem(recording: Recording, deviations: Deviations): (item: ActivityItem) => boolean {
  const first = recording.trace.find((item) => item.type === 'activity' && item.fn === deviations.silentOnce)
  return (item) => item === first
}

const namesDead = (run: Run, url: string): boolean =>
  [...run.dead].some((id) => new RegExp(`/instances/${id}(:|%3A|[/?]|$)`).test(url))

/** What a recorded start was sent with, letter for letter: the next start of the same instance shows it. */
function inputOf(recording: Recording, item: TraceItem, instanceId: string): string | null | undefined {
  const later = recording.trace.slice(recording.trace.indexOf(item))
  const turnItem = later.find((each) => each.type === 'orchestration' && each.instanceId === instanceId)
  if (turnItem?.type !== 'orchestration') return undefined
  const input = turnItem.trigger.history.find((event) => event.EventType === 0)?.Input
  return typeof input === 'string' || input === null ? input : undefined
}

/** Execution ids come to light in the first trigger of an instance; automatic child ids are made from them. */
function learn(run: Run, item: OrchestrationItem, trigger: Record<string, unknown>): void {
  const start = (history: unknown) =>
    (history as { EventType: number; OrchestrationInstance?: { ExecutionId: string }; Timestamp: string }[]).find(
      (event) => event.EventType === 0,
    )
  const [recorded, actual] = [start(item.trigger.history), start(trigger.history)]
  if (!recorded?.OrchestrationInstance || !actual?.OrchestrationInstance) return
  run.actualIds.set(recorded.OrchestrationInstance.ExecutionId, actual.OrchestrationInstance.ExecutionId)
  run.createdMs.push({ recorded: Date.parse(recorded.Timestamp), actual: Date.parse(actual.Timestamp) })
}

/** A time between two starts of the recording, as a time between the same two starts of this run. */
function actualTime(run: Run, recordedMs: number): number {
  const before = run.createdMs.filter((each) => each.recorded <= recordedMs).map((each) => each.actual)
  if (before.length > 0) return Math.max(...before) + 1
  return Math.min(Date.now(), ...run.createdMs.map((each) => each.actual)) - 1
}

/** Waits until no orchestrator is being called and what it answered is kept. */
async function quiet(run: Run): Promise<void> {
  for (let calm = 0; calm < 4; calm = run.worker.isBusy() ? 0 : calm + 1) await nextTurn()
}

const untilMsMax = 1500

async function until(condition: () => boolean): Promise<boolean> {
  for (const endMs = Date.now() + untilMsMax; Date.now() < endMs; await sleep(1)) if (condition()) return true
  return condition()
}

const isDead = (run: Run, instanceId: string): boolean =>
  [...run.dead].some((id) => instanceId === id || instanceId.startsWith(`${id}:`))

function toActual(ids: ReadonlyMap<string, string>, text: string): string {
  let result = text
  for (const [recorded, actual] of ids) result = result.replaceAll(recorded, actual)
  return result
}

function toRecorded(ids: ReadonlyMap<string, string>, text: string): string {
  let result = text
  for (const [recorded, actual] of ids) result = result.replaceAll(actual, recorded)
  return result
}

function resultOf(run: Run): LockstepResult {
  const unused = run.worker.unusedActivities().filter((item: ActivityItem) => !isDead(run, item.instanceId))
  const found = [
    ...run.found,
    ...run.worker.strayActivities().map((line) => `activity that was not recorded: ${line}`),
    ...unused.map(
      (item) => `recorded activity that did not run: ${item.instanceId} ${item.fn} ${JSON.stringify(item.trigger)}`,
    ),
    ...refusalDifferences(run),
  ]
  const differing = found.filter((line) => !run.deviations.accepted.some((text) => line.includes(text)))
  return { ...run.counts, activities: run.worker.activityCount(), refused: run.refused, differences: differing }
}

function refusalDifferences(run: Run): string[] {
  const expected = run.deviations.refused
  const missing = Object.entries(expected)
    .filter(([id, rule]) => !rule.test([...run.refused].find(([refused]) => refused.endsWith(id))?.[1] ?? ''))
    .map(([id, rule]) => `${id}: should have been refused with ${rule}`)
  const unexpected = [...run.refused]
    .filter(([id]) => !Object.keys(expected).some((each) => id.endsWith(each)))
    .map(([id, message]) => `${id}: refused without need: ${message}`)
  return [...missing, ...unexpected]
}
