import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import {
  makeImage,
  nextMarkerOf,
  type PlaneFixture,
  page,
  type RawAnswer,
  rangesOf,
  raw,
  versioned,
} from './plane-fixture.ts'
import { blobBytes, expectError, type PlaneWorld, sizeBytes, startWorld } from './plane-world.ts'

/** What the REST documentation and recorded traffic of managed disks promise, asked for without any client library. */
describe('the data plane', () => {
  let world: PlaneWorld
  let fixture: PlaneFixture
  let first: string
  let second: string
  let disk: string
  let granted: PlaneWorld['granted']
  beforeAll(async () => {
    world = await startWorld()
    ;({ fixture, first, second, disk, granted } = world)
  })
  afterAll(() => world.fixture[Symbol.asyncDispose]())
  afterEach(() => world.settle())

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
