import type { IncomingMessage, ServerResponse } from 'node:http'
import { describe, expect, it } from 'vitest'
import { createSasDiskReader } from '../../shared/azure/sas-disk-reader.ts'
import { listed, quick, startStub } from './sas-fixture.ts'

/** Which code a managed disk answers where it cannot compare is not documented, so every refusal of a diff that is not one of the access
 * must lead to a full transfer: else such a VM would never be backed up again. */
const sizeBytes = 1 << 20
const range = '<PageRange><Start>0</Start><End>4095</End></PageRange>'

const refuse = (response: ServerResponse, status: number, code: string) => {
  response.statusCode = status
  response.setHeader('x-ms-error-code', code)
  response.end()
}

const listWith = async (hasBase: boolean, answer: (request: IncomingMessage, response: ServerResponse) => void) => {
  await using server = await startStub((request, response) => {
    if (request.method !== 'HEAD') return answer(request, response)
    response.setHeader('content-length', sizeBytes + 512)
    response.end()
  })
  const sasUrl = `${server.origin}/md/disk/abcd?sig=s`
  const reader = createSasDiskReader({ sasUrl, baseSasUrl: hasBase ? `${sasUrl}base` : null, limits: quick })
  return await listed(reader).finally(() => reader.close())
}

describe('a diff that the platform refuses', () => {
  it.each([
    [400, 'InvalidHeaderValue'],
    [400, 'InvalidQueryParameterValue'],
    [400, 'PreviousSnapshotCannotBeNewer'],
    [404, 'BlobNotFound'],
    [409, 'PreviousSnapshotOperationNotSupported'],
    [412, 'ConditionNotMet'],
  ])('with %i %s cannot be had', async (status, serviceCode) => {
    const refused = listWith(true, (_request, response) => refuse(response, status, serviceCode))
    await expect(refused).rejects.toMatchObject({ fault: { code: 'diff-unsupported', serviceCode } })
  })

  it.each([
    [403, 'AuthenticationFailed', { code: 'access-ended' }],
    [416, 'InvalidRange', { code: 'rejected', status: 416 }],
    [429, 'TooManyRequests', { code: 'throttled' }],
  ])('with %i %s is another matter', async (status, serviceCode, fault) => {
    const refused = listWith(true, (_request, response) => refuse(response, status, serviceCode))
    await expect(refused).rejects.toMatchObject({ fault })
  })

  it('only at a marker is asked for the rest of the window', async () => {
    let calls = 0
    const ranges = await listWith(true, (request, response) => {
      calls += 1
      if (request.url?.includes('marker=')) refuse(response, 400, 'InvalidQueryParameterValue')
      else response.end(`<PageList>${calls === 1 ? `${range}<NextMarker>m</NextMarker>` : ''}</PageList>`)
    })
    expect([ranges.length, calls]).toEqual([1, 3])
  })

  it('in the middle of its pages cannot be had either', async () => {
    let calls = 0
    const refused = listWith(true, (_request, response) => {
      calls += 1
      if (calls > 1) refuse(response, 400, 'InvalidHeaderValue')
      else response.end(`<PageList>${range}<NextMarker>m</NextMarker></PageList>`)
    })
    await expect(refused).rejects.toMatchObject({ fault: { code: 'diff-unsupported' } })
  })

  it('leaves a listing without a base as it was', async () => {
    const refused = listWith(false, (_request, response) => refuse(response, 400, 'InvalidHeaderValue'))
    await expect(refused).rejects.toMatchObject({ fault: { code: 'rejected', status: 400 } })
  })
})
