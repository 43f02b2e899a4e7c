import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { readAppSettings, resolveSettings } from '../../../../local/host/app-settings.ts'
import { functionCatalog } from '../../../../local/host/function-catalog.ts'
import { readHostJson } from '../../../../local/host/host-json.ts'
import type { BindingMetadata } from '../../../../local/host/invocation.ts'
import { lineLog, withoutSecrets } from '../../../../local/host/log.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'settings-'))
})
afterEach(() => rm(folder, { recursive: true }))

const hostJson = async (content: unknown, settings: NodeJS.ProcessEnv = {}) => {
  await writeFile(path.join(folder, 'host.json'), typeof content === 'string' ? content : JSON.stringify(content))
  return readHostJson(folder, settings)
}

describe('host.json', () => {
  it('may be missing: the defaults of the real host', async () => {
    const cores = os.availableParallelism()
    expect(await readHostJson(folder, {})).toEqual({
      routePrefix: 'api',
      functionTimeoutSeconds: 1800,
      hubName: 'TestHubName',
      maxConcurrentActivityFunctions: 10 * cores,
      maxConcurrentOrchestratorFunctions: 10 * cores,
    })
  })

  it('gives prefix, timeout, hub and concurrency; what is unknown is left alone', async () => {
    const durableTask = { hubName: '%HUB%', maxConcurrentActivityFunctions: 3, tracing: { any: true } }
    const content = {
      version: '2.0',
      functionTimeout: '-1',
      extensionBundle: { id: 'x' },
      extensions: { http: { routePrefix: '/v1/' }, durableTask },
    }
    expect(await hostJson(content, { HUB: 'Backups' })).toMatchObject({
      routePrefix: 'v1',
      functionTimeoutSeconds: null,
      hubName: 'Backups',
      maxConcurrentActivityFunctions: 3,
    })
  })

  it.each([
    ['{', /host\.json is not valid JSON/],
    [{ version: '1.0' }, /host\.json: version:/],
    [{ version: '2.0', functionTimeout: '5 minutes' }, /functionTimeout: "5 minutes" is neither/],
    [{ version: '2.0', extensions: { http: { routePrefix: 1 } } }, /host\.json: extensions\.http\.routePrefix:/],
    [{ version: '2.0', extensions: { durableTask: { hubName: '%NONE%' } } }, /app setting NONE, which is not set/],
  ])('%j is refused, naming the place', async (content, message) => {
    await expect(hostJson(content)).rejects.toThrow(message)
  })
})

describe('app settings', () => {
  it('come from local.settings.json, and the environment wins', async () => {
    const values = { A: 'file', B: 'file' }
    await writeFile(path.join(folder, 'local.settings.json'), `\uFEFF${JSON.stringify({ Values: values, Host: {} })}`)
    expect(await readAppSettings(folder, { B: 'environment', C: 'environment' })).toEqual({
      A: 'file',
      B: 'environment',
      C: 'environment',
    })
  })

  it('that are not strings are refused, naming the setting', async () => {
    await writeFile(path.join(folder, 'local.settings.json'), JSON.stringify({ Values: { A: 1 } }))
    await expect(readAppSettings(folder, {})).rejects.toThrow(/local\.settings\.json: Values\.A: .*strings/)
  })

  it('stand in for %NAME%', () => {
    expect(resolveSettings('0 %MINUTES% * * * *', { MINUTES: '*/5' })).toBe('0 */5 * * * *')
  })
})

describe('the catalog of functions', () => {
  const one = (...bindings: BindingMetadata[]) => [{ name: 'One', bindings, retries: false }]
  const trigger = (type: string, settings = {}): BindingMetadata => ({ type, direction: 'in', name: 't', ...settings })

  it('gives HTTP functions the defaults of the real host', () => {
    const response: BindingMetadata = { type: 'http', direction: 'out', name: '$return' }
    expect(functionCatalog(one(trigger('httpTrigger'), response), 'Hub')).toEqual([
      {
        kind: 'http',
        name: 'One',
        triggerName: 't',
        clientNames: [],
        route: 'One',
        methods: ['GET', 'POST'],
        authLevel: 'anonymous',
      },
    ])
  })

  it.each([
    [one(trigger('queueTrigger')), /"One" cannot be served: its trigger "queueTrigger"/],
    [one(trigger('entityTrigger')), /its trigger "entityTrigger"/],
    [one(trigger('timerTrigger'), { type: 'queue', direction: 'out', name: 'q' }), /out binding "queue"/],
    [one(trigger('timerTrigger'), { type: 'durableClient', direction: 'in', name: 'c', taskHub: 'Other' }), /"Other"/],
    [one(trigger('httpTrigger', { authLevel: 'user' })), /authLevel "user"/],
    [[{ ...one(trigger('timerTrigger'))[0]!, retries: true }], /retry policy/],
    [one(), /it has no trigger/],
    [[], /registered no functions/],
  ])('refuses what this host does not serve (%#)', (registered, message) => {
    expect(() => functionCatalog(registered, 'Hub')).toThrow(message)
  })
})

describe('the log', () => {
  it('hides signatures, keys and tokens', () => {
    const text =
      'GET https://a/b?sv=1&sig=abc%2F&x=1 code: /api?code=K3y Bearer eyJhbGciOiJSUzI1NiJ9.x AccountKey=q+/=;E=1'
    expect(withoutSecrets(text)).toBe('GET https://a/b?sv=1&sig=…&x=1 code: /api?code=… Bearer … AccountKey=…;E=1')
  })

  it('is lines of JSON for programs, without what is below its level', () => {
    const lines: string[] = []
    const log = lineLog((line) => lines.push(line), 'json', 'warning')
    log({ level: 'information', category: 'A', message: 'no' })
    log({ level: 'error', category: 'A', message: 'yes', invocationId: 'i' })
    expect(lines.map((line) => JSON.parse(line))).toEqual([
      { time: expect.any(String), level: 'error', category: 'A', message: 'yes', invocationId: 'i' },
    ])
  })
})
