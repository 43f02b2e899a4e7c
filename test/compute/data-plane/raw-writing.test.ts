import { createHash, randomBytes } from 'node:crypto'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { mebibyte, type PlaneFixture, page, rangesOf, raw, versioned } from './plane-fixture.ts'
import { blobBytes, expectError, type PlaneWorld, sizeBytes, startWorld } from './plane-world.ts'

/** What the REST documentation and recorded traffic of managed disks promise, asked for without any client library. */
describe('the data plane', () => {
  let world: PlaneWorld
  let fixture: PlaneFixture
  let upload: string
  let granted: PlaneWorld['granted']
  beforeAll(async () => {
    world = await startWorld()
    ;({ fixture, upload, granted } = world)
  })
  afterAll(() => world.fixture[Symbol.asyncDispose]())
  afterEach(() => world.settle())

  describe('writing pages', () => {
    const put = (headers: Record<string, string>, body: Uint8Array = new Uint8Array(0)) =>
      raw(`${upload}&comp=page`, {
        method: 'PUT',
        headers: versioned({ 'content-length': String(body.byteLength), ...headers }),
        body,
      })
    const update = (range: string, body: Uint8Array, headers: Record<string, string> = {}) =>
      put({ 'x-ms-page-write': 'update', range, ...headers }, body)

    it('answers 201 with a new ETag', async () => {
      const before = await raw(upload, { method: 'HEAD' })
      const answer = await update('bytes=512-1023', randomBytes(512))
      expect(answer.status).toBe(201)
      expect(answer.headers.etag).not.toBe(before.headers.etag)
      expect(answer.headers['content-md5']).toBeDefined()
    })

    it('writes across the border of data and footer', async () => {
      const bytes = randomBytes(1024)
      expect((await update(`bytes=${sizeBytes - 512}-${sizeBytes + 511}`, bytes)).status).toBe(201)
      expect((await raw(upload, { headers: { range: `bytes=${sizeBytes - 512}-` } })).body.equals(bytes)).toBe(true)
    })

    it('lists what was written and not cleared since', async () => {
      await update('bytes=40960-49151', randomBytes(2 * page))
      expect((await put({ 'x-ms-page-write': 'clear', range: 'bytes=40960-45055' })).status).toBe(201)
      const starts = rangesOf((await raw(`${upload}&comp=pagelist`, { headers: versioned() })).text).map(
        ([, start]) => start,
      )
      expect(starts).toContain(45056)
      expect(starts).not.toContain(40960)
    })

    it('clears everything in one request', async () => {
      await update('bytes=0-4095', randomBytes(page))
      expect((await put({ 'x-ms-page-write': 'clear', range: `bytes=0-${blobBytes - 1}` })).status).toBe(201)
      expect((await raw(upload)).body.every((byte) => byte === 0)).toBe(true)
    })

    it('takes a right MD5 and refuses a wrong one, writing nothing', async () => {
      const bytes = randomBytes(512)
      const md5 = createHash('md5').update(bytes).digest('base64')
      expect((await update('bytes=0-511', bytes, { 'content-md5': md5 })).status).toBe(201)
      expectError(await update('bytes=0-511', randomBytes(512), { 'content-md5': md5 }), 400, 'Md5Mismatch')
      expect((await raw(upload, { headers: { range: 'bytes=0-511' } })).body.equals(bytes)).toBe(true)
    })

    it('holds to If-Match', async () => {
      expectError(await update('bytes=0-511', new Uint8Array(512), { 'if-match': '"garbage"' }), 412, 'ConditionNotMet')
    })

    const some = new Uint8Array(512)
    it.each([
      ['a misaligned start', { 'x-ms-page-write': 'update', range: 'bytes=1-512' }, some, 400, 'InvalidHeaderValue'],
      [
        'a misaligned end',
        { 'x-ms-page-write': 'update', range: 'bytes=0-510' },
        some.subarray(1),
        400,
        'InvalidHeaderValue',
      ],
      ['no range', { 'x-ms-page-write': 'update' }, some, 400, 'MissingRequiredHeader'],
      ['no kind of write', { range: 'bytes=0-511' }, some, 400, 'MissingRequiredHeader'],
      [
        'an unknown kind of write',
        { 'x-ms-page-write': 'append', range: 'bytes=0-511' },
        some,
        400,
        'InvalidHeaderValue',
      ],
      [
        'a body that is not the range',
        { 'x-ms-page-write': 'update', range: 'bytes=0-1023' },
        some,
        400,
        'InvalidHeaderValue',
      ],
      ['a body of a clear', { 'x-ms-page-write': 'clear', range: 'bytes=0-511' }, some, 400, 'InvalidHeaderValue'],
      [
        'a range behind the end',
        { 'x-ms-page-write': 'update', range: `bytes=${blobBytes}-${blobBytes + 511}` },
        some,
        416,
        'InvalidPageRange',
      ],
      [
        'more than 4 MiB',
        { 'x-ms-page-write': 'update', range: `bytes=0-${4 * mebibyte + 511}` },
        new Uint8Array(4 * mebibyte + 512),
        413,
        'RequestBodyTooLarge',
      ],
    ])('refuses %s', async (_name, headers, body, status, code) => {
      expectError(await put(headers, body), status, code)
    })

    it('ends when the upload is finished', async () => {
      await fixture.store.createUpload('brief', mebibyte)
      const url = await granted('brief', 'Write')
      await fixture.store.revoke('brief')
      const headers = { 'x-ms-page-write': 'update', range: 'bytes=0-511', 'content-length': '512' }
      expectError(await raw(`${url}&comp=page`, { method: 'PUT', headers, body: some }), 403, 'AuthenticationFailed')
    })
  })
})
