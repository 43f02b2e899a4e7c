import { open, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createExtentFinder } from '../../local/compute/disks/allocated-extents.ts'
import type { DiskStoreOptions } from '../../local/compute/disks/store-state.ts'
import { createSasDiskReader } from '../../shared/azure/sas-disk-reader.ts'
import type { ChangedRange, Extent } from '../../shared/domain/extent.ts'
import { type PlaneFixture, page, startFixture } from '../compute/data-plane/plane-fixture.ts'
import { fc } from '../support/fast-check.ts'
import { listed, quick } from './sas-fixture.ts'

/** Method: an image is changed at random, the diff of two snapshots is read through the adapter, and the two states of the file,
 * kept in memory, are compared page by page without any code of ours. */
const pagesMax = 96
/** Each run takes two snapshots; a soak sets more. */
const numRuns = Number(process.env.PROPERTY_RUNS ?? 12)

interface Change {
  readonly kind: 'write' | 'zero' | 'grow'
  readonly start: number
  readonly count: number
  readonly byte: number
}

const change: fc.Arbitrary<Change> = fc.record({
  kind: fc.constantFrom('write' as const, 'write' as const, 'zero' as const, 'grow' as const),
  start: fc.nat(pagesMax - 1),
  count: fc.integer({ min: 1, max: 9 }),
  byte: fc.integer({ min: 1, max: 3 }),
})

const story = fc.record({
  pages: fc.integer({ min: 1, max: pagesMax }),
  before: fc.array(change, { maxLength: 12 }),
  between: fc.array(change, { maxLength: 8 }),
  pageListMax: fc.integer({ min: 1, max: 6 }),
  window: fc.option(fc.record({ start: fc.nat(pagesMax - 1), count: fc.integer({ min: 1, max: pagesMax }) })),
})
type Story = typeof story extends fc.Arbitrary<infer T> ? T : never

const apply = async (path: string, changes: readonly Change[]): Promise<void> => {
  const file = await open(path, 'r+')
  for (const { kind, start, count, byte } of changes) {
    const pages = (await file.stat()).size / page
    if (kind === 'grow') await file.truncate((pages + count) * page)
    const length = Math.min(count, pages - start) * page
    // Less than a page, too: the neighbours in the page must not be lost.
    if (kind !== 'grow' && length > 0)
      await file.write(Buffer.alloc(length - byte, kind === 'zero' ? 0 : byte), 0, length - byte, start * page + byte)
  }
  await file.close()
}

let serial = 0

const tell = async (fixture: PlaneFixture, told: Story) => {
  const name = `disk-${++serial}`
  const path = join(fixture.folder, `${name}.img`)
  await writeFile(path, '')
  await truncate(path, told.pages * page)
  await apply(path, told.before)
  await fixture.store.adoptRawImage(name, path)
  await fixture.store.snapshot(name, `${name}-a`)
  const before = await readFile(path)
  await apply(path, told.between)
  await fixture.store.adoptRawImage(name, path)
  await fixture.store.snapshot(name, `${name}-b`)
  const after = await readFile(path)
  const [base, target] = [
    await fixture.store.grant(`${name}-a`, 'Read', 600),
    await fixture.store.grant(`${name}-b`, 'Read', 600),
  ]
  fixture.plane.settings.pageListMax = told.pageListMax
  const reader = createSasDiskReader({ sasUrl: target.sasUrl, baseSasUrl: base.sasUrl, limits: quick })
  const window =
    told.window === null ? null : { offsetBytes: told.window.start * page, lengthBytes: told.window.count * page }
  const ranges = await listed(reader, window)
  await checkReads(reader, ranges, after)
  reader.close()
  for (const id of [`${name}-a`, `${name}-b`, name]) await fixture.store.remove(id)
  await rm(path)
  return { before: Buffer.concat([before, Buffer.alloc(after.byteLength - before.byteLength)]), after, ranges, window }
}

const checkReads = async (
  reader: ReturnType<typeof createSasDiskReader>,
  ranges: readonly ChangedRange[],
  after: Buffer,
) => {
  for (const { offsetBytes, lengthBytes } of ranges) {
    const bytes = new Uint8Array(lengthBytes)
    await reader.readInto(bytes, offsetBytes)
    expect(after.subarray(offsetBytes, offsetBytes + lengthBytes).equals(bytes)).toBe(true)
  }
}

const isIn = (index: number, window: Extent | null): boolean =>
  window === null || (index * page >= window.offsetBytes && index * page < window.offsetBytes + window.lengthBytes)

const pagesOf = (ranges: readonly Extent[]): number[] =>
  ranges.flatMap(({ offsetBytes, lengthBytes }) =>
    Array.from({ length: lengthBytes / page }, (_, index) => offsetBytes / page + index),
  )

const differing = (before: Buffer, after: Buffer, window: Extent | null): number[] =>
  Array.from({ length: after.byteLength / page }, (_, index) => index).filter(
    (index) =>
      isIn(index, window) &&
      before.compare(after, index * page, (index + 1) * page, index * page, (index + 1) * page) !== 0,
  )

const isZero = (bytes: Buffer, { offsetBytes, lengthBytes }: Extent): boolean =>
  bytes.subarray(offsetBytes, offsetBytes + lengthBytes).every((byte) => byte === 0)

describe.each([
  ['where the file system tells its extents', {}],
  ['where images must be scanned', { finder: createExtentFinder('scan') }],
  ['of images in several files', { fileBytesMax: 16 * page }],
] satisfies [string, Partial<DiskStoreOptions>][])('the diff of two snapshots %s', (_name, options) => {
  let fixture: PlaneFixture
  beforeAll(async () => {
    fixture = await startFixture(options)
  })
  afterAll(() => fixture[Symbol.asyncDispose]())

  it('names exactly the pages whose bytes differ, cleared ones only where all is zero', async () => {
    const property = fc.asyncProperty(story, async (told) => {
      const { before, after, ranges, window } = await tell(fixture, told)
      expect(pagesOf(ranges)).toEqual(differing(before, after, window))
      for (const range of ranges) if (range.kind === 'clear') expect(isZero(after, range)).toBe(true)
    })
    await fc.assert(property, { numRuns })
  }, 60_000)
})

describe('the widened diff of two snapshots', () => {
  it('names at least the pages that differ, whole neighbourhoods, and clears nothing that holds bytes', async () => {
    await using fixture = await startFixture({ diffGranularityBytes: 4 * page })
    const property = fc.asyncProperty(story, async (told) => {
      const { before, after, ranges, window } = await tell(fixture, { ...told, window: null })
      const named = new Set(pagesOf(ranges))
      expect(differing(before, after, window).every((index) => named.has(index))).toBe(true)
      for (const range of ranges) {
        if (range.kind === 'clear') expect(isZero(after, range)).toBe(true)
        else expect(range.offsetBytes % (4 * page)).toBe(0)
      }
    })
    await fc.assert(property, { numRuns })
  }, 60_000)
})
