import { randomBytes } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createKeyVaultWrapper } from '../../shared/azure/key-vault-wrapper.ts'
import type { KeyWrapper, KeyWrapping } from '../../shared/ports/key-wrapper.ts'
import { type FakeKeyVault, type FakeKeyVersion, startFakeKeyVault } from '../support/fake-key-vault.ts'

let vault: FakeKeyVault
let version: FakeKeyVersion
let wrapper: KeyWrapper
const dataKey = randomBytes(32)

const wrapperFor = (url: string, token = vault.token): KeyWrapper =>
  createKeyVaultWrapper({
    credential: { getToken: async () => ({ token, expiresOnTimestamp: Date.now() + 3600_000 }) },
    keyUrls: [url],
  })

const wrap = async (): Promise<KeyWrapping> => {
  const wrapped = await wrapper.wrap(dataKey)
  if (wrapped.kind !== 'wrapped') throw new Error(wrapped.kind)
  return wrapped.wrapping
}

beforeEach(async () => {
  vault = await startFakeKeyVault()
  process.env.HTTPS_PROXY = vault.proxyUrl
  version = vault.addVersion('kek')
  wrapper = wrapperFor(`${vault.origin}/keys/kek`)
})
afterEach(async () => {
  delete process.env.HTTPS_PROXY
  await vault[Symbol.asyncDispose]()
})

describe('a key in Key Vault', () => {
  it('wraps with RSA-OAEP-256 in the service, by the URL of a version', async () => {
    const wrapping = await wrap()
    expect(wrapping).toMatchObject({ kind: 'key-vault', algorithm: 'RSA-OAEP-256', key: version.url })
    expect(vault.requests).toEqual([
      { method: 'GET', path: '/keys/kek/' },
      { method: 'POST', path: `/keys/kek/${version.version}/wrapkey` },
    ])
  })

  it('unwraps with one request and without the permission to get', async () => {
    const wrapping = await wrap()
    vault.permitted = new Set(['unwrapKey'])
    wrapper = wrapperFor(`${vault.origin}/keys/kek`)
    vault.requests.length = 0
    const opened = await wrapper.unwrap(wrapping)
    expect(opened.kind === 'unwrapped' && dataKey.equals(opened.dataKey)).toBe(true)
    expect(vault.requests).toEqual([{ method: 'POST', path: `/keys/kek/${version.version}/unwrapkey` }])
  })

  it('keeps to the version that the URL names', async () => {
    vault.addVersion('kek')
    wrapper = wrapperFor(version.url)
    expect((await wrap()).key).toBe(version.url)
  })

  it.each(['get', 'wrapKey'] as const)('is refused a wrap without the permission to %s', async (permission) => {
    vault.permitted.delete(permission)
    expect((await wrapper.wrap(dataKey)).kind).toBe('refused')
  })

  it('is refused an unwrap without the permission', async () => {
    const wrapping = await wrap()
    vault.permitted.delete('unwrapKey')
    expect(await wrapper.unwrap(wrapping)).toEqual({ kind: 'refused', key: version.url })
  })

  it('is refused where the token is not taken', async () => {
    wrapper = wrapperFor(`${vault.origin}/keys/kek`, 'other')
    expect((await wrapper.wrap(dataKey)).kind).toBe('refused')
  })

  it('does not wrap with a disabled version, although the service would', async () => {
    version.enabled = false
    expect((await wrapper.wrap(dataKey)).kind).toBe('key-disabled')
    expect(vault.requests.map(({ method }) => method)).toEqual(['GET'])
  })

  it('tells that the version is disabled by which it should unwrap', async () => {
    const wrapping = await wrap()
    version.enabled = false
    expect((await wrapper.unwrap(wrapping)).kind).toBe('key-disabled')
  })

  it('unwraps with an expired version, and does not wrap with it', async () => {
    const wrapping = await wrap()
    version.expires = 1
    wrapper = wrapperFor(`${vault.origin}/keys/kek`)
    expect((await wrapper.unwrap(wrapping)).kind).toBe('unwrapped')
    expect((await wrapper.wrap(dataKey)).kind).toBe('key-out-of-date')
  })

  it('does not wrap with a key that may not unwrap', async () => {
    version.operations = ['wrapKey']
    expect((await wrapper.wrap(dataKey)).kind).toBe('key-unsuitable')
  })

  it('unwraps again when a deleted key was recovered', async () => {
    const wrapping = await wrap()
    vault.remove('kek')
    expect((await wrapper.unwrap(wrapping)).kind).toBe('key-missing')
    vault.recover('kek')
    expect((await wrapper.unwrap(wrapping)).kind).toBe('unwrapped')
  })

  it('rides a lost connection and a short throttling out', async () => {
    const wrapping = await wrap()
    vault.answers.push('cut')
    expect((await wrapper.unwrap(wrapping)).kind).toBe('unwrapped')
    vault.answers.push({ status: 429, retryAfter: '0' })
    expect((await wrapper.unwrap(wrapping)).kind).toBe('unwrapped')
  })

  it('hands a long throttling on instead of sleeping', async () => {
    const wrapping = await wrap()
    vault.answers.push({ status: 429, retryAfter: '30' })
    const startedAt = performance.now()
    expect(await wrapper.unwrap(wrapping)).toEqual({ kind: 'throttled', key: version.url, retryAfterSeconds: 30 })
    expect(performance.now() - startedAt).toBeLessThan(20_000)
  })

  it('is unreachable where the service keeps failing', async () => {
    const wrapping = await wrap()
    vault.answers.push('cut', { status: 503 }, { status: 500 })
    expect(await wrapper.unwrap(wrapping)).toEqual({ kind: 'unreachable', key: version.url })
  })

  it('asks no host but those of the settings', async () => {
    const wrapping = await wrap()
    vault.requests.length = 0
    const foreign = [`${vault.origin}/keys/other/${version.version}`, 'https://evil.vault.azure.net/keys/kek/1', 'kek']
    for (const key of foreign) expect((await wrapper.unwrap({ ...wrapping, key })).kind).toBe('unknown-key')
    expect(vault.requests).toEqual([])
  })

  it('stops when its caller does', async () => {
    const wrapping = await wrap()
    const reason = new Error('enough')
    await expect(wrapper.unwrap(wrapping, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
  })
})
