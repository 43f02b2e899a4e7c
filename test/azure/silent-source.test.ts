import { describe, expect, it } from 'vitest'
import { createSasSockets } from '../../shared/azure/sas-request.ts'
import { retryLimitsDefault, sendWithRetry } from '../../shared/azure/sas-retry.ts'
import { startStub } from './sas-fixture.ts'

/** Milliseconds after which the host ends the whole worker, with every transfer in it (host.json, functionTimeout). */
const functionTimeoutMs = 120 * 60_000

describe('a source that accepts connections and stays silent', () => {
  it('is given up by time, not only by the number of tries', async () => {
    await using server = await startStub(() => undefined)
    const sockets = createSasSockets(1)
    const limits = { ...retryLimitsDefault, attemptsMax: 50, firstDelayMs: 1, delayMsMax: 1, elapsedMsMax: 100 }
    const call = { method: 'GET', url: `${server.origin}/disk?sig=s`, headers: {}, idleMsMax: 40 } as const
    const sent = sendWithRetry({ sockets, limits, random: () => 0 }, call, () => () => undefined)
    await expect(sent).rejects.toMatchObject({ fault: { code: 'unreachable', detail: 'ETIMEDOUT' } })
    expect(server.requests.length).toBeLessThan(8)
    sockets.close()
  })

  it('is given up long before the host gives up the worker', () => {
    expect(retryLimitsDefault.elapsedMsMax).toBeLessThan(functionTimeoutMs / 8)
  })
})
