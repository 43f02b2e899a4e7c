import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import type { StorageSettings } from '../../shared/config.ts'

export interface StorageStub extends AsyncDisposable {
  readonly settings: StorageSettings
  /** By container and name. */
  readonly objects: Map<string, Buffer>
  /** Answers in the place of the store where it returns true. */
  before: (
    request: IncomingMessage,
    answer: (status: number, code: string) => void,
    response: ServerResponse,
  ) => boolean
}

/** A blob service in memory, as much of it as a transfer uses: whole objects are created once and read, in ranges too. */
export const startStorageStub = async (): Promise<StorageStub> => {
  const objects = new Map<string, Buffer>()
  const listener: RequestListener = async (request, response) => {
    const answer = (status: number, code: string) => {
      request.resume()
      response.writeHead(status, { 'x-ms-error-code': code, 'content-length': 0 }).end()
    }
    if (stub.before(request, answer, response)) return
    const name = decodeURIComponent(request.url?.split('?')[0] ?? '')
    const held = objects.get(name)
    if (request.method === 'PUT') {
      const body = await buffer(request)
      if (held !== undefined) return answer(409, 'BlobAlreadyExists')
      objects.set(name, body)
      response.writeHead(201, { etag: '"0x1"', 'content-length': 0 }).end()
      return
    }
    if (held === undefined) return answer(404, 'BlobNotFound')
    const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(String(request.headers['x-ms-range'] ?? '')) ?? []
    const bytes = from === undefined ? held : held.subarray(Number(from), Number(to) + 1)
    response.writeHead(from === undefined ? 200 : 206, { etag: '"0x1"', 'content-length': bytes.length })
    response.end(bytes)
  }
  const server = createServer((request, response) => void listener(request, response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}/account`
  const connectionString = `DefaultEndpointsProtocol=http;AccountName=account;AccountKey=${Buffer.alloc(32, 7).toString('base64')};BlobEndpoint=${endpoint};`
  const stub: StorageStub = {
    settings: {
      connection: { kind: 'connectionString', connectionString },
      vaultContainer: 'vault',
      controlContainer: 'control',
    },
    objects,
    before: () => false,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  return stub
}
