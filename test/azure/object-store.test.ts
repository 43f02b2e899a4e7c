import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createObjectStore } from '../../shared/azure/object-store.ts'
import { storageAccountOf } from '../../shared/azure/storage-account.ts'
import type { ObjectCreator } from '../../shared/ports/blob-store.ts'
import { type StorageStub, startStorageStub } from './storage-stub.ts'

const tokens = async () => 'token'

describe('objects by plain HTTP', () => {
  let stub: StorageStub
  let store: ObjectCreator
  beforeEach(async () => {
    stub = await startStorageStub()
    store = createObjectStore(storageAccountOf(stub.settings.connection, tokens), 'vault')
  })
  afterEach(() => stub[Symbol.asyncDispose]())

  it('never take other bytes for those that were asked for', async () => {
    await store.create('a', [Buffer.from('0123456789')])
    expect(Buffer.from((await store.readRange('a', 2, 3)) ?? []).toString()).toBe('234')
    const wrong = [
      { 'content-range': 'bytes 0-2/10', 'content-length': '3' },
      { 'content-range': 'bytes 2-4/10', 'content-length': '4' },
      { 'content-length': '10' },
    ]
    for (const headers of wrong) {
      stub.before = (request, _answer, response) => {
        request.resume()
        response.writeHead(206, headers).end('0123456789'.slice(0, Number(headers['content-length'])))
        return true
      }
      await expect(store.readRange('a', 2, 3)).rejects.toMatchObject({ fault: { code: 'short-object', name: 'a' } })
    }
  })

  it('are not read beyond what the caller can hold', async () => {
    await store.create('large', [Buffer.alloc(2000)])
    await expect(store.read('large', { lengthBytesMax: 1999 })).rejects.toMatchObject({ fault: { code: 'too-large' } })
    expect((await store.read('large', { lengthBytesMax: 2000 }))?.bytes.length).toBe(2000)
  })

  it('are read where the service sends chunks without a length', async () => {
    stub.before = (request, _answer, response) => {
      request.resume()
      response.writeHead(200, { etag: '"0x1"' })
      response.write('chu')
      setTimeout(() => response.end('nks'), 10)
      return true
    }
    expect(Buffer.from((await store.read('a'))?.bytes ?? []).toString()).toBe('chunks')
  })

  it('show a token of an identity with each request', async () => {
    const seen: (string | undefined)[] = []
    stub.before = (request) => {
      seen.push(request.headers.authorization)
      return false
    }
    const { connectionString = '' } = stub.settings.connection as { connectionString?: string }
    const blobServiceUri = /BlobEndpoint=([^;]+)/.exec(connectionString)?.[1] ?? ''
    const account = storageAccountOf({ kind: 'identity', blobServiceUri, clientId: null }, tokens)
    expect(await createObjectStore(account, 'vault').create('b', [Buffer.from('x')])).toBe('created')
    expect(seen).toEqual(['Bearer token'])
  })
})
