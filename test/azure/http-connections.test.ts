import { randomBytes } from 'node:crypto'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import {
  createServer as createTlsServer,
  getCACertificates,
  setDefaultCACertificates,
  Server as TlsServer,
} from 'node:tls'
import { generate } from 'selfsigned'
import { afterEach, describe, expect, it } from 'vitest'
import { type ConnectionPool, createConnectionPool } from '../../shared/azure/http/connection-pool.ts'

const closers: (() => void)[] = []
afterEach(() => {
  for (const close of closers.splice(0)) close()
})

/** A server that does with its sockets what a test says. */
const serve = async (onSocket: (socket: Socket, number: number) => void, server: Server = createServer()) => {
  const sockets: Socket[] = []
  server.on(server instanceof TlsServer ? 'secureConnection' : 'connection', (socket: Socket) => {
    socket.on('error', () => undefined)
    sockets.push(socket)
    onSocket(socket, sockets.length)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closers.push(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return { port: (server.address() as AddressInfo).port, sockets }
}

const pool = (connectionsMax = 4): ConnectionPool => {
  const made = createConnectionPool(connectionsMax)
  closers.push(() => made.close())
  return made
}

const answer = (body: Uint8Array, ...headers: readonly string[]): Buffer =>
  Buffer.concat([
    Buffer.from(['HTTP/1.1 206 OK', `content-length: ${body.length}`, ...headers, '', ''].join('\r\n')),
    body,
  ])

const request = (port: number, more: object = {}) =>
  ({
    method: 'GET',
    url: new URL(`http://127.0.0.1:${port}/d?sig=s`),
    headers: {},
    idleMsMax: 2000,
    totalMsMax: 5000,
    ...more,
  }) as const

describe('kept connections', () => {
  it('bring large and small bodies right to where they belong, over TLS too', async () => {
    const pems = await generate([{ name: 'commonName', value: 'localhost' }], {
      extensions: [{ name: 'subjectAltName', altNames: [{ type: 2, value: 'localhost' }] }],
    })
    setDefaultCACertificates([...getCACertificates('default'), pems.cert])
    const bodies = [100, 5_000_000, 4096, 16_384, 1].map((length) => randomBytes(length))
    for (const scheme of ['http', 'https']) {
      const listener = (socket: Socket) => {
        let asked = 0
        socket.on('data', () => socket.write(answer(bodies[asked++ % bodies.length]!)))
      }
      const tlsServer = createTlsServer({ key: pems.private, cert: pems.cert })
      const { port, sockets } = await serve(listener, scheme === 'https' ? tlsServer : createServer())
      const one = pool(1)
      const url = new URL(`${scheme}://localhost:${port}/`)
      for (const body of bodies) {
        const target = Buffer.alloc(body.length)
        await one.exchange({ ...request(port), url }, () => target, undefined)
        expect(target.equals(body)).toBe(true)
      }
      expect(sockets).toHaveLength(1)
    }
  })

  it('are replaced where the other side closed them meanwhile, as often as it does', async () => {
    const { port, sockets } = await serve((socket) =>
      socket.once('data', () => {
        socket.write(answer(Buffer.from('x')))
        socket.once('data', () => socket.destroy())
      }),
    )
    const connections = pool()
    for (let index = 0; index < 4; index += 1)
      await connections.exchange(request(port), () => Buffer.alloc(1), undefined)
    expect(sockets).toHaveLength(4)
  })

  it('are not used again after an answer that says so, or with bytes behind its end', async () => {
    let behind: Promise<void> = Promise.resolve()
    const writeBehind = (socket: Socket) =>
      new Promise<void>((resolve) => {
        const write = () => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\ny', () => resolve())
        setTimeout(write, 10)
      })
    const { port, sockets } = await serve((socket, number) =>
      socket.on('data', () => {
        socket.write(answer(Buffer.from('x'), ...(number === 1 ? ['connection: close'] : [])))
        if (number === 2) behind = writeBehind(socket)
      }),
    )
    const connections = pool()
    for (let index = 0; index < 3; index += 1) {
      const target = Buffer.alloc(1)
      await connections.exchange(request(port), () => target, undefined)
      expect(target.toString()).toBe('x')
      await behind
      await new Promise((resolve) => setTimeout(resolve, 40))
    }
    expect(sockets).toHaveLength(3)
  })

  it('end an answer that trickles in for too long, though never silent', async () => {
    const { port } = await serve((socket) => {
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n')
      const timer = setInterval(() => socket.write('.'), 10)
      socket.on('close', () => clearInterval(timer))
    })
    const sent = pool().exchange(
      request(port, { idleMsMax: 1000, totalMsMax: 100 }),
      () => Buffer.alloc(1000),
      undefined,
    )
    await expect(sent).rejects.toMatchObject({ name: 'HttpFailure', detail: 'ETIMEDOUT' })
  })

  it('give a turn that nobody waits for any more to the next in the queue', async () => {
    const { port } = await serve((socket) => {
      socket.on('data', () => setTimeout(() => socket.write(answer(Buffer.from('x'))), 30))
    })
    const one = pool(1)
    const stop = new AbortController()
    const first = one.exchange(request(port), () => Buffer.alloc(1), undefined)
    const second = one.exchange(request(port), () => Buffer.alloc(1), stop.signal)
    const third = one.exchange(request(port), () => Buffer.alloc(1), undefined)
    stop.abort(new Error('enough'))
    await expect(second).rejects.toThrow('enough')
    expect((await Promise.all([first, third])).map(({ status }) => status)).toEqual([206, 206])
  })

  it('stop sending a body that was refused early, and tell the refusal', async () => {
    let receivedBytes = 0
    const { port } = await serve((socket) => {
      socket.on('data', (bytes) => {
        if (receivedBytes === 0) {
          socket.write('HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n')
          socket.pause()
        }
        receivedBytes += bytes.length
      })
    })
    const body = [Buffer.alloc(32 * 1024 * 1024)]
    const put = request(port, { method: 'PUT', body, headers: { 'content-length': 32 * 1024 * 1024 } })
    expect((await pool().exchange(put, () => () => undefined, undefined)).status).toBe(403)
    expect(receivedBytes).toBeLessThan(16 * 1024 * 1024)
  })
})
