import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eventually, type FixtureApp, startTestHost, type TestHost, writeApp } from './fixture-app.ts'

const functions = `
import { app } from '@azure/functions'
import * as df from 'durable-functions'

app.timer('everySecond', { schedule: '%SECONDS% * * * * *', handler: (timer, context) => context.log(JSON.stringify(timer)) })
app.timer('yearly', { schedule: '0 0 0 1 1 *', handler: (timer, context) => {
  context.log(timer.isPastDue, timer.schedule.adjustForDST, timer.scheduleStatus.next)
  console.log('on the console')
} })
app.http('web', { handler: () => ({}) })
df.app.orchestration('story', function* () { return 1 })
df.app.activity('work', { handler: (input, context) => context.log('input', JSON.stringify(input)) })
`

let app: FixtureApp
let host: TestHost
beforeAll(async () => {
  const settings = { IsEncrypted: false, Values: { SECONDS: '*/1', WEBSITE_TIME_ZONE: 'UTC' } }
  app = await writeApp({ 'dist/functions.js': functions, 'local.settings.json': JSON.stringify(settings) })
  host = await startTestHost(app)
})
afterAll(async () => {
  await host.stop()
  await app.remove()
})

const run = (name: string, body: string, type = 'application/json') =>
  host.fetch(`/admin/functions/${name}`, { method: 'POST', headers: { 'content-type': type }, body })

describe('a timer trigger', () => {
  it('fires by its schedule, without a status where it fires more than once a minute', async () => {
    await eventually(() => host.userLogs().filter((line) => line.startsWith('everySecond')).length >= 2)
    expect(host.userLogs()).toContain(
      'everySecond: {"schedule":{"adjustForDST":true},"scheduleStatus":null,"isPastDue":false}',
    )
  })

  it('is run by hand with 202, and sees its status', async () => {
    const response = await run('YEARLY', '{"input":""}')
    expect([response.status, await response.text()]).toEqual([202, ''])
    const year = new Date().getUTCFullYear() + 1
    await eventually(() => host.userLogs().some((line) => line.startsWith('yearly')))
    expect(host.userLogs()).toContain(`yearly: false true ${year}-01-01T00:00:00.000+00:00`)
  })

  it('leaves what the app prints in the log', async () => {
    await eventually(() => host.logs.some(({ message }) => message === 'on the console'))
    expect(host.logs.find(({ message }) => message === 'on the console')?.category).toBe('Host.Function.Console')
  })
})

describe('the admin routes', () => {
  it('run an activity with its input', async () => {
    expect((await run('work', '{"input":"{\\"a\\":1}"}')).status).toBe(202)
    await eventually(() => host.userLogs().includes('work: input {"a":1}'))
  })

  it.each([
    ['yearly', '', 400],
    ['yearly', '{"input":1}', 400],
    ['web', '{"input":""}', 400],
    ['story', '{"input":""}', 400],
    ['none', '{"input":""}', 404],
  ])('answer a run of %s with %j by %i', async (name, body, status) => {
    expect((await run(name, body)).status).toBe(status)
  })

  it('want JSON', async () => {
    expect((await run('yearly', 'input=', 'application/x-www-form-urlencoded')).status).toBe(415)
  })

  it('list the functions', async () => {
    const list = (await (await host.fetch('/admin/functions')).json()) as {
      name: string
      invoke_url_template: string
    }[]
    expect(list.map(({ name }) => name)).toEqual(['everySecond', 'yearly', 'web', 'story', 'work'])
    expect(list[2]!.invoke_url_template).toBe(`${host.origin}/api/web`)
  })

  it('tell state, version and the memory of the worker', async () => {
    const status = await (await host.fetch('/admin/host/status')).json()
    expect(status).toMatchObject({ state: 'Running', pid: process.pid, workers: [{ pid: expect.any(Number) }] })
    const [worker] = (status as { workers: { rssBytes: number | null; peakRssBytes: number | null }[] }).workers
    if (process.platform === 'linux') expect(worker!.peakRssBytes).toBeGreaterThan(20_000_000)
  })
})
