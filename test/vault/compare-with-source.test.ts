import { beforeAll, describe, expect, it } from 'vitest'
import { differingToldMax } from '../../shared/domain/disk-report.ts'
import type { ChangedRange } from '../../shared/domain/extent.ts'
import type { CommittedDisk } from '../../shared/domain/recovery-point.ts'
import { keyRingOf } from '../../shared/format/data-key.ts'
import { type CompareRequest, compareWithSource } from '../../shared/vault/compare-with-source.ts'
import { allocatedRanges, applyWrites } from '../support/disk-history.ts'
import { goldenKeys } from '../support/golden-keys.ts'
import { createMemoryBlobStore } from '../support/memory-blob-store.ts'
import { memoryDiskReader } from '../support/memory-disk.ts'
import { seededRandom } from '../support/seeded-random.ts'
import { backUp, mib } from '../support/vault-world.ts'
import { virtualClock } from '../support/virtual-clock.ts'

const window = 16 * mib
const diskBytes = 3 * window + 8192
const random = seededRandom(9)
const data = (offsetBytes: number, lengthBytes: number) => ({
  kind: 'data' as const,
  offsetBytes,
  bytes: random.bytes(lengthBytes),
})
const source = applyWrites(Buffer.alloc(diskBytes), [
  data(4096, 8192),
  data(window + 512, 4096),
  data(3 * window, 512),
]).bytes
const vault = createMemoryBlobStore()
const keys = keyRingOf([goldenKeys.current])

let disk: CommittedDisk
beforeAll(async () => {
  const stores = { vault, control: createMemoryBlobStore(), clock: virtualClock() }
  const disks = [{ disk: 'os', bytes: source, ranges: listed }]
  const encoding = { compression: 'zstd' as const, key: goldenKeys.current }
  const point = await backUp(stores, { recoveryPointId: 'r1', base: null, disks, encoding })
  disk = point.disks[0] ?? expect.unreachable()
})

const listed = allocatedRanges(source)
/** What a platform would list of the source with one more byte written. */
const withPage = (at: number | null): readonly ChangedRange[] => {
  const isListed = listed.some(
    ({ offsetBytes, lengthBytes }) => at !== null && offsetBytes <= at && at < offsetBytes + lengthBytes,
  )
  if (at === null || isListed) return listed
  const sector = { offsetBytes: at - (at % 512), lengthBytes: 512, kind: 'data' as const }
  return [...listed, sector].sort((a, b) => a.offsetBytes - b.offsetBytes)
}

const compare = (changedAt: number | null, request: Partial<CompareRequest> = {}) => {
  const bytes = changedAt === null ? source : changed(changedAt)
  const reader = memoryDiskReader(bytes, withPage(changedAt))
  const whole = { disk, fromOffsetBytes: 0, budgetBytes: Infinity, sample: { oneIn: 1, first: 0 } }
  return compareWithSource({ vault, reader, keys }, { ...whole, ...request })
}
const changed = (at: number): Buffer => {
  const bytes = Buffer.from(source)
  bytes[at] = (bytes[at] ?? 0) ^ 1
  return bytes
}

describe('a recovery point that is compared with its source', () => {
  it('is equal to it, and where neither has anything nothing is read', async () => {
    const outcome = { kind: 'done', differingBytes: 0, differing: [], comparedBytes: 2 * window + 8192 }
    expect(await compare(null)).toEqual({ ...outcome, nextOffsetBytes: diskBytes })
  })

  it('differs at the pages that do, be they stored, zero in the vault, or at the end of the disk', async () => {
    for (const at of [5000, 0, window + 600, 2 * window + 70_000, 3 * window, diskBytes - 1]) {
      const differing = [{ offsetBytes: at - (at % 4096), lengthBytes: 4096 }]
      expect(await compare(at), `at ${at}`).toMatchObject({ kind: 'done', differingBytes: 4096, differing })
    }
  })

  it('tells the first of many ranges that differ, and counts all', async () => {
    const pages = Array.from({ length: differingToldMax + 2 }, (_, index) => 2 * index)
    const bytes = Buffer.from(source)
    for (const page of pages) bytes.writeUInt8((bytes[page * 4096] ?? 0) ^ 1, page * 4096)
    const whole = [{ offsetBytes: 0, lengthBytes: diskBytes, kind: 'data' as const }]
    const request = { disk, fromOffsetBytes: 0, budgetBytes: Infinity, sample: { oneIn: 1, first: 0 } }
    const reader = memoryDiskReader(bytes, whole)
    const told = pages.slice(0, differingToldMax).map((page) => ({ offsetBytes: page * 4096, lengthBytes: 4096 }))
    expect(await compareWithSource({ vault, reader, keys }, request)).toMatchObject({
      kind: 'done',
      differingBytes: pages.length * 4096,
      differing: told,
    })
  })

  it('is compared in steps, or by samples', async () => {
    const first = await compare(window + 600, { budgetBytes: 1 })
    expect(first).toMatchObject({ kind: 'more', nextOffsetBytes: window, differingBytes: 0 })
    const rest = await compare(window + 600, { fromOffsetBytes: window })
    expect(rest).toMatchObject({ kind: 'done', differingBytes: 4096 })
    const missing = await compare(window + 600, { sample: { oneIn: 2, first: 0 } })
    expect(missing).toMatchObject({ kind: 'done', differingBytes: 0, comparedBytes: window })
    const hitting = await compare(window + 600, { sample: { oneIn: 2, first: 1 } })
    expect(hitting).toMatchObject({ kind: 'done', differingBytes: 4096 })
  })

  it('is not compared with a source of another size', async () => {
    const larger = { ...disk, sizeBytes: diskBytes + mib }
    expect(await compare(null, { disk: larger })).toEqual({ kind: 'size-differs', sourceBytes: diskBytes })
  })
})
