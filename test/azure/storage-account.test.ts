import { BlobServiceClient } from '@azure/storage-blob'
import { describe, expect, it } from 'vitest'
import { storageAccountOf } from '../../shared/azure/storage-account.ts'
import { storageTokens } from '../../shared/azure/storage-tokens.ts'

const key = Buffer.alloc(32, 5).toString('base64')
const noTokens = () => Promise.reject(new Error('not asked'))
const accountOf = (connectionString: string) =>
  storageAccountOf({ kind: 'connectionString', connectionString }, noTokens)
const request = {
  method: 'PUT',
  url: new URL('https://a.blob.core.windows.net/vault/x?comp=b'),
  headers: { 'content-length': 3 },
}

describe('a storage account', () => {
  it.each([
    [`DefaultEndpointsProtocol=https;AccountName=acct;AccountKey=${key};EndpointSuffix=core.windows.net`],
    [`AccountName=acct;AccountKey=${key};EndpointSuffix=core.chinacloudapi.cn;DefaultEndpointsProtocol=http;`],
    [
      `DefaultEndpointsProtocol=http;AccountName=acct;AccountKey=${key};BlobEndpoint=http://127.0.0.1:10000/acct/;QueueEndpoint=http://q/`,
    ],
    ['BlobEndpoint=https://acct.blob.core.windows.net/;SharedAccessSignature=sv=2022&sig=s%3D'],
    ['UseDevelopmentStorage=true'],
  ])('is where the SDK finds it: %s', (text) => {
    expect(accountOf(text).blobEndpoint).toBe(
      BlobServiceClient.fromConnectionString(text).url.split('?')[0]?.replace(/\/+$/, ''),
    )
  })

  it('is refused without key or place, and nothing of it is shown', () => {
    for (const text of [`AccountKey=${key}`, 'AccountName=acct', 'BlobEndpoint=https://secret', '']) {
      expect(() => accountOf(text)).toThrow(/lacks an account/)
      expect(() => accountOf(text)).not.toThrow(/secret/)
    }
  })

  it('signs with its key: another request gets another signature', async () => {
    const { authorise } = accountOf(`AccountName=acct;AccountKey=${key}`)
    const signed = async (more: object) => String((await authorise({ ...request, ...more })).headers.authorization)
    const first = await signed({})
    expect(first).toMatch(/^SharedKey acct:[A-Za-z0-9+/]{43}=$/)
    const others = [{ method: 'GET' }, { url: new URL(`${request.url}c`) }, { headers: { 'x-ms-range': 'bytes=0-1' } }]
    for (const other of others) expect(await signed(other)).not.toBe(first)
  })

  it('appends a shared access signature to what the address has already', async () => {
    const { authorise } = accountOf('BlobEndpoint=https://a.b;SharedAccessSignature=?sv=1&sig=s%3D')
    expect((await authorise(request)).url.search).toBe('?comp=b&sv=1&sig=s%3D')
    const bare = { ...request, url: new URL('https://a.b/vault/x') }
    expect((await authorise(bare)).url.search).toBe('?sv=1&sig=s%3D')
  })

  it('shows a token where it is that of an identity', async () => {
    const connection = {
      kind: 'identity',
      blobServiceUri: 'https://acct.blob.core.windows.net',
      clientId: null,
    } as const
    const { authorise } = storageAccountOf(connection, async () => 'abc')
    expect((await authorise(request)).headers.authorization).toBe('Bearer abc')
  })
})

describe('tokens for the storage account', () => {
  it('are asked for once at a time, kept, and asked for anew well before they expire', async () => {
    let asked = 0
    let livesMs = 3_600_000
    const tokens = storageTokens({
      getToken: async () => ({ token: `token ${++asked}`, expiresOnTimestamp: Date.now() + livesMs }),
    })
    expect(await Promise.all([tokens(), tokens()])).toEqual(['token 1', 'token 1'])
    livesMs = 300_000
    const short = storageTokens({
      getToken: async () => ({ token: `token ${++asked}`, expiresOnTimestamp: Date.now() + livesMs }),
    })
    expect([await short(), await short()]).toEqual(['token 2', 'token 3'])
    expect(await tokens()).toBe('token 1')
  })

  it('are asked for again after a failure', async () => {
    let asked = 0
    const tokens = storageTokens({
      getToken: async () => (++asked === 1 ? null : { token: 'good', expiresOnTimestamp: Date.now() + 3_600_000 }),
    })
    await expect(tokens()).rejects.toMatchObject({ name: 'AuthenticationError' })
    expect(await tokens()).toBe('good')
  })
})
