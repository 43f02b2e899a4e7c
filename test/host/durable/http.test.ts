import { createRequire } from 'node:module'
import { describe, expect, it } from 'vitest'
import { type AppEngine, startAppEngine } from './support/app-engine.ts'

const requireHere = createRequire(import.meta.url)

const source = `
df.app.activity('Work', { handler: async (input) => { await sleep(input?.ms ?? 1); return input?.value ?? 'done'; } });
df.app.orchestration('Story', function* (context) { return yield context.df.callActivity('Work', context.df.getInput() ?? {}); });
df.app.orchestration('Fails', function* () { throw new Error('no luck'); });
df.app.orchestration('Waits', function* (context) { return yield context.df.waitForExternalEvent('Go'); });
`

const webhook = (engine: AppEngine, pathAndQuery: string, init: RequestInit = {}) =>
  fetch(`${engine.server.origin}/runtime/webhooks/durabletask/${pathAndQuery}`, init)

describe('the public Durable HTTP API', () => {
  it('asks for the system key, in the query or in a header', async () => {
    await using engine = await startAppEngine(source)
    const statuses = await Promise.all([
      webhook(engine, 'instances/'),
      webhook(engine, 'instances/?code=wrong'),
      webhook(engine, 'instances/?code=SK'),
      webhook(engine, 'instances/', { headers: { 'x-functions-key': 'SK' } }),
    ])
    expect(statuses.map((response) => response.status)).toEqual([401, 401, 200, 200])
  })

  it('asks for nothing where no key is set, and hands out URLs without one', async () => {
    await using engine = await startAppEngine(source, { systemKey: null })
    expect((await webhook(engine, 'instances/')).status).toBe(200)
    const { statusQueryGetUri } = (await (await engine.post('orchestrators/Story')).json()) as {
      statusQueryGetUri: string
    }
    expect(statusQueryGetUri).not.toContain('code=')
    expect((await fetch(statusQueryGetUri)).status).toBeLessThan(300)
  })

  it('hands out URLs that work', async () => {
    await using engine = await startAppEngine(source)
    const urls = (await (await engine.post('orchestrators/Waits/w:1')).json()) as Record<string, string>
    const raise = urls.sendEventPostUri?.replace('{eventName}', 'Go') ?? ''
    const headers = { 'content-type': 'application/json' }
    expect((await fetch(raise, { method: 'POST', headers, body: '{"a":1}' })).status).toBe(202)
    expect(await engine.reaches('w:1')).toMatchObject({ runtimeStatus: 'Completed', output: { a: 1 } })
    expect((await fetch(urls.purgeHistoryDeleteUri ?? '', { method: 'DELETE' })).status).toBe(200)
    expect((await fetch(urls.statusQueryGetUri ?? '')).status).toBe(404)
  })

  it('waits for the end if asked to: bare output, status of a failure, or the usual 202', async () => {
    await using engine = await startAppEngine(source)
    const wait = (name: string, input: unknown, seconds: number) =>
      engine.post(`orchestrators/${name}?timeout=${seconds}&pollingInterval=0.02`, input)
    const [done, failed, late] = await Promise.all([
      wait('Story', { value: 7 }, 10),
      wait('Fails', {}, 10),
      wait('Waits', {}, 0.1),
    ])
    expect([done.status, await done.json()]).toEqual([200, 7])
    expect([failed.status, ((await failed.json()) as { runtimeStatus: string }).runtimeStatus]).toEqual([200, 'Failed'])
    expect([late.status, Object.keys((await late.json()) as object)]).toEqual([
      202,
      expect.arrayContaining(['statusQueryGetUri']),
    ])
  })

  it('refuses bad bodies and ids, and knows no route for an escaped slash', async () => {
    await using engine = await startAppEngine(source)
    const start = (path: string, body: string) =>
      fetch(`${engine.server.origin}/durabletask/orchestrators/${path}`, { method: 'POST', body })
    expect((await start('Story', '{bad')).status).toBe(400)
    expect((await start(`Story/${'x'.repeat(257)}`, '')).status).toBe(400)
    expect((await start('Story/a%2Fb', '')).status).toBe(404)
    expect((await start('Story/a%5Cb', '')).status).toBe(400)
    expect((await engine.post('nothing')).status).toBe(404)
    expect(await engine.server.engine.handle({ url: '/api/x', headers: {} } as never, {} as never)).toBe(false)
  })

  it('lets one of several starts of an id win, and names the live status to the others', async () => {
    await using engine = await startAppEngine(source)
    const responses = await Promise.all(Array.from({ length: 5 }, () => engine.post('orchestrators/Waits/one')))
    expect(responses.map((response) => response.status).sort()).toEqual([202, 409, 409, 409, 409])
    const loser = responses.find((response) => response.status === 409)
    expect(await loser?.json()).toEqual({
      Message: expect.stringMatching(/^An Orchestration instance with the status (Pending|Running) already exists.$/),
    })
  })
})

describe('the client library of durable-functions', () => {
  it('works with the binding that the engine makes', async () => {
    await using engine = await startAppEngine(source)
    process.env.WEBSITE_HOSTNAME = new URL(engine.server.origin).host
    const df = requireHere('durable-functions')
    const input = df.input.durableClient()
    const bound = JSON.parse(engine.server.engine.clientBinding())
    const client = df.getClient({ options: { extraInputs: [input] }, extraInputs: { get: () => bound } })
    const id = await client.startNew('Waits', { instanceId: 'by-client', input: { a: 1 } })
    await engine.reaches(id, 'Running')
    await client.raiseEvent(id, 'Go', { b: 2 })
    await engine.reaches(id)
    expect(await client.getStatus(id)).toMatchObject({ runtimeStatus: 'Completed', input: { a: 1 }, output: { b: 2 } })
    expect(client.createHttpManagementPayload(id).statusQueryGetUri).toContain(
      `${engine.server.origin}/runtime/webhooks`,
    )
    expect(await client.purgeInstanceHistory(id)).toEqual({ instancesDeleted: 1 })
    delete process.env.WEBSITE_HOSTNAME
  })
})
