import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { expectStatus } from '../../../../local/demo/http.ts'

describe('a request of the demo', () => {
  let server: Server | undefined
  afterEach(() => new Promise((resolve) => server?.close(resolve)))

  /** Answers one status after another, the last one for ever. */
  const serve = async (...statuses: number[]) => {
    const seen: string[] = []
    server = createServer((request, response) => {
      seen.push(request.method ?? '')
      response.writeHead(statuses[Math.min(seen.length, statuses.length) - 1] ?? 500).end('{"detail":"as it is"}')
    })
    await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve))
    return { seen, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/` }
  }

  it('is asked again when a GET meets a dying worker', async () => {
    const { seen, url } = await serve(500, 200)
    expect((await expectStatus(200, 'GET', url)).body).toEqual({ detail: 'as it is' })
    expect(seen).toEqual(['GET', 'GET'])
  })

  it('is not repeated where it might take effect twice', async () => {
    const { seen, url } = await serve(500, 202)
    await expect(expectStatus(202, 'POST', url, {})).rejects.toThrow('500')
    expect(seen).toEqual(['POST'])
  })

  it('fails at once, in the words of the app, where the answer is final', async () => {
    const { seen, url } = await serve(404)
    await expect(expectStatus(200, 'GET', url)).rejects.toThrow('as it is')
    expect(seen).toEqual(['GET'])
  })
})
