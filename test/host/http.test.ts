import { readFile } from 'node:fs/promises'
import net from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type HostKeys, keyFileOf } from '../../local/host/http/keys.ts'
import { type FixtureApp, startTestHost, type TestHost, writeApp } from './fixture-app.ts'

const functions = `
import { app } from '@azure/functions'
import * as df from 'durable-functions'

app.http('echo', {
  route: 'echo/{id:int}/{*rest}',
  methods: ['GET', 'POST'],
  handler: async (request, context) => {
    context.warn('asked for', request.params.id)
    return {
      status: 201,
      headers: { 'x-answer': 'yes', 'content-length': '3' },
      jsonBody: {
        url: request.url, params: request.params, query: Object.fromEntries(request.query),
        header: request.headers.get('x-question'), body: await request.text(),
      },
    }
  },
})
app.http('bytes', { methods: ['POST'], handler: async (request) => ({ body: new Uint8Array(await request.arrayBuffer()).reverse() }) })
app.http('stream', { handler: () => ({ body: ReadableStream.from(['one ', 'two ', 'three'].map((text) => new TextEncoder().encode(text))) }) })
app.http('nothing', { handler: () => undefined })
app.http('broken', { handler: () => { throw new Error('the secret of the function') } })
app.http('cookies', { handler: () => ({ body: 'x', cookies: [{ name: 'a', value: 'b' }] }) })
app.http('client', { extraInputs: [df.input.durableClient()], handler: (_, context) => ({ body: df.getClient(context).taskHubName }) })
app.http('locked', { authLevel: 'function', handler: () => ({ body: 'open' }) })
app.http('forAdmins', { authLevel: 'admin', handler: () => ({ body: 'open' }) })
`

let app: FixtureApp
let host: TestHost
beforeAll(async () => {
  app = await writeApp({ 'dist/functions.js': functions })
  host = await startTestHost(app)
})
afterAll(async () => {
  await host.stop()
  await app.remove()
})

const raw = (text: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = net.connect(host.port, '127.0.0.1', () => socket.write(text))
    let answer = ''
    socket.on('data', (chunk) => {
      answer += chunk.toString()
    })
    socket.on('close', () => resolve(answer))
    socket.on('error', reject)
  })

const bare = async (response: Response) => [
  response.status,
  await response.text(),
  response.headers.get('content-type'),
]

describe('an HTTP trigger', () => {
  it('gets route, query, headers and body, and answers with status, headers and body', async () => {
    const response = await host.fetch('/API/echo/7/a%20b/c?x=1&x=2&y=', {
      method: 'POST',
      headers: { 'X-Question': 'why' },
      body: 'gefüllt',
    })
    expect([response.status, response.headers.get('x-answer')]).toEqual([201, 'yes'])
    expect(await response.json()).toEqual({
      url: `${host.origin}/API/echo/7/a%20b/c?x=1&x=2&y=`,
      params: { id: '7', rest: 'a b/c' },
      query: { x: '1,2', y: '' },
      header: 'why',
      body: 'gefüllt',
    })
  })

  it('carries bytes both ways', async () => {
    const sent = new Uint8Array(1_000_000).map((_, index) => index % 251)
    const response = await host.fetch('/api/bytes', { method: 'POST', body: sent })
    expect(Buffer.compare(Buffer.from(await response.arrayBuffer()), Buffer.from(sent.reverse()))).toBe(0)
  })

  it('may answer with a stream', async () => {
    expect(await (await host.fetch('/api/stream')).text()).toBe('one two three')
  })

  it('that returns nothing answers 204', async () => {
    expect(await bare(await host.fetch('/api/nothing'))).toEqual([204, '', null])
  })

  it('that throws answers a bare 500, and says why in the log only', async () => {
    expect(await bare(await host.fetch('/api/broken'))).toEqual([500, '', null])
    expect(host.logs).toContainEqual(
      expect.objectContaining({ level: 'error', message: expect.stringContaining('the secret of the function') }),
    )
  })

  it('that sets cookies is refused, not half served', async () => {
    expect(await bare(await host.fetch('/api/cookies'))).toEqual([500, '', null])
  })

  it('gets a Durable client where it has the binding', async () => {
    expect(await (await host.fetch('/api/client')).text()).toBe('TestHubName')
  })

  it('logs with level, category and the id of the invocation', async () => {
    await host.fetch('/api/echo/8/')
    const entry = host.logs.find(({ message }) => message === 'asked for 8')
    expect(entry).toEqual({
      level: 'warning',
      category: 'Function.echo.User',
      message: 'asked for 8',
      invocationId: expect.stringMatching(/^[0-9a-f-]{36}$/),
    })
  })
})

describe('a request that reaches no function', () => {
  it.each([
    ['DELETE', '/api/echo/7/'],
    ['GET', '/api/bytes'],
    ['GET', '/api/echo/x/'],
    ['GET', '/api/../echo/7/'],
    ['GET', '/'],
    ['GET', '/admin/nothing'],
    ['GET', '/runtime/webhooks/durabletask/instances/1'],
  ])('%s %s is a bare 404', async (method, path) => {
    expect(await bare(await host.fetch(path, { method }))).toEqual([404, '', null])
  })

  it('is 414 where its request line is longer than 8 KB, on either side of the parser own limit', async () => {
    const line = (bytes: number) =>
      `GET /api/echo/7/${'x'.repeat(bytes - 'GET /api/echo/7/ HTTP/1.1\r\n'.length)} HTTP/1.1\r\n`
    const rest = 'Host: x\r\nConnection: close\r\n\r\n'
    const statuses = await Promise.all(
      [8192, 8193, 100_000].map(async (bytes) => (await raw(line(bytes) + rest)).split('\r\n')[0]),
    )
    expect(statuses).toEqual(['HTTP/1.1 201 Created', 'HTTP/1.1 414 URI Too Long', 'HTTP/1.1 414 URI Too Long'])
  })

  it('is 431 where its headers are too long, 400 where it is not HTTP', async () => {
    const headers = `GET /api/nothing HTTP/1.1\r\nHost: x\r\nX-Long: ${'x'.repeat(60_000)}\r\n\r\n`
    expect((await raw(headers)).split('\r\n')[0]).toBe('HTTP/1.1 431 Request Header Fields Too Large')
    expect((await raw('hello\r\n\r\n')).split('\r\n')[0]).toBe('HTTP/1.1 400 Bad Request')
  })

  it('is 413 where its body is longer than 100 MB', async () => {
    const head = 'POST /api/bytes HTTP/1.1\r\nHost: x\r\nContent-Length: 104857601\r\n\r\n'
    expect((await raw(head)).split('\r\n')[0]).toBe('HTTP/1.1 413 Payload Too Large')
  })
})

describe('a host with keys', () => {
  let locked: TestHost
  let lockedApp: FixtureApp
  let keys: HostKeys
  beforeAll(async () => {
    lockedApp = await writeApp({ 'dist/functions.js': functions })
    locked = await startTestHost(lockedApp, { auth: 'keys' })
    keys = JSON.parse(await readFile(keyFileOf(lockedApp.dataFolder), 'utf8')) as HostKeys
  })
  afterAll(async () => {
    await locked.stop()
    await lockedApp.remove()
  })

  const statusOf = async (path: string, key?: string) =>
    (await locked.fetch(path, key === undefined ? {} : { headers: { 'x-functions-key': key } })).status

  it('answers a bare 401 where a key is missing or wrong', async () => {
    expect(await bare(await locked.fetch('/api/locked'))).toEqual([401, '', null])
    expect(await statusOf('/api/locked', 'wrong')).toBe(401)
    expect(await statusOf('/api/locked', keys.functionKeys.foradmins)).toBe(401)
    expect(await statusOf('/api/forAdmins', keys.hostKey)).toBe(401)
    expect(await statusOf('/admin/host/status', keys.hostKey)).toBe(401)
    expect(await statusOf('/runtime/webhooks/durabletask/instances', keys.hostKey)).toBe(401)
  })

  it('opens by header and by query', async () => {
    expect(await statusOf('/api/locked', keys.functionKeys.locked)).toBe(200)
    expect(await statusOf(`/api/locked?code=${keys.hostKey}`)).toBe(200)
    expect(await statusOf('/api/forAdmins', keys.masterKey)).toBe(200)
    expect(await statusOf('/admin/host/status', keys.masterKey)).toBe(200)
    expect(await statusOf(`/runtime/webhooks/durabletask/instances?code=${keys.systemKey}`)).toBe(404)
    expect(await statusOf('/api/nothing')).toBe(204)
  })
})
