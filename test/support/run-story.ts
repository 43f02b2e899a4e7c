import type { OrchestrationHandler } from 'durable-functions'
import { type Action, type HistoryEvent, type ReplayState, replay } from './replay-engine.ts'

interface ChildEnd {
  readonly outcome?: unknown
  readonly throws?: string
  readonly seconds: number
}

/** What the world around a story answers. Results take effect after some seconds of virtual time. */
export interface World {
  /** Returns an activity's outcome, or a promise of it, or throws. */
  readonly activity: (name: string, input: never, run: number) => unknown
  /** Returns what a child ends with, and after how long; `throws` is a child that the platform ended. */
  readonly child?: (name: string, input: never, instanceId: string) => ChildEnd | Promise<ChildEnd>
  /** Events that somebody raises, by seconds after the start. */
  readonly events?: readonly { readonly name: string; readonly atSeconds: number }[]
}

/** One run of one instance until it ends or continues as new. */
export interface StoryRun {
  readonly history: readonly HistoryEvent[]
  readonly state: ReplayState
  readonly input: unknown
  readonly instanceId: string
  /** Each call in order: `planDisk`, `timer`, `child protectDisk`. */
  readonly calls: readonly string[]
  readonly inputs: readonly unknown[]
  readonly continuedWith: unknown
}

interface Arrival {
  readonly atMs: number
  readonly order: number
  readonly event: Omit<HistoryEvent, 'Timestamp' | 'IsPlayed'>
  /** Set for timers: a cancelled one does not arrive. */
  readonly timerAction?: number
  readonly retryOf?: { readonly action: number; readonly tries: number }
}

const startMs = Date.parse('2026-01-01T02:00:00.000Z')

/** Longest chain of episodes; a story that needs more is in an endless loop. */
const episodesMax = 5000

/** Drives a story with the library's own engine, and writes the history that the real engine would: ids count up in the order in which
 * tasks are scheduled; a retry takes one for its timer and one for the new try. */
export const runStory = async (
  handler: OrchestrationHandler,
  input: unknown,
  instanceId: string,
  world: World,
): Promise<StoryRun> => {
  const history: HistoryEvent[] = []
  const calls: string[] = []
  const inputs: unknown[] = []
  let arrivals: Arrival[] = []
  let order = 0
  let nextId = 0
  let known = 0
  let nowMs = startMs
  const runs = new Map<string, number>()
  const note = (event: Omit<HistoryEvent, 'Timestamp' | 'IsPlayed'>): void => {
    history.push({ ...event, IsPlayed: false, Timestamp: new Date(nowMs).toISOString() } as HistoryEvent)
  }
  const arrive = (afterMs: number, event: Arrival['event'], more: Partial<Arrival> = {}): void => {
    arrivals.push({ atMs: nowMs + Math.max(0, afterMs), order: order++, event, ...more })
  }
  const runActivity = async (action: Action, index: number, tries: number): Promise<void> => {
    const id = nextId++
    note({ EventType: 4, EventId: id, Name: action.functionName })
    const run = (runs.get(action.functionName!) ?? 0) + 1
    runs.set(action.functionName!, run)
    calls.push(action.functionName!)
    inputs.push(action.input)
    try {
      const result = await world.activity(action.functionName!, action.input as never, run)
      arrive(1000, { EventType: 5, EventId: -1, TaskScheduledId: id, Result: JSON.stringify(result ?? null) })
    } catch (error) {
      const Reason = `Activity function '${action.functionName}' failed: ${(error as Error).message}`
      arrive(
        1000,
        { EventType: 6, EventId: -1, TaskScheduledId: id, Reason, Details: '{"ClassName":"…"}' },
        {
          retryOf: { action: index, tries },
        },
      )
    }
  }
  const schedule = async (action: Action, index: number): Promise<void> => {
    if (action.compoundActions !== undefined) {
      for (const one of action.compoundActions) await schedule(one, index)
    } else if (action.actionType === 1) await runActivity(action, index, 1)
    else if (action.actionType === 2) {
      const id = nextId++
      note({ EventType: 7, EventId: id, Name: action.functionName, InstanceId: action.instanceId })
      calls.push(`child ${action.functionName}`)
      inputs.push(action.input)
      const ended = await world.child!(action.functionName!, action.input as never, action.instanceId!)
      if (ended.throws !== undefined)
        arrive(ended.seconds * 1000, {
          EventType: 9,
          EventId: -1,
          TaskScheduledId: id,
          Reason: ended.throws,
          Details: '',
        })
      else
        arrive(ended.seconds * 1000, {
          EventType: 8,
          EventId: -1,
          TaskScheduledId: id,
          Result: JSON.stringify(ended.outcome),
        })
    } else if (action.actionType === 5) {
      const id = nextId++
      note({ EventType: 10, EventId: id, FireAt: action.fireAt })
      calls.push('timer')
      inputs.push(action.fireAt)
      arrive(
        Date.parse(action.fireAt!) - nowMs,
        { EventType: 11, EventId: -1, TimerId: id, FireAt: action.fireAt },
        { timerAction: index },
      )
    } else if (action.actionType !== 6 && action.actionType !== 4)
      throw new Error(`Unexpected action ${action.actionType}`)
  }
  const isCancelled = (state: ReplayState, arrival: Arrival): boolean =>
    arrival.timerAction !== undefined &&
    leaves(state.actions[arrival.timerAction]!).some(({ isCanceled }) => isCanceled === true)

  for (const { name, atSeconds } of world.events ?? [])
    arrive(atSeconds * 1000, { EventType: 15, EventId: -1, Name: name, Input: '{}' })
  note({ EventType: 12, EventId: -1 })
  note({
    EventType: 0,
    EventId: -1,
    Name: 'story',
    Version: '',
    Input: JSON.stringify(input),
    ParentInstance: null,
    OrchestrationInstance: { InstanceId: instanceId, ExecutionId: 'e' },
  })
  const waitingRetries: { action: number; tries: number; timerId: number }[] = []
  for (let episode = 0; episode < episodesMax; episode++) {
    const state = await replay(handler, history, input, instanceId)
    for (; known < state.actions.length; known++) await schedule(state.actions[known]!, known)
    const continued = state.actions.find(({ actionType }) => actionType === 4)
    if (state.isDone || state.error !== null || continued !== undefined) {
      arrivals = arrivals.filter((arrival) => arrival.event.EventType !== 15 && !isCancelled(state, arrival))
      if (arrivals.length > 0 && state.error === null)
        throw new Error(`The story ended with open tasks: ${JSON.stringify(arrivals.map(({ event }) => event))}`)
      note({ EventType: 13, EventId: -1 })
      return { history, state, input, instanceId, calls, inputs, continuedWith: continued?.input }
    }
    note({ EventType: 13, EventId: -1 })
    arrivals = arrivals
      .filter((arrival) => !isCancelled(state, arrival))
      .sort((a, b) => a.atMs - b.atMs || a.order - b.order)
    const next = arrivals.shift()
    if (next === undefined) throw new Error('The story waits for ever.')
    nowMs = next.atMs
    note({ EventType: 12, EventId: -1 })
    note(next.event)
    const retry = next.retryOf
    if (retry !== undefined) {
      // The engine makes a timer after the last try, too; it fires at once.
      const {
        firstRetryIntervalInMilliseconds: first,
        maxNumberOfAttempts: triesMax,
        maxRetryIntervalInMilliseconds: waitMsMax = Number.POSITIVE_INFINITY,
      } = state.actions[retry.action]!.retryOptions!
      const timerId = nextId++
      note({ EventType: 10, EventId: timerId, FireAt: new Date(nowMs).toISOString() })
      arrive(retry.tries < triesMax! ? Math.min(first! * 2 ** (retry.tries - 1), waitMsMax!) : 0, {
        EventType: 11,
        EventId: -1,
        TimerId: timerId,
        FireAt: '',
      })
      waitingRetries.push({ ...retry, timerId })
    }
    const due = waitingRetries.find(({ timerId }) => next.event.EventType === 11 && next.event.TimerId === timerId)
    if (due !== undefined) {
      const action = state.actions[due.action]!
      if (due.tries < action.retryOptions!.maxNumberOfAttempts!) await runActivity(action, due.action, due.tries + 1)
    }
  }
  throw new Error(`The story did not end in ${episodesMax} episodes.`)
}

/** The actions inside compounds, and single actions as they are. */
export const leaves = (action: Action): readonly Action[] =>
  action.compoundActions === undefined ? [action] : action.compoundActions.flatMap(leaves)
