import { describe, expect, it } from 'vitest'
import { startAppEngine } from './support/app-engine.ts'

/** What the real engine hangs on or corrupts (recordings s04, s05, s09, s16, s18, s20, s22) must fail here at once, with the
 * reason; and what only looks like it must not. */

const activities = `
df.app.activity('Work', { handler: async (input) => { await sleep(input?.ms ?? 1); if (input?.fails) throw new Error('failed ' + input.fails); return input?.value ?? 'done'; } });
`
const orchestrator = (body: string, name = 'Story') =>
  `df.app.orchestration('${name}', function* (context) { const d = context.df; const id = d.instanceId; ${body} });`

const outcomeOf = async (body: string, more = '') => {
  await using engine = await startAppEngine(`${activities}${orchestrator(body)}${more}`)
  const startedMs = Date.now()
  const { runtimeStatus, output } = await engine.run('Story', {}, 'story')
  return { runtimeStatus, output: String(output), tookMs: Date.now() - startedMs, value: output }
}

const refuses = async (body: string, reason: RegExp, more = '') => {
  const { runtimeStatus, output } = await outcomeOf(body, more)
  expect(runtimeStatus).toBe('Failed')
  expect(output).toMatch(/^Refused: /)
  expect(output).toMatch(reason)
}

const retry = (attempts: number, firstMs = 20) => `new df.RetryOptions(${firstMs}, ${attempts})`

describe('a task in a second Task.all or Task.any', () => {
  it('is refused when the rest of a Task.any is put into another Task.any', () =>
    refuses(
      `let open = [30, 10, 20].map((ms) => d.callActivity('Work', { ms })); while (open.length) { const w = yield d.Task.any(open); open = open.filter((t) => t !== w); }`,
      /'Work'.*second Task.all or Task.any/,
    ))

  it('is refused when Task.all follows Task.any over the same tasks', () =>
    refuses(
      `const ts = [30, 10].map((ms) => d.callActivity('Work', { ms })); yield d.Task.any(ts); return yield d.Task.all(ts);`,
      /second Task.all or Task.any/,
    ))

  it('is refused when a task that was yielded alone goes into Task.all', () =>
    refuses(
      `const t = d.callActivity('Work', {}); yield t; return yield d.Task.all([t, d.callActivity('Work', { value: 2 })]);`,
      /second Task.all or Task.any/,
    ))

  it('is refused for sub-orchestrations and retried activities alike', async () => {
    const child = orchestrator(`yield d.createTimer(new Date(d.currentUtcDateTime.getTime() + 50));`, 'Child')
    await refuses(
      `const a = d.callSubOrchestrator('Child', 1, id + ':a'); const b = d.callActivity('Work', {}); yield d.Task.any([a, b]); return yield d.Task.all([a, d.callActivity('Work', { ms: 2 })]);`,
      /second Task.all or Task.any/,
      child,
    )
    await refuses(
      `const a = d.callActivityWithRetry('Work', ${retry(3)}, { ms: 40 }); yield d.Task.any([a, d.callActivity('Work', {})]); return yield d.Task.any([a, d.callActivity('Work', { ms: 3 })]);`,
      /second Task.all or Task.any/,
    )
  })

  it('is not taken for granted where the same call is made again in another round', async () => {
    const body = `const got = []; for (let i = 0; i < 3; i++) got.push(...(yield d.Task.all([d.callActivity('Work', { value: 1 }), d.callActivity('Work', { value: 1 })]))); for (let i = 0; i < 3; i++) { const t = d.callActivity('Work', { ms: 1 }); const timer = d.createTimer(new Date(d.currentUtcDateTime.getTime() + 5000)); const w = yield d.Task.any([t, timer]); got.push(w.result); timer.cancel(); } return got;`
    const { runtimeStatus, value } = await outcomeOf(body)
    expect([runtimeStatus, value]).toEqual(['Completed', [1, 1, 1, 1, 1, 1, 'done', 'done', 'done']])
  })

  it('does not forbid yielding the same Task.all again, nor a left-over task alone', async () => {
    const body = `const all = d.Task.all([30, 20].map((ms) => d.callActivity('Work', { ms, value: ms }))); const quick = d.callActivity('Work', { value: 'q' }); const w = yield d.Task.any([all, quick]); const first = w === quick; const done = yield all; const a = d.callActivity('Work', { ms: 40, value: 'a' }); const b = d.callActivity('Work', { value: 'b' }); yield d.Task.any([a, b]); return [first, done, yield a, yield d.callActivity('Work', { value: 'last' })];`
    const { runtimeStatus, value } = await outcomeOf(body)
    expect([runtimeStatus, value]).toEqual(['Completed', [true, [30, 20], 'a', 'last']])
  })
})

describe('a failed Task.all that is caught', () => {
  it('is refused when more is scheduled while a sibling may be retried', () =>
    refuses(
      `try { yield d.Task.all([d.callActivity('Work', { fails: 'now' }), d.callActivityWithRetry('Work', ${retry(3, 3000)}, { fails: 'often' })]); } catch {} return yield d.callActivity('Work', {});`,
      /failed Task.all was caught.*'Work' may still be retried/,
    ))

  it('may go on where no sibling is retried', async () => {
    const body = `try { yield d.Task.all([d.callActivity('Work', { fails: 'now' }), d.callActivity('Work', { ms: 60 })]); } catch {} return yield d.callActivity('Work', { value: 'next' });`
    expect(await outcomeOf(body)).toMatchObject({ runtimeStatus: 'Completed', value: 'next' })
  })

  it('may be returned from while a sibling is retried: nothing more takes a number', async () => {
    const body = `try { yield d.Task.all([d.callActivity('Work', { fails: 'now' }), d.callActivityWithRetry('Work', ${retry(2, 10)}, { fails: 'often' })]); } catch { return 'caught'; }`
    expect(await outcomeOf(body)).toMatchObject({ runtimeStatus: 'Completed', value: 'caught' })
  })
})

describe('names and ids', () => {
  it('refuses an activity and an orchestrator that are not registered', async () => {
    await refuses(`return yield d.callActivity('Wrok', {});`, /no activity named 'Wrok' is registered/)
    await refuses(`return yield d.callSubOrchestrator('Nobody', {});`, /no orchestrator named 'Nobody' is registered/)
  })

  it('refuses a child with the id of its parent', () =>
    refuses(`return yield d.callSubOrchestrator('Story', {}, id);`, /id of its own parent \('story'\)/))

  it('refuses a child with the id of a live instance, also of a sister', async () => {
    const child = orchestrator(`yield d.waitForExternalEvent('never');`, 'Child')
    await refuses(
      `return yield d.Task.all([d.callSubOrchestrator('Child', 1, 'same'), d.callSubOrchestrator('Child', 2, 'same')]);`,
      /given the id 'same', whose instance is Pending/,
      child,
    )
  })

  it('lets a child take the id of one that has ended', async () => {
    const child = orchestrator(`return d.getInput();`, 'Child')
    const body = `const a = yield d.callSubOrchestrator('Child', 1, 'same'); const b = yield d.callSubOrchestrator('Child', 2, 'same'); return [a, b];`
    expect(await outcomeOf(body, child)).toMatchObject({ runtimeStatus: 'Completed', value: [1, 2] })
  })

  it('finds functions without regard to case', async () => {
    const child = orchestrator(`return 'child';`, 'Child')
    const body = `return [yield d.callActivity('WORK', {}), yield d.callSubOrchestrator('cHILD', {})];`
    expect(await outcomeOf(body, child)).toMatchObject({ runtimeStatus: 'Completed', value: ['done', 'child'] })
  })

  it('starts an unknown orchestrator with 202 and fails it, naming those that exist', async () => {
    await using engine = await startAppEngine(orchestrator(`return 1;`))
    const { runtimeStatus, output } = await engine.run('Nobody')
    expect(runtimeStatus).toBe('Failed')
    expect(output).toMatch(/^Orchestrator function 'Nobody' failed: The function 'Nobody' doesn't exist.*'Story'/)
  })
})

describe('waits that never end', () => {
  it('refuses retryTimeoutInMilliseconds', () =>
    refuses(
      `const r = ${retry(5)}; r.retryTimeoutInMilliseconds = 1000; return yield d.callActivityWithRetry('Work', r, {});`,
      /retryTimeoutInMilliseconds is set for 'Work'/,
    ))

  it('refuses non-retriable failure details under a retry policy', () => {
    const details = JSON.stringify({ errorType: 'Gone', errorMessage: 'no', isNonRetriable: true })
    const fails = `df.app.activity('Gone', { handler: async () => { throw new Error(${JSON.stringify(details)}); } });`
    return refuses(`return yield d.callActivityWithRetry('Gone', ${retry(5)}, {});`, /'Gone'.*non-retriable/, fails)
  })

  it('refuses an orchestrator that threw undefined', () =>
    refuses(`yield d.callActivity('Work', {}); throw undefined;`, /neither finished nor waits/))

  it('leaves alone an orchestrator that waits for an event', async () => {
    await using engine = await startAppEngine(orchestrator(`return yield d.waitForExternalEvent('Go');`))
    const id = await engine.start('Story')
    await engine.reaches(id, 'Running')
    await engine.post(`instances/${id}/raiseEvent/Other`, 1)
    await engine.post(`instances/${id}/raiseEvent/go`, 2)
    await engine.server.engine.idle()
    expect((await engine.status(id)).runtimeStatus).toBe('Running')
    await engine.post(`instances/${id}/raiseEvent/Go`, 3)
    expect(await engine.reaches(id)).toMatchObject({ runtimeStatus: 'Completed', output: 3 })
  })
})

describe('timers and features', () => {
  it('refuses a timer of more than six days in Task.any', () =>
    refuses(
      `const t = d.createTimer(new Date(d.currentUtcDateTime.getTime() + 7 * 86400000)); yield d.Task.any([t, d.callActivity('Work', {})]); t.cancel();`,
      /timer longer than 6 days/,
    ))

  it('refuses callHttp, entities and locks by name', async () => {
    await refuses(`return yield d.callHttp({ method: 'GET', url: 'http://127.0.0.1:1/' });`, /callHttp/)
    await refuses(`return yield d.callEntity(new df.EntityId('a', 'b'), 'op');`, /calling an entity/)
    await refuses(`d.signalEntity(new df.EntityId('a', 'b'), 'op'); return 1;`, /signalling an entity/)
  })
})
