import { createHash, randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import {
  makeImage,
  mebibyte,
  nextMarkerOf,
  type PlaneFixture,
  page,
  type RawAnswer,
  rangesOf,
  raw,
  startFixture,
  versioned,
  writePages,
} from './plane-fixture.ts'

const sizeBytes = 4 * mebibyte
const blobBytes = sizeBytes + 512

/** What the REST documentation and recorded traffic of managed disks promise, asked for without any client library. */
describe('the data plane', () => {
  let fixture: PlaneFixture
  let now = new Date()
  let image: string
  let first: string
  let second: string
  let disk: string
  let upload: string
  const expectError = (answer: RawAnswer, status: number, code: string): void => {
    expect([answer.status, answer.headers['x-ms-error-code']]).toEqual([status, code])
    expect(
      answer.text.startsWith(`\uFEFF<?xml version="1.0" encoding="utf-8"?>\n<Error><Code>${code}</Code><Message>`),
    ).toBe(true)
  }
  const granted = async (id: string, access: 'Read' | 'Write' = 'Read') =>
    (await fixture.store.grant(id, access, 3600)).sasUrl
  beforeAll(async () => {
    fixture = await startFixture({ now: () => now })
    image = await makeImage(join(fixture.folder, 'disk.img'), sizeBytes, [0, 1, 2, 3, 7, 9])
    await fixture.store.adoptRawImage('disk', image)
    await fixture.store.snapshot('disk', 'first')
    await writePages(image, [1, 5])
    await writePages(image, [2, 9], new Uint8Array(page))
    await fixture.store.snapshot('disk', 'second')
    await fixture.store.createUpload('upload', sizeBytes)
    ;[first, second, disk, upload] = await Promise.all([
      granted('first'),
      granted('second'),
      granted('disk'),
      granted('upload', 'Write'),
    ])
  })
  afterAll(() => fixture[Symbol.asyncDispose]())
  afterEach(() => {
    fixture.plane.faults.clear()
    fixture.plane.settings.pageListMax = 10_000
    fixture.plane.settings.latencyMs = 0
  })

  describe('reading', () => {
    it('answers HEAD with the length of disk and footer', async () => {
      const answer = await raw(second, { method: 'HEAD' })
      expect(answer.status).toBe(200)
      expect(answer.headers).toMatchObject({
        'content-length': String(blobBytes),
        'accept-ranges': 'bytes',
        'x-ms-blob-type': 'PageBlob',
        'content-type': 'application/octet-stream',
        'x-ms-version': '2018-11-09',
      })
    })

    it('answers a range with 206 and says which', async () => {
      const answer = await raw(second, { headers: { range: 'bytes=4096-8191' } })
      expect(answer.status).toBe(206)
      expect(answer.headers['content-range']).toBe(`bytes 4096-8191/${blobBytes}`)
      expect(answer.body.equals((await readFile(image)).subarray(page, 2 * page))).toBe(true)
    })

    it('prefers x-ms-range to Range', async () => {
      const answer = await raw(second, { headers: { range: 'bytes=0-0', 'x-ms-range': 'bytes=512-1023' } })
      expect(answer.headers['content-range']).toBe(`bytes 512-1023/${blobBytes}`)
    })

    it('ends an open or too long range with the footer', async () => {
      const [open, long] = await Promise.all(
        [`bytes=${sizeBytes - 512}-`, `bytes=${sizeBytes - 512}-${sizeBytes * 2}`].map((range) =>
          raw(second, { headers: { range } }),
        ),
      )
      expect(open?.body.byteLength).toBe(1024)
      expect(open?.body.toString('latin1', 512, 520)).toBe('conectix')
      expect(long?.body.equals(open?.body ?? Buffer.of())).toBe(true)
    })

    it('gives all bytes with 200 where no range is named', async () => {
      const answer = await raw(disk)
      expect([answer.status, answer.body.byteLength]).toEqual([200, blobBytes])
      expect(answer.body.subarray(0, sizeBytes).equals(await readFile(image))).toBe(true)
    })

    it('gives the MD5 of up to 4 MiB', async () => {
      const answer = await raw(second, { headers: { range: 'bytes=0-4095', 'x-ms-range-get-content-md5': 'true' } })
      expect(answer.headers['content-md5']).toBe(createHash('md5').update(answer.body).digest('base64'))
      const whole = await raw(second, { headers: { 'x-ms-range-get-content-md5': 'true' } })
      expectError(whole, 400, 'InvalidHeaderValue')
    })

    it.each([
      ['bytes=5-4', 400, 'InvalidHeaderValue'],
      ['bytes=-512', 400, 'InvalidHeaderValue'],
      ['0-511', 400, 'InvalidHeaderValue'],
      ['bytes=0-1,3-4', 400, 'InvalidHeaderValue'],
      [`bytes=${blobBytes}-`, 416, 'InvalidRange'],
    ])('refuses the range %s', async (range, status, code) => {
      expectError(await raw(second, { headers: { range } }), status, code)
    })

    it('shows at once what another program writes to an adopted image', async () => {
      const before = await raw(disk, { method: 'HEAD' })
      await writePages(image, [100])
      const after = await raw(disk, { headers: { range: `bytes=${100 * page}-${101 * page - 1}` } })
      expect(after.headers.etag).not.toBe(before.headers.etag)
      expect(after.body.equals((await readFile(image)).subarray(100 * page, 101 * page))).toBe(true)
      expect(rangesOf((await raw(`${disk}&comp=pagelist`)).text).some(([, start]) => start === 100 * page)).toBe(true)
    })

    it('keeps the bytes of snapshots whatever happens to their disk', async () => {
      const before = await raw(second)
      await writePages(image, [200])
      const after = await raw(second)
      expect(after.headers.etag).toBe(before.headers.etag)
      expect(after.body.equals(before.body)).toBe(true)
    })
  })

  describe('access', () => {
    it.each([
      ['no signature', (url: string) => url.replace(/&sig=[^&]*/, '')],
      ['a wrong signature', (url: string) => url.replace(/&sig=./, '&sig=%21')],
      ['no SAS', (url: string) => url.replace(/\?.*/, '')],
      ['another path', (url: string) => url.replace('/abcd?', '/abce?')],
      ['no such account', (url: string) => url.replace(/md-[0-9a-f]+/, 'md-000000000000')],
    ])('is refused for %s', async (_name, change) => {
      expectError(await raw(change(second)), 403, 'AuthenticationFailed')
    })

    it('ends with its time', async () => {
      await fixture.store.snapshot('disk', 'short')
      const { sasUrl } = await fixture.store.grant('short', 'Read', 30)
      expect((await raw(sasUrl, { method: 'HEAD' })).status).toBe(200)
      now = new Date(now.getTime() + 30_000)
      expectError(await raw(sasUrl), 403, 'AuthenticationFailed')
    })

    it('ends with a revoke and with the content', async () => {
      await fixture.store.snapshot('disk', 'gone')
      const revoked = await granted('gone')
      await fixture.store.revoke('gone')
      expectError(await raw(revoked), 403, 'AuthenticationFailed')
      const removed = await granted('gone')
      await fixture.store.remove('gone')
      expectError(await raw(removed), 403, 'AuthenticationFailed')
      expect((await raw(removed, { method: 'HEAD' })).body.byteLength).toBe(0)
    })

    it('for reading does not allow writing', async () => {
      const headers = { 'x-ms-page-write': 'update', range: 'bytes=0-511', 'content-length': '512' }
      expectError(
        await raw(`${second}&comp=page`, { method: 'PUT', headers, body: new Uint8Array(512) }),
        403,
        'AuthorizationPermissionMismatch',
      )
    })

    it.each([
      ['DELETE', '', 403, 'AuthorizationPermissionMismatch'],
      ['PUT', '', 403, 'AuthorizationPermissionMismatch'],
      ['GET', '&comp=metadata', 403, 'AuthorizationPermissionMismatch'],
      ['PUT', '&comp=pagelist', 403, 'AuthorizationPermissionMismatch'],
      ['GET', '&comp=nonsense', 400, 'InvalidQueryParameterValue'],
      ['POST', '', 405, 'UnsupportedHttpVerb'],
    ])('does not reach %s %s', async (method, query, status, code) => {
      expectError(await raw(`${second}${query}`, { method }), status, code)
    })
  })

  describe('listing', () => {
    const allocated = [
      ['Page', 0, 2 * page - 1],
      ['Page', 3 * page, 4 * page - 1],
      ['Page', 5 * page, 6 * page - 1],
      ['Page', 7 * page, 8 * page - 1],
    ] as const
    const changed = [
      ['Page', page, 2 * page - 1],
      ['Clear', 2 * page, 3 * page - 1],
      ['Page', 5 * page, 6 * page - 1],
      ['Clear', 9 * page, 10 * page - 1],
    ] as const
    const diff = (headers: Record<string, string> = {}, query = '') =>
      raw(`${second}&comp=pagelist${query}`, {
        headers: versioned({ 'x-ms-previous-snapshot-url': first, ...headers }),
      })

    it('names allocated ranges with inclusive ends, after a byte order mark', async () => {
      const answer = await raw(`${second}&comp=pagelist`, { headers: versioned() })
      expect(answer.status).toBe(200)
      expect(answer.body.subarray(0, 3).toString('hex')).toBe('efbbbf')
      expect(answer.text).toMatch(
        /^\uFEFF<\?xml version="1.0" encoding="utf-8"\?>\n<PageList><PageRange><Start>0<\/Start>/,
      )
      expect(rangesOf(answer.text)).toEqual(allocated)
      expect(answer.headers['x-ms-blob-content-length']).toBe(String(blobBytes))
      expect(nextMarkerOf(answer.text)).toBeNull()
    })

    it('names what was written and cleared since a previous snapshot, in order', async () => {
      expect(rangesOf((await diff()).text)).toEqual(changed)
    })

    it('of a snapshot against itself is empty', async () => {
      expect(rangesOf((await diff({ 'x-ms-previous-snapshot-url': second })).text)).toEqual([])
    })

    it('comes in pages of maxresults, each with the marker of the next', async () => {
      const pages: (readonly (readonly [string, number, number])[])[] = []
      for (let marker: string | null = ''; marker !== null; ) {
        const answer: RawAnswer = await diff({}, `&maxresults=3&marker=${encodeURIComponent(marker)}`)
        pages.push(rangesOf(answer.text))
        marker = nextMarkerOf(answer.text)
      }
      expect(pages.map(({ length }) => length)).toEqual([3, 1])
      expect(pages.flat()).toEqual(changed)
    })

    it('comes in smaller pages where the server is set so', async () => {
      fixture.plane.settings.pageListMax = 1
      const answer = await diff({}, '&maxresults=5000')
      expect(rangesOf(answer.text)).toHaveLength(1)
      expect(nextMarkerOf(answer.text)).not.toBeNull()
    })

    it('is clipped to a window, with markers inside it', async () => {
      const window = { 'x-ms-range': `bytes=${page}-${5 * page + 511}` }
      const answer = await diff(window, '&maxresults=2')
      expect(rangesOf(answer.text)).toEqual(changed.slice(0, 2))
      const rest = await diff(window, `&marker=${encodeURIComponent(nextMarkerOf(answer.text) ?? '')}`)
      expect(rangesOf(rest.text)).toEqual([['Page', 5 * page, 5 * page + 511]])
      expect(nextMarkerOf(rest.text)).toBeNull()
    })

    it('of a version before markers is whole', async () => {
      fixture.plane.settings.pageListMax = 1
      const answer = await raw(`${second}&comp=pagelist`, { headers: { 'x-ms-version': '2020-08-04' } })
      expect(rangesOf(answer.text)).toEqual(allocated)
    })

    it.each([
      ['a window behind the end', { 'x-ms-range': `bytes=${blobBytes}-${blobBytes + 511}` }, '', 416, 'InvalidRange'],
      ['maxresults of zero', {}, '&maxresults=0', 400, 'OutOfRangeQueryParameterValue'],
      ['negative maxresults', {}, '&maxresults=-1', 400, 'OutOfRangeQueryParameterValue'],
      ['maxresults that is no number', {}, '&maxresults=all', 400, 'InvalidQueryParameterValue'],
      ['a marker it never gave', {}, '&marker=nonsense', 400, 'InvalidQueryParameterValue'],
      [
        'a previous snapshot as query',
        {},
        '&prevsnapshot=2026-01-01T00%3A00%3A00.0000000Z',
        400,
        'InvalidQueryParameterValue',
      ],
      [
        'a previous snapshot that is no URL',
        { 'x-ms-previous-snapshot-url': 'nonsense' },
        '',
        400,
        'InvalidHeaderValue',
      ],
      [
        'a foreign previous snapshot',
        { 'x-ms-previous-snapshot-url': 'https://elsewhere.example/a/b/abcd?sig=x' },
        '',
        403,
        'AuthenticationFailed',
      ],
      ['a version that knows no previous snapshot', { 'x-ms-version': '2019-02-02' }, '', 400, 'UnsupportedHeader'],
    ])('refuses %s', async (_name, headers, query, status, code) => {
      expectError(await diff(headers, query), status, code)
    })

    it('refuses a base that is newer, of another disk, live, or revoked', async () => {
      const newer = await raw(`${first}&comp=pagelist`, {
        headers: versioned({ 'x-ms-previous-snapshot-url': second }),
      })
      expectError(newer, 400, 'PreviousSnapshotCannotBeNewer')
      await fixture.store.adoptRawImage('other', await makeImage(join(fixture.folder, 'other.img'), sizeBytes))
      await fixture.store.snapshot('other', 'foreign')
      const foreign = await granted('foreign')
      expectError(await diff({ 'x-ms-previous-snapshot-url': foreign }), 409, 'PreviousSnapshotNotFound')
      expectError(await diff({ 'x-ms-previous-snapshot-url': disk }), 409, 'PreviousSnapshotOperationNotSupported')
      await fixture.store.revoke('foreign')
      expectError(await diff({ 'x-ms-previous-snapshot-url': foreign }), 403, 'AuthenticationFailed')
    })

    it('refuses to compare across a growth over 4 TiB, and compares on one side of it', async () => {
      const tebibyte = 2 ** 40
      await fixture.store.createEmpty('big', 4 * tebibyte)
      await fixture.store.snapshot('big', 'at-4')
      await fixture.store.resize('big', 5 * tebibyte)
      await fixture.store.snapshot('big', 'at-5')
      await fixture.store.resize('big', 6 * tebibyte)
      await fixture.store.snapshot('big', 'at-6')
      const [four, five, six] = [await granted('at-4'), await granted('at-5'), await granted('at-6')]
      const ask = (target: string, base: string) =>
        raw(`${target}&comp=pagelist`, { headers: versioned({ 'x-ms-previous-snapshot-url': base }) })
      expectError(await ask(five, four), 409, 'PreviousSnapshotOperationNotSupported')
      expect((await ask(six, five)).status).toBe(200)
    })
  })

  describe('conditions', () => {
    const head = async () => {
      const { headers } = await raw(second, { method: 'HEAD' })
      return { etag: String(headers.etag), modified: Date.parse(String(headers['last-modified'])) }
    }
    const at = (time: number) => new Date(time).toUTCString()
    it.each(['', '&comp=pagelist'])('of a read are held to, of GET %s', async (query) => {
      const { etag, modified } = await head()
      const ask = async (headers: Record<string, string>) =>
        (await raw(`${second}${query}`, { headers: versioned(headers) })).status
      expect(await ask({ 'if-match': etag })).toBe(200)
      expect(await ask({ 'if-match': '"garbage"' })).toBe(412)
      expect(await ask({ 'if-none-match': etag })).toBe(304)
      expect(await ask({ 'if-none-match': etag.replaceAll('"', '') })).toBe(304)
      expect(await ask({ 'if-none-match': '"garbage"' })).toBe(200)
      expect(await ask({ 'if-unmodified-since': at(modified) })).toBe(200)
      expect(await ask({ 'if-unmodified-since': at(modified - 86_400_000) })).toBe(412)
      expect(await ask({ 'if-modified-since': at(modified) })).toBe(304)
      expect(await ask({ 'if-modified-since': at(modified - 86_400_000) })).toBe(200)
    })

    it('that fail say ConditionNotMet, a 304 without a body', async () => {
      const { etag } = await head()
      const unchanged = await raw(second, { headers: { 'if-none-match': etag } })
      expect([unchanged.headers['x-ms-error-code'], unchanged.body.byteLength]).toEqual(['ConditionNotMet', 0])
      expectError(await raw(second, { headers: { 'if-match': '"garbage"' } }), 412, 'ConditionNotMet')
    })
  })

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

  describe('its switches', () => {
    it('count requests, bytes and previous snapshots, also at a URL', async () => {
      fixture.plane.counters.reset()
      await raw(second, { headers: { range: 'bytes=0-999' } })
      await raw(second, { headers: { range: 'bytes=zero' } })
      await raw(`${second}&comp=pagelist`, { headers: versioned({ 'x-ms-previous-snapshot-url': first }) })
      const counts = JSON.parse((await raw(`${fixture.plane.origin}/_emulator/counters`)).text)
      expect(counts).toEqual(fixture.plane.counters.read())
      expect(counts.operations.GetBlob).toMatchObject({ requests: 2, failed: 1 })
      expect(counts.operations.GetBlob.bytesOut).toBeGreaterThan(1000)
      expect(counts.previousSnapshotRequests).toBe(1)
      expect(JSON.stringify(counts)).not.toMatch(/sig/)
    })

    it('delay every request', async () => {
      fixture.plane.settings.latencyMs = 60
      const start = performance.now()
      await raw(second, { method: 'HEAD' })
      expect(performance.now() - start).toBeGreaterThan(55)
    })

    it('let faults strike the operation, the request and as often as asked for', async () => {
      fixture.plane.faults.add({ operation: 'GetBlob', afterRequests: 1, times: 2, status: 503, retryAfterSeconds: 7 })
      const ask = () => raw(second, { headers: { range: 'bytes=0-0' } })
      expect((await raw(second, { method: 'HEAD' })).status).toBe(200)
      expect((await ask()).status).toBe(206)
      const struck = await ask()
      expectError(struck, 503, 'ServerBusy')
      expect(struck.headers['retry-after']).toBe('7')
      expect([(await ask()).status, (await ask()).status]).toEqual([503, 206])
    })

    it('cut bodies and connections', async () => {
      fixture.plane.faults.add({ cutBodyAtBytes: 10 })
      await expect(raw(second, { headers: { range: 'bytes=0-511' } })).rejects.toThrow(/aborted/)
      fixture.plane.faults.add({ dropConnection: true })
      await expect(raw(second)).rejects.toThrow(/hang up|reset/i)
    })
  })
})
