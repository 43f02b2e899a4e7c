import type { ServerResponse } from 'node:http'
import { describe, expect, it } from 'vitest'
import { createSasDiskReader } from '../../shared/azure/sas-disk-reader.ts'
import type { ChangedRange } from '../../shared/domain/extent.ts'
import { listed, quick, type StubServer, startStub } from './sas-fixture.ts'

const sizeBytes = 1 << 20
const mark = '\uFEFF<?xml version="1.0" encoding="utf-8"?>\n'
const element = (name: string, start: number, end: number) =>
  `<${name}><Start>${start}</Start><End>${end}</End></${name}>`
const list = (body: string) => `${mark}<PageList>${body}</PageList>`
const data = (offsetBytes: number, lengthBytes: number): ChangedRange => ({ kind: 'data', offsetBytes, lengthBytes })

/** Serves HEAD with the size and each listing request with the next of the bodies, the last one again and again. */
const startListing = (bodies: readonly (string | ((response: ServerResponse) => void))[]): Promise<StubServer> => {
  let next = 0
  return startStub((request, response) => {
    if (request.method === 'HEAD') {
      response.setHeader('content-length', sizeBytes + 512)
      response.end()
      return
    }
    const body = bodies[Math.min(next++, bodies.length - 1)] ?? ''
    if (typeof body === 'string') response.end(body)
    else body(response)
  })
}

const listFrom = async (
  bodies: Parameters<typeof startListing>[0],
  pieces?: (server: StubServer) => void,
): Promise<ChangedRange[]> => {
  await using server = await startListing(bodies)
  const reader = createSasDiskReader({
    sasUrl: `${server.origin}/md/disk/abcd?sv=2018-11-09&sig=s%2Bg`,
    baseSasUrl: null,
    limits: { ...quick, attemptsMax: 3 },
  })
  try {
    return await listed(reader)
  } finally {
    reader.close()
    pieces?.(server)
  }
}

const refusing = (status: number, code: string) => (response: ServerResponse) => {
  response.statusCode = status
  response.setHeader('x-ms-error-code', code)
  response.end()
}

describe('a listing of page ranges', () => {
  it('sends the signed query as it is, with its own parameters behind', async () => {
    await listFrom([list('')], (server) => {
      expect(server.requests[1]?.url).toBe('/md/disk/abcd?sv=2018-11-09&sig=s%2Bg&comp=pagelist&maxresults=10000')
      expect(server.requests[1]?.headers['x-ms-version']).toBe('2021-06-08')
    })
  })

  it('takes every range to its last byte', async () => {
    expect(await listFrom([list(element('PageRange', 0, 511) + element('PageRange', 4096, 12287))])).toEqual([
      data(0, 512),
      data(4096, 8192),
    ])
  })

  it('takes interleaved ranges in their order', async () => {
    const body = element('PageRange', 0, 4095) + element('ClearRange', 4096, 8191) + element('PageRange', 8192, 12287)
    expect((await listFrom([list(body)])).map(({ kind }) => kind)).toEqual(['data', 'clear', 'data'])
  })

  it('reads a list that comes a byte at a time', async () => {
    const body = Buffer.from(
      list(`\n  ${element('PageRange', 0, 4095)}\n${element('ClearRange', 4096, 8191)}<NextMarker />`),
    )
    const slowly = async (response: ServerResponse) => {
      for (const byte of body) {
        response.write(Buffer.of(byte))
        await new Promise(setImmediate)
      }
      response.end()
    }
    expect(await listFrom([(response) => void slowly(response)])).toHaveLength(2)
  })

  it('follows markers, which it gives back as they were meant', async () => {
    const pages = [
      list(`${element('PageRange', 0, 4095)}<NextMarker>a&amp;b=</NextMarker>`),
      list(element('PageRange', 8192, 12287)),
    ]
    const ranges = await listFrom(pages, (server) => {
      expect(server.requests[2]?.url).toMatch(/&marker=a%26b%3D$/)
    })
    expect(ranges).toEqual([data(0, 4096), data(8192, 4096)])
  })

  it('asks for the rest of the window where a marker is refused', async () => {
    const more = '<NextMarker>m</NextMarker>'
    const pages = [
      list(element('PageRange', 0, 4095) + more),
      refusing(400, 'InvalidQueryParameterValue'),
      list(element('PageRange', 8192, 12287) + more),
      list(element('PageRange', 16384, 20479)),
    ]
    const ranges = await listFrom(pages, (server) => {
      expect(server.requests.slice(3).map((request) => request.headers['x-ms-range'])).toEqual([
        'bytes=4096-1048575',
        'bytes=12288-1048575',
      ])
      expect(server.requests.slice(3).every((request) => !request.url?.includes('marker'))).toBe(true)
    })
    expect(ranges).toEqual([data(0, 4096), data(8192, 4096), data(16384, 4096)])
  })

  it('goes on over an empty page', async () => {
    expect(await listFrom([list('<NextMarker>1</NextMarker>'), list(element('PageRange', 0, 4095))])).toEqual([
      data(0, 4096),
    ])
  })

  it('leaves out the footer behind the disk', async () => {
    expect(await listFrom([list(element('PageRange', sizeBytes - 4096, sizeBytes + 511))])).toEqual([
      data(sizeBytes - 4096, 4096),
    ])
  })

  it('tries again where a list is cut off, though the connection closed in order', async () => {
    const cut = `${mark}<PageList>${element('PageRange', 0, 4095)}`
    expect(await listFrom([cut, list(element('PageRange', 0, 8191))])).toEqual([data(0, 8192)])
  })

  it.each([
    ['a list that is always cut off', [`${mark}<PageList>`], { code: 'unreachable', detail: 'list cut off' }],
    ['markers without an end', [list('<NextMarker>m</NextMarker>')], { code: 'rejected', serviceCode: 'NoProgress' }],
    [
      'ranges out of order',
      [list(element('PageRange', 8192, 12287) + element('ClearRange', 0, 4095))],
      { code: 'rejected', serviceCode: 'UnorderedPageList' },
    ],
    [
      'ranges that overlap',
      [list(element('PageRange', 0, 8191) + element('ClearRange', 4096, 12287))],
      { code: 'rejected', serviceCode: 'UnorderedPageList' },
    ],
    [
      'an element of unknown name',
      [list(element('FullRange', 0, 4095))],
      { code: 'rejected', serviceCode: 'UnreadablePageList' },
    ],
    [
      'an offset that is none',
      [list('<PageRange><Start>-1</Start><End>4095</End></PageRange>')],
      { code: 'rejected', serviceCode: 'UnreadablePageList' },
    ],
    [
      'half a range',
      [list('<PageRange><Start>0</Start></PageRange>')],
      { code: 'rejected', serviceCode: 'UnreadablePageList' },
    ],
    ['a page that is no list', ['<html>'], { code: 'rejected', serviceCode: 'UnreadablePageList' }],
    ['a refusal', [refusing(409, 'BlobArchived')], { code: 'rejected', status: 409, serviceCode: 'BlobArchived' }],
    ['a source that is gone', [refusing(404, 'BlobNotFound')], { code: 'gone' }],
  ] as const)('fails loudly at %s', async (_name, bodies, fault) => {
    await expect(listFrom(bodies)).rejects.toMatchObject({ fault })
  })
})

describe('a read of a disk range', () => {
  it.each([
    ['the whole disk', 200, undefined],
    ['another range', 206, `bytes 4096-8191/${sizeBytes + 512}`],
  ])('refuses an answer with %s', async (_name, status, contentRange) => {
    await using server = await startStub((_request, response) => {
      response.statusCode = status
      if (contentRange !== undefined) response.setHeader('content-range', contentRange)
      response.end(Buffer.alloc(4096))
    })
    const reader = createSasDiskReader({
      sasUrl: `${server.origin}/md/disk/abcd?sig=s`,
      baseSasUrl: null,
      limits: quick,
    })
    await expect(reader.readInto(new Uint8Array(4096), 0)).rejects.toMatchObject({
      fault: { code: 'rejected', serviceCode: 'WrongRange' },
    })
    reader.close()
  })
})
