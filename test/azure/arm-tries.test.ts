import { beforeEach, describe, expect, it, vi } from 'vitest'
import { armTriesPolicy } from '../../shared/azure/arm-tries.ts'

const pauses = vi.hoisted(() => [] as number[])
vi.mock('node:timers/promises', () => ({
  setTimeout: async (milliseconds: number) => {
    pauses.push(milliseconds)
  },
}))
beforeEach(() => {
  pauses.length = 0
})

type Request = Parameters<typeof armTriesPolicy.sendRequest>[0]
type Response = Awaited<ReturnType<typeof armTriesPolicy.sendRequest>>

/** Sends one request against answers in turn: a status, with a Retry-After or not, or an error code. */
const send = async (...answers: readonly (number | string | readonly [number, string])[]) => {
  let sent = 0
  const request = { timeout: 0 } as Request
  const outcome = await armTriesPolicy
    .sendRequest(request, async () => {
      const answer = answers[sent++]
      if (typeof answer === 'string') throw Object.assign(new Error('broken'), { code: answer })
      const [status, retryAfter] = typeof answer === 'number' ? [answer] : (answer ?? [0])
      return { status, headers: { get: () => retryAfter } } as unknown as Response
    })
    .then(
      ({ status }) => status,
      (error: { code: string }) => error.code,
    )
  return { outcome, sent, timeout: request.timeout }
}

describe('a request to Azure Resource Manager', () => {
  it('is repeated after a server fault or a lost connection, twice at most', async () => {
    expect(await send(500, 'ECONNRESET', 200)).toMatchObject({ outcome: 200, sent: 3 })
    expect(await send(502, 503, 504, 200)).toMatchObject({ outcome: 504, sent: 3 })
    expect(await send('REQUEST_SEND_ERROR', 'EPIPE', 'ECONNRESET')).toMatchObject({ outcome: 'ECONNRESET', sent: 3 })
    expect(Math.max(...pauses)).toBeLessThanOrEqual(2000)
  })

  it('is never repeated when throttled', async () => {
    expect(await send([429, '1'])).toMatchObject({ outcome: 429, sent: 1 })
    expect(pauses).toEqual([])
  })

  it('waits out a short Retry-After, and takes a long one back to the caller', async () => {
    expect(await send([503, '3'], 200)).toMatchObject({ outcome: 200, sent: 2 })
    expect(pauses).toEqual([3000])
    expect(await send([503, '1200'])).toMatchObject({ outcome: 503, sent: 1 })
  })

  it('is not repeated for what another try cannot cure', async () => {
    for (const status of [200, 202, 400, 401, 403, 404, 409])
      expect(await send(status)).toMatchObject({ outcome: status, sent: 1 })
    expect(await send('ERR_TLS_CERT_ALTNAME_INVALID')).toMatchObject({ sent: 1 })
  })

  it('has a time limit for each try', async () => {
    expect((await send(200)).timeout).toBe(30_000)
  })
})
