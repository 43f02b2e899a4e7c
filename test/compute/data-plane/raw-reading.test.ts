import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type PlaneFixture, page, rangesOf, raw, versioned, writePages } from './plane-fixture.ts'
import { blobBytes, expectError, type PlaneWorld, sizeBytes, startWorld } from './plane-world.ts'

/** What the REST documentation and recorded traffic of managed disks promise, asked for without any client library. */
describe('the data plane', () => {
  let world: PlaneWorld
  let fixture: PlaneFixture
  let image: string
  let second: string
  let disk: string
  let granted: PlaneWorld['granted']
  let pass: PlaneWorld['pass']
  beforeAll(async () => {
    world = await startWorld()
    ;({ fixture, image, second, disk, granted, pass } = world)
  })
  afterAll(() => world.fixture[Symbol.asyncDispose]())
  afterEach(() => world.settle())

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
      pass(30_000)
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
})
