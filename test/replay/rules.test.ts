import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { OrchestrationHandler } from 'durable-functions'
import { describe, expect, it, vi } from 'vitest'
import * as contracts from '../../functions/contracts.ts'
import { leaves, runStory } from '../support/run-story.ts'
import { cases } from './cases.ts'

const registered = vi.hoisted(() => ({ activities: [] as string[], orchestrations: [] as string[] }))

vi.mock('durable-functions', async (original) => {
  const actual = (await original()) as typeof import('durable-functions')
  const app = {
    ...actual.app,
    activity: (name: string) => registered.activities.push(name),
    orchestration: (name: string) => registered.orchestrations.push(name),
  }
  return { ...actual, app }
})

/** Engine's limits: status 16 KB of UTF-16, timers of more than six days break inside `Task.any`, ids must fit the platform's keys. */
const statusCharactersMax = 8192
const timerMsMax = 6 * 24 * 3_600_000
const idCharactersMax = 100

/** Counts into how many compounds each task goes, and keeps every status that is shown. */
const watched = (handler: OrchestrationHandler) => {
  const uses = new Map<unknown, number>()
  const statuses: unknown[] = []
  const watching: OrchestrationHandler = function* (context) {
    const { all, any } = context.df.Task
    const count = (tasks: readonly unknown[]) => {
      for (const task of tasks) uses.set(task, (uses.get(task) ?? 0) + 1)
    }
    context.df.Task.all = (tasks) => {
      count(tasks)
      return all(tasks)
    }
    context.df.Task.any = (tasks) => {
      count(tasks)
      return any(tasks)
    }
    const { setCustomStatus } = context.df
    context.df.setCustomStatus = (status) => {
      statuses.push(status)
      setCustomStatus.call(context.df, status)
    }
    uses.clear()
    return yield* handler(context)
  }
  return { watching, uses, statuses }
}

const runs = await Promise.all(
  cases.map(async (one) => {
    const { watching, uses, statuses } = watched(one.handler)
    const run = await runStory(watching, one.input, one.instanceId, one.world)
    return { ...run, name: one.name, uses, statuses, actions: run.state.actions.flatMap(leaves) }
  }),
)

const contractNames = Object.values(contracts).flatMap((contract) =>
  typeof contract === 'object' ? [contract.name] : [],
)

describe('the rules of the engine', () => {
  it.each(runs)('$name puts a task into one compound at most', ({ uses }) => {
    expect([...uses.values()].filter((count) => count > 1)).toEqual([])
  })

  it.each(runs)('$name leaves no timer open and sets none beyond six days', ({ history, actions }) => {
    const fired = history.filter(({ EventType }) => EventType === 11).map(({ FireAt }) => FireAt)
    for (const timer of actions.filter(({ actionType }) => actionType === 5)) {
      expect(timer.isCanceled === true || fired.includes(timer.fireAt)).toBe(true)
      expect(Date.parse(timer.fireAt!) - Date.parse(history[0]!.Timestamp)).toBeLessThan(timerMsMax)
    }
  })

  it.each(runs)('$name calls only names of the contracts, with objects, and sets no retry timeout', ({ actions }) => {
    for (const { actionType, functionName, input, retryOptions } of actions.filter(
      ({ actionType }) => actionType <= 3,
    )) {
      expect(contractNames).toContain(functionName)
      expect(input).toBeTypeOf('object')
      expect(actionType === 2 ? {} : retryOptions).not.toHaveProperty('retryTimeoutInMilliseconds')
      expect(actionType === 1 ? retryOptions : { maxNumberOfAttempts: 10 }).toMatchObject({ maxNumberOfAttempts: 10 })
    }
  })

  it.each(runs)(
    '$name gives its children ids of their own, under 100 printable characters',
    ({ actions, instanceId }) => {
      const ids = actions.flatMap((action) => (action.actionType === 2 ? [action.instanceId!] : []))
      expect(new Set([...ids, instanceId]).size).toBe(ids.length + 1)
      for (const id of [...ids, instanceId]) {
        expect(id).toMatch(/^[a-z0-9.:-]+$/)
        expect(id.length).toBeLessThan(idCharactersMax)
      }
    },
  )

  it.each(runs)('$name shows only small objects as its status', ({ statuses }) => {
    expect(statuses.length).toBeGreaterThan(0)
    for (const status of statuses) {
      expect(status).toBeTypeOf('object')
      expect(status).not.toBeNull()
      expect(JSON.stringify(status).length).toBeLessThan(statusCharactersMax)
    }
  })

  it.each(runs)('$name keeps secrets out of its history, inputs and outcome', ({ history, state, input }) => {
    expect(JSON.stringify([history, state, input])).not.toMatch(/[?&]sig=|AccountKey|https?:\/\//i)
  })

  it('register every orchestration and activity of the contracts, and no other', async () => {
    const functions = join(import.meta.dirname, '../../functions')
    registered.orchestrations.length = 0
    registered.activities.length = 0
    vi.resetModules()
    for (const folder of ['orchestrators', 'activities'])
      for (const file of readdirSync(join(functions, folder))) await import(join(functions, folder, file))
    const backups = ['protectVm', 'protectDisk', 'transferLane']
    const orchestrations = [...backups, 'restoreVm', 'restoreDisk', 'compareVm', 'maintainVault']
    expect([...registered.orchestrations].sort()).toEqual([...orchestrations].sort())
    const activities = contractNames.filter((name) => !orchestrations.includes(name))
    expect([...registered.activities].sort()).toEqual([...activities].sort())
  })
})
