import { randomBytes } from 'node:crypto'
import { createServer, type RequestListener, type Server } from 'node:http'
import { inspect } from 'node:util'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { connectStorage } from '../../shared/azure/storage-connection.ts'
import { StorageError } from '../../shared/ports/blob-store.ts'

/** Pauses between tries are noted, not slept. */
const pauses = vi.hoisted(() => [] as number[])
vi.mock('node:timers/promises', () => ({
  setTimeout: async (milliseconds: number) => {
    pauses.push(milliseconds)
  },
}))

const accountKey = randomBytes(32).toString('base64')
let server: Server | undefined

/** A storage service of single answers, in the order of the requests; the last one is given again and again. */
const storageAnswering = async (...answers: readonly RequestListener[]) => {
  const seen: string[] = []
  server = createServer((request, response) => {
    const answer = answers[Math.min(seen.length, answers.length - 1)]
    seen.push(`${request.method} ${request.url?.split('?')[0]}`)
    request.resume()
    request.once('end', () => answer?.(request, response))
  })
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  const { control } = connectStorage({
    connection: {
      kind: 'connectionString',
      connectionString: `DefaultEndpointsProtocol=http;AccountName=acct;AccountKey=${accountKey};BlobEndpoint=http://127.0.0.1:${port}/acct;`,
    },
    vaultContainer: 'vault',
    controlContainer: 'control',
  })
  return { store: control, seen }
}

const fails =
  (status: number, code: string, headers: Record<string, string> = {}): RequestListener =>
  (_, response) => {
    response.writeHead(status, { 'x-ms-error-code': code, 'content-type': 'application/xml', ...headers })
    response.end(`<?xml version="1.0"?><Error><Code>${code}</Code><Message>no: sig=abc</Message></Error>`)
  }
const gives =
  (body: string): RequestListener =>
  (_, response) => {
    response.writeHead(200, { etag: '"0x1"', 'content-length': String(Buffer.byteLength(body)) })
    response.end(body)
  }
const created: RequestListener = (_, response) => {
  response.writeHead(201, { etag: '"0x2"' })
  response.end()
}
const hangsUp: RequestListener = (request) => request.socket.destroy()

const faultOf = async (work: Promise<unknown>): Promise<StorageError> => {
  const error = await work.then(
    () => null,
    (thrown: unknown) => thrown,
  )
  expect(error).toBeInstanceOf(StorageError)
  return error as StorageError
}

afterEach(() => {
  pauses.length = 0
  server?.closeAllConnections()
  server?.close()
})

describe('a request to the object store', () => {
  it('is tried again after a server fault and a lost connection', async () => {
    const { store, seen } = await storageAnswering(fails(500, 'InternalError'), hangsUp, gives('there'))
    expect(Buffer.from((await store.read('a'))?.bytes ?? []).toString()).toBe('there')
    expect(seen).toHaveLength(3)
    // A connection that was kept may be gone; that costs no pause.
    expect(pauses).toHaveLength(1)
  })

  it('is given up after four tries, each pause longer than the one before', async () => {
    const { store, seen } = await storageAnswering(hangsUp)
    const error = await faultOf(store.read('a'))
    expect(error.fault).toEqual({ code: 'unreachable', name: 'a' })
    expect(error.isRetryable).toBe(true)
    expect(seen).toHaveLength(4)
    expect([...pauses].sort((one, other) => one - other)).toEqual(pauses)
    expect(pauses.reduce((sum, pause) => sum + pause, 0)).toBeLessThan(10_000)
  })

  it('waits as long as the service asks for where that is short', async () => {
    const { store } = await storageAnswering(fails(503, 'ServerBusy', { 'retry-after': '7' }), gives('there'))
    await store.read('a')
    expect(pauses).toEqual([7000])
  })

  it('is tried again when the body ends early', async () => {
    const cut: RequestListener = (_, response) => {
      response.writeHead(200, { etag: '"0x1"', 'content-length': '10' })
      response.write('only')
      setTimeout(() => response.destroy(), 20)
    }
    const { store } = await storageAnswering(cut, gives('0123456789'))
    expect((await store.read('a'))?.bytes.byteLength).toBe(10)
  })

  it('tells exists where an earlier try of the same create took effect', async () => {
    const { store, seen } = await storageAnswering(hangsUp, fails(409, 'BlobAlreadyExists'))
    expect(await store.create('a', [Buffer.from('x')])).toBe('exists')
    expect(seen).toEqual(['PUT /acct/control/a', 'PUT /acct/control/a'])
  })

  it('makes the container where the first write finds none', async () => {
    const { store, seen } = await storageAnswering(fails(404, 'ContainerNotFound'), created, created)
    expect(await store.create('a', [Buffer.from('x')])).toBe('created')
    expect(seen).toEqual(['PUT /acct/control/a', 'PUT /acct/control', 'PUT /acct/control/a'])
  })

  it('goes back to the caller at once when the service asks for a long wait', async () => {
    const { store, seen } = await storageAnswering(fails(503, 'ServerBusy', { 'retry-after': '300' }))
    const error = await faultOf(store.put('a', Buffer.from('x')))
    expect(error.fault).toEqual({ code: 'throttled', name: 'a', retryAfterSeconds: 300 })
    expect(error.isRetryable).toBe(true)
    expect(seen).toHaveLength(1)
  })

  it.each([
    [403, 'AuthorizationPermissionMismatch', { code: 'forbidden', name: 'a' }],
    [401, 'NoAuthenticationInformation', { code: 'forbidden', name: 'a' }],
    [
      409,
      'BlobImmutableDueToPolicy',
      { code: 'rejected', name: 'a', status: 409, serviceCode: 'BlobImmutableDueToPolicy' },
    ],
    [400, 'InvalidHeaderValue', { code: 'rejected', name: 'a', status: 400, serviceCode: 'InvalidHeaderValue' }],
  ])('is not repeated when the answer is %s %s', async (status, code, fault) => {
    const { store, seen } = await storageAnswering(fails(status, code))
    const error = await faultOf(store.put('a', Buffer.from('x')))
    expect(error.fault).toEqual(fault)
    expect(error.isRetryable).toBe(false)
    expect(seen).toHaveLength(1)
  })

  it('ends with the reason of the signal', async () => {
    const { store } = await storageAnswering(() => undefined)
    const stop = new AbortController()
    setTimeout(() => stop.abort(new Error('the job was cancelled')), 50)
    await expect(store.read('a', { signal: stop.signal })).rejects.toThrow('the job was cancelled')
  })

  it('shows no key, no signature and no address in its errors', async () => {
    for (const answer of [hangsUp, fails(403, 'AuthenticationFailed'), fails(400, 'InvalidUri')]) {
      const { store } = await storageAnswering(answer)
      const error = await faultOf(store.create('a', [Buffer.from('x')]))
      const shown = `${inspect(error, { depth: 9 })} ${JSON.stringify(error)} ${error.stack} ${inspect(error.cause)}`
      for (const secret of [accountKey, 'sig=', 'SharedKey', '127.0.0.1']) expect(shown).not.toContain(secret)
      server?.closeAllConnections()
      server?.close()
    }
  })
})

describe('a listing', () => {
  const page =
    (names: readonly string[], next: string): RequestListener =>
    (_, response) => {
      const blobs = names.map(
        (name) =>
          `<Blob><Name>${name}</Name><Properties><Content-Length>${name.length}</Content-Length><Etag>0x1</Etag></Properties></Blob>`,
      )
      response.writeHead(200, { 'content-type': 'application/xml' })
      response.end(
        `<?xml version="1.0"?><EnumerationResults><Blobs>${blobs.join('')}</Blobs><NextMarker>${next}</NextMarker></EnumerationResults>`,
      )
    }
  it('follows every marker, over empty pages and over faults, and loses no name', async () => {
    const { store, seen } = await storageAnswering(
      page(['a', 'bb'], 'm1'),
      page([], 'm2'),
      fails(500, 'InternalError'),
      page(['ccc'], ''),
    )
    const found: unknown[] = []
    for await (const entry of store.list('')) found.push(entry)
    expect(found).toEqual([
      { name: 'a', lengthBytes: 1, etag: '"0x1"' },
      { name: 'bb', lengthBytes: 2, etag: '"0x1"' },
      { name: 'ccc', lengthBytes: 3, etag: '"0x1"' },
    ])
    expect(seen).toHaveLength(4)
  })
})
