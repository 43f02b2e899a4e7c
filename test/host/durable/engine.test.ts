import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import type { InvocationRequest, InvocationResult } from '../../../local/host/invocation.ts'
import { startAppEngine } from './support/app-engine.ts'

const work = `df.app.activity('Work', { handler: async (input) => { await sleep(input?.ms ?? 1); return input?.value ?? 'done'; } });`
const orchestrator = (body: string, name = 'Story') =>
  `df.app.orchestration('${name}', function* (context) { const d = context.df; ${body} });`

describe('limits on what runs at once', () => {
  it('holds maxConcurrentActivityFunctions exactly: never more, and never fewer while there is work', async () => {
    let running = 0
    let peak = 0
    const invoke =
      (inner: (request: InvocationRequest) => Promise<InvocationResult>) => async (request: InvocationRequest) => {
        if (request.functionName !== 'Work') return inner(request)
        running += 1
        peak = Math.max(peak, running)
        const result = await inner(request)
        running -= 1
        return result
      }
    const body = `return (yield d.Task.all(Array.from({ length: 20 }, () => d.callActivity('Work', { ms: 20 })))).length;`
    await using engine = await startAppEngine(work + orchestrator(body), { maxConcurrentActivityFunctions: 4 }, invoke)
    expect(await engine.run('Story')).toMatchObject({ runtimeStatus: 'Completed', output: 20 })
    expect(peak).toBe(4)
  })

  it('never runs two turns of one instance at once, and no more orchestrators than allowed', async () => {
    const busy = new Map<string, number>()
    let overlaps = 0
    let peak = 0
    const invoke =
      (inner: (request: InvocationRequest) => Promise<InvocationResult>) => async (request: InvocationRequest) => {
        if (request.functionName !== 'Story') return inner(request)
        const id = request.triggerMetadata.instanceId?.string ?? ''
        if (busy.has(id)) overlaps += 1
        busy.set(id, 1)
        peak = Math.max(peak, busy.size)
        await sleep(3)
        const result = await inner(request)
        busy.delete(id)
        return result
      }
    const body = `return yield d.Task.all(Array.from({ length: 6 }, (_, i) => d.callActivity('Work', { ms: i * 3, value: i })));`
    await using engine = await startAppEngine(
      work + orchestrator(body),
      { maxConcurrentOrchestratorFunctions: 3 },
      invoke,
    )
    const ids = await Promise.all(Array.from({ length: 8 }, () => engine.start('Story')))
    for (const id of ids) expect(await engine.reaches(id)).toMatchObject({ output: [0, 1, 2, 3, 4, 5] })
    expect([overlaps, peak]).toEqual([0, 3])
  })
})

describe('timers', () => {
  it('never fire early, and fire soon', async () => {
    const body = `const at = new Date(d.currentUtcDateTime.getTime() + 300); yield d.createTimer(at); return d.currentUtcDateTime.getTime() - at.getTime();`
    await using engine = await startAppEngine(orchestrator(body))
    const { output } = await engine.run('Story')
    expect(Number(output)).toBeGreaterThanOrEqual(0)
    expect(Number(output)).toBeLessThan(1000)
  })

  it('are made of parts where they are longer than one timer may be', async () => {
    const body = `yield d.createTimer(new Date(d.currentUtcDateTime.getTime() + 400)); return yield d.callActivity('Work', {});`
    const timerLimits = { maximumShortTimerMs: 150, longRunningTimerIntervalMs: 100 }
    await using engine = await startAppEngine(work + orchestrator(body), { timerLimits })
    const { output, historyEvents } = await engine.run('Story')
    const parts = historyEvents?.filter((event) => event.EventType === 'TimerFired').length ?? 0
    expect([output, parts >= 4 && parts <= 5]).toEqual(['done', true])
  })

  it('hold an instance Running until they fire, unless they are cancelled', async () => {
    const body = `const t = d.createTimer(new Date(d.currentUtcDateTime.getTime() + 400)); const a = d.callActivity('Work', {}); yield d.Task.any([t, a]); if (d.getInput().cancel) t.cancel(); return 'over';`
    await using engine = await startAppEngine(work + orchestrator(body))
    const left = await engine.start('Story', { cancel: false })
    const cancelled = await engine.start('Story', { cancel: true })
    await engine.reaches(cancelled, 'Completed')
    expect((await engine.status(left)).runtimeStatus).toBe('Running')
    expect(await engine.reaches(left)).toMatchObject({ runtimeStatus: 'Completed', output: 'over' })
  })
})

describe('what is stored', () => {
  it('goes on after a restart: timers fire, events wait, activities in flight run again', async () => {
    let runs = 0
    const invoke =
      (inner: (request: InvocationRequest) => Promise<InvocationResult>) => (request: InvocationRequest) => {
        if (request.functionName !== 'Work') return inner(request)
        runs += 1
        return runs === 1 ? new Promise<InvocationResult>(() => {}) : inner(request)
      }
    const body = `const a = yield d.callActivity('Work', { value: 'a' }); yield d.createTimer(new Date(d.currentUtcDateTime.getTime() + 200)); const e = yield d.waitForExternalEvent('E'); return [a, e];`
    await using engine = await startAppEngine(work + orchestrator(body), {}, invoke)
    const id = await engine.start('Story')
    while (runs === 0) await sleep(2)
    await engine.post(`instances/${id}/raiseEvent/E`, 'early')
    await engine.restart()
    while ((await engine.status(id)).historyEvents?.some((event) => event.EventType === 'TimerCreated') !== true)
      await sleep(2)
    await engine.restart()
    expect(await engine.reaches(id)).toMatchObject({ runtimeStatus: 'Completed', output: ['a', 'early'] })
    expect(runs).toBe(2)
  })

  it('does not fail a turn whose worker ended because the host stops', async () => {
    let calls = 0
    let die = (_: InvocationResult): void => {}
    const invoke =
      (inner: (request: InvocationRequest) => Promise<InvocationResult>) => (request: InvocationRequest) => {
        calls += 1
        if (calls > 1) return inner(request)
        return new Promise<InvocationResult>((resolve) => {
          die = resolve
        })
      }
    await using engine = await startAppEngine(orchestrator(`return 'fine';`), {}, invoke)
    const id = await engine.start('Story')
    while (calls === 0) await sleep(2)
    const restarted = engine.restart()
    setTimeout(() => die({ kind: 'workerDied', exitCode: 0 }), 50)
    await restarted
    expect(await engine.reaches(id)).toMatchObject({ runtimeStatus: 'Completed', output: 'fine' })
  })

  it('leaves no message and no history of a replaced or continued execution behind', async () => {
    const body = `const n = d.getInput(); yield d.callActivity('Work', {}); if (n > 0) { d.continueAsNew(n - 1); return; } return 'end';`
    await using engine = await startAppEngine(work + orchestrator(body))
    await engine.run('Story', 3, 'one')
    await engine.run('Story', 2, 'one')
    const { historyEvents } = await engine.status('one')
    expect(historyEvents?.map((event) => event.EventType)).toEqual([
      'ExecutionStarted',
      'TaskCompleted',
      'ExecutionCompleted',
    ])
    const { DatabaseSync } = await import('node:sqlite')
    const database = new DatabaseSync(engine.databasePath, { readOnly: true })
    const count = (table: string) => Number(database.prepare(`SELECT count(*) AS n FROM ${table}`).get()?.n)
    const counts = [count('messages'), count('activities'), count('history')]
    database.close()
    // 12, 0, 13, 4, 13, 12, 5, 1, 13 of the last generation.
    expect(counts).toEqual([0, 0, 9])
  })
})

describe('an activity that does not come back', () => {
  const ending = (result: InvocationResult, once = true) => {
    let struck = false
    return (inner: (request: InvocationRequest) => Promise<InvocationResult>) => async (request: InvocationRequest) => {
      if (request.functionName !== 'Work' || (once && struck)) return inner(request)
      struck = true
      return result
    }
  }

  it('fails with the exit code of its worker, and is retried under a retry policy', async () => {
    const body = `return yield d.callActivityWithRetry('Work', new df.RetryOptions(20, 2), {});`
    const died = ending({ kind: 'workerDied', exitCode: 137 })
    await using engine = await startAppEngine(work + orchestrator(body), {}, died)
    const { output, historyEvents } = await engine.run('Story')
    const failed = historyEvents?.find((event) => event.EventType === 'TaskFailed')
    expect([output, failed?.Reason]).toEqual([
      'done',
      "Activity function 'Work' failed: node exited with code 137 (0x89)",
    ])
  })

  it('fails with the time that it took too long', async () => {
    const timedOut = ending({ kind: 'timedOut', seconds: 300 }, false)
    await using engine = await startAppEngine(
      work + orchestrator(`return yield d.callActivity('Work', {});`),
      {},
      timedOut,
    )
    const { runtimeStatus, output } = await engine.run('Story')
    expect(runtimeStatus).toBe('Failed')
    expect(output).toMatch(
      /^Orchestrator function 'Story' failed: Activity function 'Work' failed: Timeout value of 00:05:00 was exceeded by function: Functions.Work/,
    )
  })
})

describe('an orchestrator whose turn times out', () => {
  it('fails as a whole, and tells its parent', async () => {
    const invoke =
      (inner: (request: InvocationRequest) => Promise<InvocationResult>) => async (request: InvocationRequest) =>
        request.functionName === 'Child' ? ({ kind: 'timedOut', seconds: 60 } as const) : inner(request)
    const parent = orchestrator(`try { yield d.callSubOrchestrator('Child', 1); } catch (e) { return e.message; }`)
    await using engine = await startAppEngine(parent + orchestrator(`return 1;`, 'Child'), {}, invoke)
    const { output } = await engine.run('Story')
    expect(output).toMatch(
      /^Orchestrator function 'Child' failed: One or more errors occurred. \(Timeout value of 00:01:00/,
    )
  })
})

describe('a large hub', () => {
  it('is no slower for thousands of instances that wait', async () => {
    const body = `for (let i = 0; i < 40; i++) yield d.callActivity('Work', { ms: 0 }); return 'end';`
    const waits = orchestrator(
      `const t = d.createTimer(new Date(d.currentUtcDateTime.getTime() + 3600000)); yield d.Task.any([t, d.waitForExternalEvent('never')]);`,
      'Waits',
    )
    await using engine = await startAppEngine(work + orchestrator(body) + waits)
    const timed = async () => {
      const startedMs = performance.now()
      await engine.run('Story')
      return performance.now() - startedMs
    }
    await timed()
    const emptyMs = await timed()
    for (let batch = 0; batch < 30; batch++) await Promise.all(Array.from({ length: 100 }, () => engine.start('Waits')))
    await engine.server.engine.idle()
    const fullMs = await timed()
    expect(fullMs).toBeLessThan(emptyMs * 3 + 200)
  })

  it('replays a long history without reading it again', async () => {
    const body = `let sum = 0; for (let i = 0; i < 400; i++) sum += yield d.callActivity('Work', { ms: 0, value: 1 }); return sum;`
    await using engine = await startAppEngine(work + orchestrator(body))
    expect(await engine.run('Story')).toMatchObject({ runtimeStatus: 'Completed', output: 400 })
  })
})
