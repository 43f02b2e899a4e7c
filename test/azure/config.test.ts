import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { loadConfig } from '../../shared/config.ts'

const key = 'c2VjcmV0LWtleS10aGF0LW5vYm9keS1tYXktc2Vl'
const subscription = '0b1f6471-1bf0-4dda-aec3-cb9272f09590'
const least = {
  AZURE_SUBSCRIPTION_IDS: subscription,
  VaultStorage: `DefaultEndpointsProtocol=https;AccountName=a;AccountKey=${key}`,
}

describe('the configuration', () => {
  it('needs two settings and has a default for every other', () => {
    expect(loadConfig(least)).toEqual({
      kind: 'ok',
      config: {
        subscriptionIds: [subscription],
        armEndpoint: 'https://management.azure.com',
        identityClientId: null,
        storage: {
          connection: { kind: 'connectionString', connectionString: least.VaultStorage },
          vaultContainer: 'vault',
          controlContainer: 'control',
        },
        keys: { wrapWith: 'none', keyFile: null, keyVaultKeyUrls: [] },
        sliceBytes: 2048 * 1024 * 1024,
        lanesMax: 4,
        windowHours: 24,
        jobDays: 400,
        accessSeconds: 86_400,
      },
    })
  })

  it('takes an identity for the vault, by the convention of Functions', () => {
    const loaded = loadConfig({
      AZURE_SUBSCRIPTION_IDS: `${subscription}, ${subscription} ,`,
      VaultStorage__blobServiceUri: 'https://a.blob.core.windows.net/',
      VaultStorage__clientId: subscription,
      AZURE_RESOURCE_MANAGER_ENDPOINT: 'https://127.0.0.1:8443/',
    })
    expect(loaded).toMatchObject({
      kind: 'ok',
      config: {
        subscriptionIds: [subscription, subscription],
        armEndpoint: 'https://127.0.0.1:8443',
        storage: {
          connection: { kind: 'identity', blobServiceUri: 'https://a.blob.core.windows.net', clientId: subscription },
        },
      },
    })
  })

  it.each(['BACKUP_SWEEP_SCHEDULE', 'MAINTENANCE_SCHEDULE'])('wants six fields of %s, or a time span', (setting) => {
    for (const text of ['0 */5 * * * *', '00:05:00'])
      expect(loadConfig({ ...least, [setting]: text })).toMatchObject({ kind: 'ok' })
    const fix = expect.stringContaining('six fields')
    expect(loadConfig({ ...least, [setting]: '*/5 * * * *' })).toEqual({
      kind: 'problems',
      problems: [{ setting, problem: 'does not have six fields', fix }],
    })
  })

  it('lists every problem at once, each with its setting and its fix', () => {
    const loaded = loadConfig({
      AZURE_SUBSCRIPTION_IDS: 'production',
      AZURE_RESOURCE_MANAGER_ENDPOINT: 'http://plain',
      AZURE_CLIENT_ID: 'me',
      VAULT_CONTAINER: 'Vault',
      VAULT_TIER_SEGMENTS: 'Archive',
      CONTROL_CONTAINER: 'a',
      VAULT_KEY: 'keyvault',
      KEY_FILE: 'wrapping.key',
      KEY_VAULT_KEY_URL: 'https://v.vault.azure.net/secrets/kek',
      SLICE_MIB: '1.5',
      LANES_MAX: '0',
      WINDOW_HOURS: 'day',
      JOB_DAYS: '29',
      ACCESS_SECONDS: '9999999',
    })
    if (loaded.kind !== 'problems') throw new Error('problems were expected')
    expect(loaded.problems.map(({ setting }) => setting).sort()).toEqual([
      'ACCESS_SECONDS',
      'AZURE_CLIENT_ID',
      'AZURE_RESOURCE_MANAGER_ENDPOINT',
      'AZURE_SUBSCRIPTION_IDS',
      'CONTROL_CONTAINER',
      'JOB_DAYS',
      'KEY_FILE',
      'KEY_VAULT_KEY_URL',
      'LANES_MAX',
      'SLICE_MIB',
      'VAULT_CONTAINER',
      'VAULT_KEY',
      'VAULT_TIER_SEGMENTS',
      'VaultStorage',
      'WINDOW_HOURS',
    ])
    for (const { problem, fix } of loaded.problems) {
      expect(problem).toMatch(/^(is|names) /)
      expect(fix).toMatch(/^[A-Z].*\.$/)
    }
  })

  it.each([
    ['a key file', { VAULT_KEY: 'file', KEY_FILE: '/keys/kek' }, { wrapWith: 'file', keyFile: '/keys/kek' }],
    [
      'a Key Vault key, of whatever version',
      { VAULT_KEY: 'key-vault', KEY_VAULT_KEY_URL: 'https://v.vault.azure.net/keys/kek' },
      { wrapWith: 'key-vault', keyVaultKeyUrls: ['https://v.vault.azure.net/keys/kek'] },
    ],
    [
      'earlier keys beside the one that wraps',
      {
        VAULT_KEY: 'key-vault',
        KEY_FILE: '/keys/kek',
        KEY_VAULT_KEY_URL: 'https://v.managedhsm.azure.net/keys/new/0a, https://w.vault.azure.net/keys/old',
      },
      {
        wrapWith: 'key-vault',
        keyFile: '/keys/kek',
        keyVaultKeyUrls: ['https://v.managedhsm.azure.net/keys/new/0a', 'https://w.vault.azure.net/keys/old'],
      },
    ],
    ['a key that only reads', { VAULT_KEY: 'none', KEY_FILE: '/keys/kek' }, { wrapWith: 'none', keyFile: '/keys/kek' }],
  ])('takes %s for the vault', (_, settings, keys) => {
    expect(loadConfig({ ...least, ...settings })).toMatchObject({ kind: 'ok', config: { keys } })
  })

  it('counts an empty setting as missing', () => {
    const loaded = loadConfig({ ...least, AZURE_SUBSCRIPTION_IDS: ' ', LANES_MAX: '' })
    expect(loaded).toMatchObject({
      kind: 'problems',
      problems: [{ setting: 'AZURE_SUBSCRIPTION_IDS', problem: 'is missing' }],
    })
  })

  it.each([
    ['two connections at once', { VaultStorage__blobServiceUri: 'https://a.blob.core.windows.net' }, 'VaultStorage'],
    ['a connection string that is none', { VaultStorage: 'AccountName=a;AccountKye=b' }, 'VaultStorage'],
    ['a key that nothing is said about', { KEY_FILE: '/keys/kek' }, 'VAULT_KEY'],
    ['a key file that is not given', { VAULT_KEY: 'file' }, 'KEY_FILE'],
    ['a Key Vault key that is not given', { VAULT_KEY: 'key-vault', KEY_FILE: '/keys/kek' }, 'KEY_VAULT_KEY_URL'],
    [
      'a Key Vault key over plain http',
      { VAULT_KEY: 'key-vault', KEY_VAULT_KEY_URL: 'http://v.vault.azure.net/keys/kek' },
      'KEY_VAULT_KEY_URL',
    ],
    ['one container for both', { VAULT_CONTAINER: 'both', CONTROL_CONTAINER: 'both' }, 'CONTROL_CONTAINER'],
    [
      'a blob endpoint with a signature',
      { VaultStorage: '', VaultStorage__blobServiceUri: 'https://a.blob.core.windows.net/?sig=1' },
      'VaultStorage__blobServiceUri',
    ],
  ])('refuses %s', (_, settings, setting) => {
    const loaded = loadConfig({ ...least, ...settings })
    expect(loaded).toMatchObject({ kind: 'problems', problems: [{ setting }] })
  })

  it('never repeats the value of a setting', () => {
    const loaded = loadConfig({
      ...least,
      VaultStorage__blobServiceUri: `https://a.blob.core.windows.net/?sig=${key}`,
      AZURE_CLIENT_ID: key,
    })
    expect(loaded.kind).toBe('problems')
    expect(JSON.stringify(loaded)).not.toContain(key)
  })

  it('is what the sample settings show', () => {
    const sample = JSON.parse(readFileSync(new URL('../../local.settings.sample.json', import.meta.url), 'utf8'))
    expect(loadConfig(sample.Values).kind).toBe('ok')
  })
})
