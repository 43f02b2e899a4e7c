import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createScheduler, type Scheduler } from '../../../../local/host/durable/scheduler.ts'
import { openStore, type Store } from '../../../../local/host/durable/store.ts'

let folder: string
let store: Store
let scheduler: Scheduler
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'scheduler-'))
  store = openStore(join(folder, 'hub.sqlite'))
})
afterEach(async () => {
  vi.restoreAllMocks()
  await scheduler.stop()
  store.close()
  await rm(folder, { recursive: true })
})

let sent = 0
const send = (instanceId: string, dueMs: number): void => {
  sent += 1
  store.putMessage({ instanceId, executionId: null, timerId: null, dueMs, event: '{}' })
  scheduler.notice(instanceId, dueMs)
}

describe('the scheduler', () => {
  it('looks up each message once at most where timers fire while many instances wait for a place', async () => {
    const [instances, turnsOfEach] = [200, 5]
    let lookedUp = 0
    let turns = 0
    const counting: Store = {
      ...store,
      instancesWithDueMessages: (afterMs, untilMs) => {
        const found = store.instancesWithDueMessages(afterMs, untilMs)
        lookedUp += found.length
        return found
      },
    }
    const allTaken = Promise.withResolvers<void>()
    scheduler = createScheduler({
      store: counting,
      concurrencyMax: 2,
      runTurn: async (messages) => {
        for (const { id } of messages) store.deleteMessage(id)
        await new Promise((resolve) => setTimeout(resolve, 1))
        turns += 1
        if (turns <= instances * (turnsOfEach - 1)) send(messages[0]?.instance_id ?? '', Date.now() + (turns % 2) * 20)
        if (turns === instances * turnsOfEach) allTaken.resolve()
      },
      onIdle: () => undefined,
      onError: (_, error) => allTaken.reject(error),
    })
    scheduler.start()
    sent = 0
    for (let at = 0; at < instances; at += 1) send(`instance-${at}`, Date.now())
    await allTaken.promise
    expect(lookedUp).toBeLessThanOrEqual(sent)
  })

  it('finds what becomes due after the clock was put back', async () => {
    const clock = vi.spyOn(Date, 'now').mockReturnValue(2_000_000)
    const taken = Promise.withResolvers<string>()
    scheduler = createScheduler({
      store,
      concurrencyMax: 1,
      runTurn: async (messages) => {
        for (const { id } of messages) store.deleteMessage(id)
        taken.resolve(messages[0]?.instance_id ?? '')
      },
      onIdle: () => undefined,
      onError: (_, error) => taken.reject(error),
    })
    scheduler.start()
    clock.mockReturnValue(1_000_000)
    send('late', 1_000_020)
    clock.mockReturnValue(1_000_021)
    expect(await taken.promise).toBe('late')
  })
})
