import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type OrchestrationHandler, RetryOptions, type Task } from 'durable-functions'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { type Action, type HistoryEvent, replay } from '../support/replay-engine.ts'
import { runStory } from '../support/run-story.ts'
import { cases } from './cases.ts'
import { world } from './story-worlds.ts'

/** A timer that is cancelled later is the same action: the mark is set in place. */
const withoutMarks = (actions: readonly Action[]): unknown =>
  JSON.parse(JSON.stringify(actions).replaceAll('"isCanceled":true', '"isCanceled":false'))

/** Replays every prefix of a history, an hour later and with another environment; each must ask for a beginning of what the whole
 * history asked for. The library itself notices no difference, so this is the only guard. */
const differences = async (
  handler: OrchestrationHandler,
  history: readonly HistoryEvent[],
  input: unknown,
  instanceId: string,
  actions: readonly Action[],
): Promise<readonly number[]> => {
  vi.useFakeTimers({ toFake: ['Date', 'performance'], now: Date.now() + 3_600_000 })
  const whole = withoutMarks(actions) as unknown[]
  const different: number[] = []
  for (let length = 2; length <= history.length; length++) {
    const state = await replay(handler, history.slice(0, length), input, instanceId)
    const asked = withoutMarks(state.actions) as unknown[]
    if (JSON.stringify(asked) !== JSON.stringify(whole.slice(0, asked.length))) different.push(length)
  }
  return different
}

afterEach(() => vi.useRealTimers())

describe('a story', () => {
  it.each(cases)(
    '$name asks for the same at every replay of every prefix',
    async ({ handler, input, instanceId, world }) => {
      const { history, state } = await runStory(handler, input, instanceId, world)
      expect(await differences(handler, history, input, instanceId, state.actions)).toEqual([])
      const again = await replay(handler, history, input, instanceId)
      expect(again).toEqual(state)
    },
  )

  it('that reads the clock is found out', async () => {
    const recordedUntil = Date.now() + 60_000
    const handler: OrchestrationHandler = function* (context): Generator<Task, unknown, unknown> {
      yield context.df.callActivityWithRetry('first', new RetryOptions(1, 1), {})
      const name = Date.now() < recordedUntil ? 'second' : 'third'
      yield context.df.callActivityWithRetry(name, new RetryOptions(1, 1), {})
      return {}
    }
    const run = await runStory(handler, {}, 'mutant', world({ first: {}, second: {}, third: {} }))
    expect(await differences(handler, run.history, {}, 'mutant', run.state.actions)).not.toEqual([])
  })
})

/** Histories as each version wrote them first. A story that asks for something else at one of them would break jobs that run during a
 * deployment: then it needs another name, or an input that tells its instances apart. Set RECORD_HISTORIES to write the file of a version that is
 * missing: it gets the cases that no earlier one has. */
const versions = ['0.1', '0.2']
const fileOf = (version: string): string => join(import.meta.dirname, `../golden/histories/version-${version}.json`)

interface Recorded {
  readonly name: string
  readonly input: unknown
  readonly instanceId: string
  readonly history: readonly HistoryEvent[]
  readonly actions: readonly Action[]
}

const recordCases = async (known: ReadonlySet<string>): Promise<readonly Recorded[]> => {
  const recorded: Recorded[] = []
  for (const { name, handler, input, instanceId, world } of cases) {
    if (known.has(name)) continue
    const { history, state } = await runStory(handler, input, instanceId, world)
    recorded.push({ name, input, instanceId, history, actions: state.actions })
  }
  return recorded
}

describe('the histories of earlier versions', () => {
  it('replay to the same actions', async () => {
    const all: Recorded[] = []
    for (const file of versions.map(fileOf)) {
      if (process.env.RECORD_HISTORIES !== undefined && !existsSync(file)) {
        const missing = await recordCases(new Set(all.map(({ name }) => name)))
        writeFileSync(file, `[\n${missing.map((one) => JSON.stringify(one)).join(',\n')}\n]\n`)
      }
      all.push(...(JSON.parse(readFileSync(file, 'utf8')) as readonly Recorded[]))
    }
    expect(all.length).toBeGreaterThan(25)
    for (const { name, input, instanceId, history, actions } of all) {
      const { handler } = cases.find((one) => one.name === name)!
      expect((await replay(handler, history, input, instanceId)).actions, name).toEqual(actions)
    }
  })
})
