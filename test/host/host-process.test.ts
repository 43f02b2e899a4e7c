import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import net from 'node:net'
import path from 'node:path'
import { finished } from 'node:stream/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { keyFileOf } from '../../local/host/http/keys.ts'
import { eventually, type FixtureApp, writeApp } from './fixture-app.ts'

/** The host as users run it: a process of its own, forked so that it reports when it is ready. */

const mainFile = path.resolve(import.meta.dirname, '../../local/host/main.ts')

const functions = `
import { writeFileSync } from 'node:fs'
import { app } from '@azure/functions'
import * as df from 'durable-functions'

// Like a socket that an app keeps open: by itself this process would never end.
setInterval(() => {}, 1000)
app.hook.appTerminate(() => writeFileSync('ended', 'yes'))
app.http('pid', { handler: () => ({ body: String(process.pid) }) })
app.http('slow', { handler: async () => { await new Promise((resolve) => setTimeout(resolve, 1000)); return { body: 'answered' } } })
app.http('start', { route: 'start/{id}', methods: ['POST'], extraInputs: [df.input.durableClient()],
  handler: async (request, context) => {
    const client = df.getClient(context)
    await client.startNew('story', { instanceId: request.params.id, input: { count: 3, attempts: Number(request.query.get('attempts') ?? 3) } })
    return client.createCheckStatusResponse(request, request.params.id)
  } })
df.app.orchestration('story', function* (context) {
  const said = []
  const { count, attempts } = context.df.getInput()
  for (let n = 0; n < count; n += 1) said.push(yield context.df.callSubOrchestrator('part', { n, attempts }))
  return said
})
df.app.orchestration('part', function* (context) {
  const input = context.df.getInput()
  try { return yield context.df.callActivityWithRetry('work', new df.RetryOptions(1, input.attempts), input) }
  catch (error) { return 'failed: ' + error.message }
})
df.app.activity('work', { handler: async ({ n }) => { await new Promise((resolve) => setTimeout(resolve, 100)); return 'done ' + n } })
`

interface Host {
  readonly child: ChildProcess
  readonly origin: string
  readonly exited: Promise<number | NodeJS.Signals>
  output(): string
}

let app: FixtureApp
let hosts: Host[]

const begin = (args: readonly string[], environment: NodeJS.ProcessEnv) => {
  const all = ['--app', app.appFolder, '--data', app.dataFolder, ...args]
  const child = fork(mainFile, all, { silent: true, execArgv: [], env: { PATH: process.env.PATH, ...environment } })
  let output = ''
  for (const stream of [child.stdout!, child.stderr!])
    stream.on('data', (chunk) => {
      output += chunk
    })
  // Not `close`: Node leaves that event out where the parent itself has closed the channel.
  const streamsEnd = Promise.all([finished(child.stdout!), finished(child.stderr!)])
  const exited = once(child, 'exit').then(async ([code, signal]) => {
    await streamsEnd
    return (code ?? signal) as number | NodeJS.Signals
  })
  return { child, exited, output: () => output }
}

const start = async (args: readonly string[] = ['--port', '0'], environment: NodeJS.ProcessEnv = {}): Promise<Host> => {
  const begun = begin(args, environment)
  const ready = once(begun.child, 'message').then(([message]) => message as { ready: boolean; port: number })
  const message = await Promise.race([ready, begun.exited])
  if (typeof message !== 'object' || !message.ready) throw new Error(`The host did not start: ${begun.output()}`)
  const host = { ...begun, origin: `http://127.0.0.1:${message.port}` }
  hosts.push(host)
  return host
}

/** A process that has ended may stay in the table until somebody asks for its exit code: it does not count. */
const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
  } catch {
    return false
  }
  const status = `/proc/${pid}/status`
  return !existsSync(status) || !/^State:\s+Z/m.test(readFileSync(status, 'utf8'))
}

const workerPid = async (host: Host): Promise<number> => Number(await (await fetch(`${host.origin}/api/pid`)).text())

const startStory = (host: Host, id: string) => fetch(`${host.origin}/api/start/${id}`, { method: 'POST' })

interface InstanceStatus {
  readonly runtimeStatus: string
  readonly output: unknown
}

const statusOf = async (host: Host, id: string): Promise<InstanceStatus> =>
  (await (await fetch(`${host.origin}/runtime/webhooks/durabletask/instances/${id}`)).json()) as InstanceStatus

const ended = async (host: Host, id: string): Promise<InstanceStatus> => {
  await eventually(async () => !['Pending', 'Running'].includes((await statusOf(host, id)).runtimeStatus))
  return statusOf(host, id)
}

beforeEach(async () => {
  app = await writeApp({ 'dist/functions.js': functions })
  hosts = []
})
afterEach(async () => {
  for (const { child, exited } of hosts) {
    child.kill('SIGKILL')
    await exited
  }
  await app.remove()
})

describe('the process of the host', () => {
  it('prints a line per function and one when it is ready', async () => {
    const host = await start()
    await eventually(() => host.output().includes('Host ready'))
    const lines = host.output().split('\n')
    expect(lines).toContain(`  pid: [GET,POST] ${host.origin}/api/pid`)
    expect(lines).toContain('  story: orchestrationTrigger')
    expect(lines).toContain(`Host ready on ${host.origin} (pid ${host.child.pid})`)
  })

  it.each(['SIGTERM', 'SIGINT'] as const)(
    'ends in order on %s: what runs is answered, then app-terminate hooks run',
    async (signal) => {
      const host = await start()
      const worker = await workerPid(host)
      const answer = fetch(`${host.origin}/api/slow`)
      await eventually(() => host.output().includes('Executing (GET /api/slow)'))
      // A terminal sends its interrupt to all processes of the group.
      if (signal === 'SIGINT') process.kill(worker, signal)
      host.child.kill(signal)
      expect(await (await answer).text()).toBe('answered')
      expect(await host.exited).toBe(0)
      expect(await readFile(path.join(app.appFolder, 'ended'), 'utf8')).toBe('yes')
      expect(isAlive(worker)).toBe(false)
    },
  )

  it('takes its worker along when it is killed', async () => {
    const host = await start()
    const worker = await workerPid(host)
    host.child.kill('SIGKILL')
    await eventually(() => !isAlive(worker))
    expect(existsSync(path.join(app.appFolder, 'ended'))).toBe(false)
  })

  it('ends in order when its parent is gone', async () => {
    const host = await start()
    host.child.disconnect()
    expect(await host.exited).toBe(0)
    expect(existsSync(path.join(app.appFolder, 'ended'))).toBe(true)
  })

  it('says what to do where its port or its data folder is taken, and where it is called wrongly', async () => {
    const holder = net.createServer().listen(0, '127.0.0.1')
    await once(holder, 'listening')
    const { port } = holder.address() as net.AddressInfo
    const busy = begin(['--port', String(port)], {})
    expect(await busy.exited).toBe(1)
    holder.close()
    expect(busy.output()).toMatch(
      new RegExp(`^Port ${port} is in use\\. Stop the program .* or choose another port with --port`),
    )

    await start()
    const second = begin(['--port', '0'], {})
    const [told] = (await once(second.child, 'message')) as [{ error: string }]
    expect(await second.exited).toBe(1)
    expect(second.output()).toContain(told.error)
    expect(second.output()).toMatch(/Another host is running on the data folder .* name another folder with --data/)

    const wrong = begin(['--port', 'many'], {})
    expect(await wrong.exited).toBe(1)
    expect(wrong.output()).toMatch(/^Usage: node local\/host\/main\.ts/)
  })

  it('locks its routes with --auth keys, and tells where the keys are, not what they are', async () => {
    const host = await start(['--port', '0', '--auth', 'keys'])
    await eventually(() => host.output().includes(`Keys are in ${keyFileOf(app.dataFolder)}`))
    const { masterKey, systemKey } = JSON.parse(await readFile(keyFileOf(app.dataFolder), 'utf8'))
    const instances = `${host.origin}/runtime/webhooks/durabletask/instances`
    expect((await fetch(instances)).status).toBe(401)
    const started = await startStory(host, 'locked')
    const { statusQueryGetUri } = (await started.json()) as { statusQueryGetUri: string }
    expect((await fetch(statusQueryGetUri)).ok).toBe(true)
    expect((await fetch(`${instances}?code=${masterKey}`)).status).toBe(200)
    for (const key of [masterKey, systemKey]) expect(host.output()).not.toContain(key)
  })
})

describe('orchestrations on the host', () => {
  const done = { runtimeStatus: 'Completed', output: ['done 0', 'done 1', 'done 2'] }

  it('run through the app own client', async () => {
    const host = await start()
    const response = await startStory(host, 'one')
    expect(response.status).toBe(202)
    expect(await ended(host, 'one')).toMatchObject(done)
  })

  it('go on after the host was killed and started again', async () => {
    const first = await start()
    await startStory(first, 'two?attempts=1')
    await new Promise((resolve) => setTimeout(resolve, 150))
    first.child.kill('SIGKILL')
    await first.exited
    const second = await start()
    expect(await ended(second, 'two')).toMatchObject(done)
  })

  it('go on after the host was ended in order and started again', async () => {
    const first = await start()
    await startStory(first, 'three?attempts=1')
    await new Promise((resolve) => setTimeout(resolve, 150))
    first.child.kill('SIGTERM')
    expect(await first.exited).toBe(0)
    const second = await start()
    expect(await ended(second, 'three')).toMatchObject(done)
  })

  it('retry an activity whose worker died', async () => {
    const host = await start(undefined, { DELTAVAULT_HOST_FAULT: 'kill-worker:activity=work:call=2' })
    await startStory(host, 'four')
    expect(await ended(host, 'four')).toMatchObject(done)
    expect(host.output()).toMatch(/work: error: Executed in \d+ ms: Failed: the worker process ended \(exit code 137\)/)
  })

  it('fail where the worker died between trigger and answer, once; the same start again is done', async () => {
    const fault = { DELTAVAULT_HOST_FAULT: 'kill-worker:orchestrator=story:trigger=2' }
    const host = await start(undefined, fault)
    await startStory(host, 'five')
    expect((await ended(host, 'five')).runtimeStatus).toBe('Failed')
    await startStory(host, 'five')
    expect(await ended(host, 'five')).toMatchObject(done)
  })

  it('go on where a fault killed the host itself; the fault does not strike again', async () => {
    const fault = { DELTAVAULT_HOST_FAULT: 'kill-host:activity=work:call=2' }
    const first = await start(undefined, fault)
    await startStory(first, 'six?attempts=1')
    expect(await first.exited).toBe('SIGKILL')
    const second = await start(undefined, fault)
    expect(await ended(second, 'six')).toMatchObject(done)
  })
})
