import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createSasDiskReader } from '../../shared/azure/sas-disk-reader.ts'
import type { DiskReader } from '../../shared/ports/disk-reader.ts'
import { SourceError } from '../../shared/ports/disk-reader.ts'
import {
  makeImage,
  mebibyte,
  type PlaneFixture,
  page,
  startFixture,
  writePages,
} from '../compute/data-plane/plane-fixture.ts'
import { listed, quick } from './sas-fixture.ts'

const sizeBytes = 4 * mebibyte
const zeros = new Uint8Array(page)

/** The reader against the emulator's data plane: one disk, a snapshot, changes of every kind, a second snapshot. */
describe('the disk reader over SAS URLs', () => {
  let fixture: PlaneFixture
  let image: string
  let before: Buffer
  const readers: DiskReader[] = []
  const open = async (base: string | null, snapshot = 'second'): Promise<DiskReader> => {
    const baseSasUrl = base === null ? null : (await fixture.store.grant(base, 'Read', 600)).sasUrl
    const { sasUrl } = await fixture.store.grant(snapshot, 'Read', 600)
    const reader = createSasDiskReader({ sasUrl, baseSasUrl, limits: quick })
    readers.push(reader)
    return reader
  }
  beforeEach(async () => {
    fixture = await startFixture()
    image = await makeImage(join(fixture.folder, 'disk.img'), sizeBytes, [0, 1, 2, 10, 11, 12, 20, 500])
    await fixture.store.adoptRawImage('disk', image)
    await fixture.store.snapshot('disk', 'first')
    before = await readFile(image)
    await writePages(image, [1, 11, 30, 31, 1023])
    await writePages(image, [12, 20], zeros)
    await fixture.store.snapshot('disk', 'second')
  })
  afterEach(async () => {
    for (const reader of readers.splice(0)) reader.close()
    await fixture[Symbol.asyncDispose]()
  })

  const changes = [
    { kind: 'data', offsetBytes: page, lengthBytes: page },
    { kind: 'data', offsetBytes: 11 * page, lengthBytes: page },
    { kind: 'clear', offsetBytes: 12 * page, lengthBytes: page },
    { kind: 'clear', offsetBytes: 20 * page, lengthBytes: page },
    { kind: 'data', offsetBytes: 30 * page, lengthBytes: 2 * page },
    { kind: 'data', offsetBytes: 1023 * page, lengthBytes: page },
  ]

  it('knows the size of the raw disk, without the footer', async () => {
    expect(await (await open(null)).sizeBytes()).toBe(sizeBytes)
  })

  it('lists exactly what was written and cleared since the base', async () => {
    expect(await listed(await open('first'))).toEqual(changes)
    expect(fixture.plane.counters.read().previousSnapshotRequests).toBe(1)
  })

  it('lists the same over many pages as over one', async () => {
    fixture.plane.settings.pageListMax = 2
    const reader = await open('first')
    expect(await listed(reader)).toEqual(changes)
    expect(reader.counters.listCalls).toBe(3)
    expect(fixture.plane.counters.read().markerRequests).toBe(2)
  })

  it('turns the base into the target by its list alone', async () => {
    const reader = await open('first')
    const rebuilt = Buffer.from(before)
    for (const { kind, offsetBytes, lengthBytes } of await listed(reader)) {
      const part = rebuilt.subarray(offsetBytes, offsetBytes + lengthBytes)
      if (kind === 'clear') part.fill(0)
      else await reader.readInto(part, offsetBytes)
    }
    expect(rebuilt.equals(await readFile(image))).toBe(true)
  })

  it('lists allocated ranges where there is no base', async () => {
    const ranges = await listed(await open(null))
    expect(ranges[0]).toEqual({ kind: 'data', offsetBytes: 0, lengthBytes: 3 * page })
    expect(ranges.every(({ kind }) => kind === 'data')).toBe(true)
    expect(fixture.plane.counters.read().previousSnapshotRequests).toBe(0)
  })

  it('clips a window', async () => {
    const window = { offsetBytes: 11 * page, lengthBytes: 20 * page }
    expect(await listed(await open('first'), window)).toEqual([
      ...changes.slice(1, 4),
      { kind: 'data', offsetBytes: 30 * page, lengthBytes: page },
    ])
  })

  it('lists nothing of a window behind the disk', async () => {
    expect(await listed(await open('first'), { offsetBytes: sizeBytes, lengthBytes: page })).toEqual([])
  })

  it('counts its requests and bytes', async () => {
    const reader = await open(null)
    await reader.readInto(new Uint8Array(3 * page), page)
    expect(reader.counters).toEqual({ listCalls: 0, readCalls: 1, readBytes: 3 * page })
  })

  it('keeps its connections, and no more of them than it may', async () => {
    const { sasUrl } = await fixture.store.grant('second', 'Read', 600)
    const reader = createSasDiskReader({ sasUrl, baseSasUrl: null, socketsMax: 3 })
    readers.push(reader)
    fixture.plane.counters.reset()
    fixture.plane.settings.latencyMs = 2
    const reads = Array.from({ length: 60 }, (_, index) => reader.readInto(new Uint8Array(page), index * page))
    await Promise.all(reads)
    expect(fixture.plane.counters.read().connections).toBe(3)
    expect(fixture.plane.counters.read().concurrentRequestsMax).toBe(3)
  })

  describe.each([
    ['throttled with 429', { status: 429, code: 'TooManyRequests', retryAfterSeconds: 0 }],
    ['throttled with 503', { status: 503 }],
    ['failing with 500', { status: 500 }],
    ['dropping the connection', { dropConnection: true }],
    ['cutting the body short', { cutBodyAtBytes: 100 }],
    ['cutting the body before its first byte', { cutBodyAtBytes: 0 }],
  ])('with a service %s', (_name, fault) => {
    it('reads and lists right all the same', async () => {
      const reader = await open('first')
      fixture.plane.faults.add({ ...fault, operation: 'GetPageRanges', times: 2 })
      fixture.plane.faults.add({ ...fault, operation: 'GetBlob', times: 2 })
      expect(await listed(reader)).toEqual(changes)
      const bytes = new Uint8Array(page)
      await reader.readInto(bytes, 30 * page)
      const file = await readFile(image)
      expect(file.subarray(30 * page, 31 * page).equals(bytes)).toBe(true)
    })

    it('gives up with a typed fault when the budget is spent', async () => {
      const reader = await open(null)
      fixture.plane.faults.add({ ...fault, operation: 'GetBlob', times: 100 })
      const failure = await reader.readInto(new Uint8Array(page), 0).catch((error: unknown) => error)
      expect(failure).toBeInstanceOf(SourceError)
      expect(['throttled', 'unreachable', 'short-body']).toContain((failure as SourceError).fault.code)
    })
  })

  it('does not wait for a Retry-After beyond its budget, but passes it on', async () => {
    const reader = await open(null)
    fixture.plane.faults.add({ status: 429, retryAfterSeconds: 1200, operation: 'GetBlob' })
    const failure = await reader.readInto(new Uint8Array(page), 0).catch((error: unknown) => error)
    expect((failure as SourceError).fault).toEqual({ code: 'throttled', retryAfterSeconds: 1200 })
  })

  it('says that access has ended, without the URL', async () => {
    const reader = await open(null)
    await fixture.store.revoke('second')
    const failure = (await reader.readInto(new Uint8Array(page), 0).catch((error: unknown) => error)) as SourceError
    expect(failure.fault).toEqual({ code: 'access-ended' })
    expect(`${failure.stack} ${JSON.stringify(failure)} ${String(failure.cause)}`).not.toMatch(/sig=|si=|127\.0\.0\.1/)
  })

  it('says that the base has ended, too', async () => {
    const reader = await open('first')
    await fixture.store.revoke('first')
    await expect(listed(reader)).rejects.toMatchObject({ fault: { code: 'access-ended' } })
  })

  it('says that there is no diff between snapshots of different disks', async () => {
    await fixture.store.adoptRawImage('other', await makeImage(join(fixture.folder, 'other.img'), sizeBytes, [3]))
    await fixture.store.snapshot('other', 'foreign')
    await expect(listed(await open('foreign'))).rejects.toMatchObject({
      fault: { code: 'diff-unsupported', serviceCode: 'PreviousSnapshotNotFound' },
    })
  })

  it('says that there is no diff from the newer to the older', async () => {
    const failure = listed(await open('second', 'first'))
    await expect(failure).rejects.toMatchObject({
      fault: { code: 'diff-unsupported', serviceCode: 'PreviousSnapshotCannotBeNewer' },
    })
  })

  it('stops when it is told to, with the reason given', async () => {
    const reader = await open(null)
    fixture.plane.settings.latencyMs = 5_000
    const reason = new Error('enough')
    const controller = new AbortController()
    const read = reader.readInto(randomBytes(page), 0, { signal: controller.signal })
    setTimeout(() => controller.abort(reason), 20)
    await expect(read).rejects.toBe(reason)
  })

  it('refuses what is no SAS URL without showing it', () => {
    expect(() => createSasDiskReader({ sasUrl: 'http://[nowhere?sig=secret', baseSasUrl: null })).toThrow(SourceError)
    expect(() => createSasDiskReader({ sasUrl: 'http://[nowhere?sig=secret', baseSasUrl: null })).not.toThrow(/secret/)
  })
})
