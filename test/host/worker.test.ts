import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { eventually, type FixtureApp, startTestHost, type TestHost, writeApp } from './fixture-app.ts'

let app: FixtureApp | undefined
let host: TestHost | undefined

const start = async (files: Readonly<Record<string, string>>, overrides: Parameters<typeof startTestHost>[1] = {}) => {
  app = await writeApp(files)
  host = await startTestHost(app, overrides)
  return host
}

const startFails = async (files: Readonly<Record<string, string>>): Promise<string> =>
  start(files).then(
    () => 'it started',
    (error: Error) => error.message,
  )

afterEach(async () => {
  await host?.stop()
  await app?.remove()
  host = undefined
  app = undefined
})

const http = (name: string, handler: string) => `app.http('${name}', { handler: ${handler} })\n`
const imports = `import { app } from '@azure/functions'\n`

const hostJson = (functionTimeout: string) => ({ 'host.json': JSON.stringify({ version: '2.0', functionTimeout }) })

const slow = (milliseconds: number) => `async () => {
  await new Promise((resolve) => setTimeout(resolve, ${milliseconds}))
  return { body: String(process.pid) }
}`
const pid = '() => ({ body: String(process.pid) })'

describe('a worker that dies', () => {
  it('takes its invocations with it, and the next one serves', async () => {
    const running = await start({ 'dist/f.js': imports + http('slow', slow(20_000)) + http('pid', pid) })
    const first = await running.workerPid()
    const lost = running.fetch('/api/slow')
    await eventually(() => running.logs.some(({ message }) => message.startsWith('Executing (GET /api/slow)')))
    process.kill(first, 'SIGKILL')
    expect((await lost).status).toBe(500)
    const next = await (await running.fetch('/api/pid')).text()
    expect(next).not.toBe(String(first))
    expect(running.logs.map(({ message }) => message)).toContainEqual(
      expect.stringContaining('Failed: the worker process ended (exit code 137)'),
    )
  })

  it('by a throw outside any invocation is replaced too', async () => {
    const handler = `() => { setTimeout(() => { throw new Error('later') }, 5); return { body: 'ok' } }`
    const running = await start({ 'dist/f.js': imports + http('late', handler) + http('pid', pid) })
    const first = await running.workerPid()
    await running.fetch('/api/late')
    await eventually(() => running.logs.some(({ message }) => message.includes('exit code 1')))
    expect(await (await running.fetch('/api/pid')).text()).not.toBe(String(first))
    expect(running.logs.some(({ message }) => message.includes('Error: later'))).toBe(true)
  })

  it('ends the host where the app can no longer be loaded', async () => {
    let reason: Error | undefined
    const marker = 'import fs from "node:fs"\nif (fs.existsSync("broken")) throw new Error("broken now")\n'
    const breaks = `() => { fs.writeFileSync('broken', ''); process.exit(3) }`
    const running = await start(
      { 'dist/f.js': imports + marker + http('breaks', breaks) },
      {
        onGivenUp: (error) => {
          reason = error
        },
      },
    )
    expect((await running.fetch('/api/breaks')).status).toBe(500)
    await eventually(() => reason !== undefined)
    expect(reason?.message).toMatch(/failed to start 5 times in a row/)
  })
})

describe('a function timeout', () => {
  it('ends the function and the process it ran in, siblings included', async () => {
    const files = { 'dist/f.js': imports + http('slow', slow(60_000)) + http('pid', pid), ...hostJson('00:00:01') }
    const running = await start(files)
    const first = await running.workerPid()
    const timedOut = running.fetch('/api/slow')
    await new Promise((resolve) => setTimeout(resolve, 300))
    const sibling = running.fetch('/api/slow')
    expect([(await timedOut).status, (await sibling).status]).toEqual([500, 500])
    const endings = running.logs
      .filter(({ message }) => message.includes('ms: Failed'))
      .map(({ message }) => message.split(': ')[2])
    expect(endings).toEqual(['timed out after 1 s', 'the worker process ended (exit code 137)'])
    expect(await (await running.fetch('/api/pid')).text()).not.toBe(String(first))
  })

  it('also ends a function that never yields', async () => {
    const running = await start({
      'dist/f.js': imports + http('spin', '() => { for (;;); }') + http('pid', pid),
      ...hostJson('00:00:01'),
    })
    expect((await running.fetch('/api/spin')).status).toBe(500)
    expect((await running.fetch('/api/pid')).status).toBe(200)
  })
})

describe('an app', () => {
  it('is blocked as a whole by one file that throws on load, which is named', async () => {
    const message = await startFails({
      'dist/a.js': imports + http('fine', pid),
      'dist/b.js': 'throw new TypeError("no such setting")',
    })
    expect(message).toMatch(/unable to load entry point "dist\/b\.js": TypeError: no such setting/)
  })

  it('is refused where main matches nothing, has no functions, or is not there', async () => {
    expect(await startFails({})).toMatch(/No file matches "main" of package\.json \("dist\/\*\.js"/)
    expect(await startFails({ 'dist/f.js': '' })).toMatch(/registered no functions/)
    expect(await startFails({ 'package.json': '{}' })).toMatch(/has no "main"/)
  })

  it('is refused where it asks for a trigger or a mode that is not served', async () => {
    const queue = `app.storageQueue('q', { queueName: 'x', connection: 'y', handler: () => {} })\n`
    expect(await startFails({ 'dist/f.js': imports + queue })).toMatch(
      /Function "q" cannot be served: its trigger "queueTrigger"/,
    )
    const streams = `app.setup({ enableHttpStream: true })\n`
    expect(await startFails({ 'dist/f.js': imports + streams + http('pid', pid) })).toMatch(/enableHttpStream/)
    const timer = `app.timer('t', { schedule: 'often', handler: () => {} })\n`
    expect(await startFails({ 'dist/f.js': imports + timer })).toMatch(/Function "t": The schedule "often" is neither/)
  })

  it('is refused where a name is registered twice', async () => {
    expect(await startFails({ 'dist/f.js': imports + http('pid', pid) + http('PID', pid) })).toMatch(
      /"PID" has already been/,
    )
  })

  it('may be CommonJS', async () => {
    const files = {
      'package.json': JSON.stringify({ main: './dist/index.js' }),
      'dist/index.js': `const { app } = require('@azure/functions')\n${http('pid', pid)}`,
    }
    expect((await (await start(files)).fetch('/api/pid')).status).toBe(200)
  })

  it('sees its settings: the environment, then local.settings.json, and where the host is', async () => {
    const body = `() => ({ jsonBody: ['A', 'B', 'WEBSITE_HOSTNAME', 'FUNCTIONS_WORKER_RUNTIME'].map((n) => process.env[n]) })`
    const running = await start(
      { 'dist/f.js': imports + http('env', body), 'local.settings.json': '{"Values":{"A":"file","B":"file"}}' },
      { environment: { A: 'process' } },
    )
    const seen = await (await running.fetch('/api/env')).json()
    expect(seen).toEqual(['process', 'file', `127.0.0.1:${running.port}`, 'node'])
  })
})

describe('hooks', () => {
  const hooked = `
import { writeFileSync } from 'node:fs'
app.hook.appStart(() => console.log('app starts'))
app.hook.appTerminate(() => writeFileSync('ended', 'yes'))
app.hook.preInvocation((context) => {
  context.hookData.began = true
  const handler = context.functionHandler
  context.functionHandler = async (...inputs) => ({ body: 'wrapped ' + (await handler(...inputs)).body })
})
app.hook.postInvocation((context) => {
  if (context.error) { context.result = { body: 'healed ' + context.hookData.began }; context.error = null }
})
`

  it('run at start, around each invocation, and at the end', async () => {
    const running = await start({
      'dist/f.js':
        imports + hooked + http('fine', `() => ({ body: 'fine' })`) + http('bad', `() => { throw new Error('x') }`),
    })
    expect(await (await running.fetch('/api/fine')).text()).toBe('wrapped fine')
    expect(await (await running.fetch('/api/bad')).text()).toBe('healed true')
    expect(running.logs.some(({ message }) => message === 'app starts')).toBe(true)
    await running.stop()
    expect(await readFile(path.join(app!.appFolder, 'ended'), 'utf8')).toBe('yes')
  })

  it('that throw at app start block the app', async () => {
    const hook = `app.hook.appStart(() => { throw new Error('VAULT_URL is missing') })\n`
    expect(await startFails({ 'dist/f.js': imports + hook + http('pid', pid) })).toBe('VAULT_URL is missing')
  })
})

describe('a fault switch', () => {
  const work = `import * as df from 'durable-functions'\n`
  const activity = `df.app.activity('work', { handler: async (_, context) => { context.log(process.pid); await new Promise((r) => setTimeout(r, 200)) } })\n`

  it('kills the worker in the middle of the n-th call of an activity, once', async () => {
    const running = await start(
      { 'dist/f.js': imports + work + activity },
      { environment: { DELTAVAULT_HOST_FAULT: 'kill-worker:activity=Work:call=2' } },
    )
    const call = () =>
      running.fetch('/admin/functions/work', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: '{"input":"1"}',
      })
    const endings = () =>
      running.logs.flatMap(({ category, message }) => {
        const ending = category === 'Function.work' ? /ms: (Succeeded|Failed.*)$/.exec(message) : null
        return ending === null ? [] : [ending[1]]
      })
    for (let count = 1; count <= 4; count += 1) {
      await call()
      await eventually(() => endings().length === count)
    }
    const died = 'Failed: the worker process ended (exit code 137)'
    expect(endings()).toEqual(['Succeeded', died, 'Succeeded', 'Succeeded'])
    expect(new Set(running.userLogs()).size).toBe(2)
  })
})
