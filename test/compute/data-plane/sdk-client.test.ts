import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { AnonymousCredential, PageBlobClient } from '@azure/storage-blob'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { makeFooter } from '../../../local/compute/disks/vhd-footer.ts'
import { makeImage, mebibyte, type PlaneFixture, page, startFixture } from './plane-fixture.ts'

/** The official client, used where it is right: it counts ranges of getPageRanges one byte short, so their starts alone count. */
describe('the data plane under the official PageBlobClient', () => {
  let fixture: PlaneFixture
  let image: string
  let reading: PageBlobClient
  beforeAll(async () => {
    fixture = await startFixture()
    image = await makeImage(join(fixture.folder, 'disk.img'), 4 * mebibyte, [0, 1, 5, 700])
    await fixture.store.adoptRawImage('/disks/one', image)
    await fixture.store.snapshot('/disks/one', '/snapshots/one')
    reading = open((await fixture.store.grant('/snapshots/one', 'Read', 600)).sasUrl)
  })
  afterAll(() => fixture[Symbol.asyncDispose]())

  it('shows a page blob that is 512 bytes longer than the disk', async () => {
    const properties = await reading.getProperties()
    expect(properties.contentLength).toBe(4 * mebibyte + 512)
    expect(properties.blobType).toBe('PageBlob')
    expect(properties.etag).toMatch(/^"0x8D[0-9A-F]{13}"$/)
  })

  it('downloads the bytes of the disk and a footer behind them', async () => {
    const bytes = await reading.downloadToBuffer()
    expect(bytes.subarray(0, 4 * mebibyte).equals(await readFile(image))).toBe(true)
    expect(bytes.subarray(-512, -504).toString()).toBe('conectix')
  })

  it('downloads one range with its MD5', async () => {
    const part = await reading.download(5 * page, page, { rangeGetContentMD5: true })
    expect(part.contentRange).toBe(`bytes ${5 * page}-${6 * page - 1}/${4 * mebibyte + 512}`)
    expect(part.contentMD5).toBeDefined()
  })

  it('lists allocated ranges in pages, with inclusive ends', async () => {
    const ranges = []
    for await (const listed of reading.listPageRanges(0, undefined).byPage({ maxPageSize: 1 })) {
      ranges.push(...(listed.pageRange ?? []))
    }
    expect(ranges.map(({ start, end }) => [start, end])).toEqual([
      [0, 2 * page - 1],
      [5 * page, 6 * page - 1],
      [700 * page, 701 * page - 1],
    ])
  })

  it('gives the starts of the ranges of a window', async () => {
    const { pageRange } = await reading.getPageRanges(2 * page, 100 * page)
    expect(pageRange?.map((range) => range.offset)).toEqual([5 * page])
  })

  it('takes pages, clears and a footer on an upload, which is then a disk with these bytes', async () => {
    const { store } = fixture
    const { imagePath } = await store.createUpload('/disks/restored', 2 * mebibyte)
    const writing = open((await store.grant('/disks/restored', 'Write', 600)).sasUrl)
    const bytes = randomBytes(3 * page)
    await writing.uploadPages(bytes, page, bytes.byteLength)
    await writing.uploadPages(bytes.subarray(0, 512), 1536, 512)
    await writing.clearPages(2 * page, page)
    expect((await writing.getPageRanges()).pageRange?.map((range) => range.offset)).toEqual([0, 3 * page])
    const footer = makeFooter(2 * mebibyte, new Date(), '00'.repeat(16))
    expect((await store.finishUpload('/disks/restored')).kind).toBe('badFooter')
    await writing.uploadPages(footer, 2 * mebibyte, 512)
    expect(await store.finishUpload('/disks/restored')).toEqual({ kind: 'ok' })
    const written = await readFile(imagePath)
    const expected = Buffer.alloc(2 * mebibyte)
    bytes.copy(expected, page)
    expected.fill(0, 2 * page, 3 * page)
    bytes.copy(expected, 1536, 0, 512)
    expect(written.equals(expected)).toBe(true)
  })

  it('refuses the URL of a previous snapshot as a query parameter, which the client sends for it', async () => {
    const listing = reading.listPageRangesDiff(0, mebibyte, 'http://127.0.0.1/some/snapshot')
    await expect(listing.next()).rejects.toMatchObject({ statusCode: 400, code: 'InvalidQueryParameterValue' })
  })
})

const open = (sasUrl: string): PageBlobClient => new PageBlobClient(sasUrl, new AnonymousCredential())
