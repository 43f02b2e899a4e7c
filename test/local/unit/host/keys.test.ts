import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type HostKeys, keyFileOf, loadKeys, opens, presentedKey } from '../../../../local/host/http/keys.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'keys-'))
})
afterEach(() => rm(folder, { recursive: true }))

describe('the keys of a data folder', () => {
  it('are made once and come back', async () => {
    const first = await loadKeys(folder, ['Start'])
    expect(await loadKeys(folder, ['start'])).toEqual(first)
    expect(Object.keys(first.functionKeys)).toEqual(['start'])
  })

  it('grow by the key of a new function only', async () => {
    const first = await loadKeys(folder, ['a'])
    const second = await loadKeys(folder, ['a', 'b'])
    expect(second).toMatchObject({ ...first, functionKeys: { a: first.functionKeys.a, b: expect.any(String) } })
  })

  it('can be read by their owner only', async () => {
    await loadKeys(folder, [])
    expect((await stat(keyFileOf(folder))).mode & 0o777).toBe(0o600)
    expect(JSON.parse(await readFile(keyFileOf(folder), 'utf8')).masterKey).toMatch(/^[\w-]{54}$/)
  })
})

describe('a lock', () => {
  const keys: HostKeys = { masterKey: 'm', hostKey: 'h', systemKey: 's', functionKeys: { a: 'fa', b: 'fb' } }
  const locks = {
    anonymous: { level: 'anonymous', functionName: 'A' },
    function: { level: 'function', functionName: 'A' },
    adminFunction: { level: 'admin', functionName: 'A' },
    adminRoutes: { level: 'admin', functionName: null },
    durable: { level: 'system', functionName: null },
  } as const

  it.each([
    ['m', ['anonymous', 'function', 'adminFunction', 'adminRoutes', 'durable']],
    ['h', ['anonymous', 'function']],
    ['fa', ['anonymous', 'function']],
    ['fb', ['anonymous']],
    ['s', ['anonymous', 'durable']],
    ['', ['anonymous']],
    [null, ['anonymous']],
  ])('is opened by the key %s: %j', (key, opened) => {
    expect(
      Object.entries(locks)
        .filter(([, lock]) => opens(keys, key, lock))
        .map(([name]) => name),
    ).toEqual(opened)
  })

  it('does not lock where keys are off', () => {
    expect(opens(null, null, locks.adminRoutes)).toBe(true)
  })

  it('takes the header before the query parameter', () => {
    const request = (headers: Record<string, string>) => ({ headers }) as unknown as IncomingMessage
    const query = new URLSearchParams('code=q')
    expect(presentedKey(request({ 'x-functions-key': 'h' }), query)).toBe('h')
    expect(presentedKey(request({}), query)).toBe('q')
    expect(presentedKey(request({}), new URLSearchParams())).toBeNull()
  })
})
