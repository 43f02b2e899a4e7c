import { describe, expect, it } from 'vitest'
import { createFrameGatherer } from '../../shared/vault/frame-gatherer.ts'
import type { ArrivedRead } from '../../shared/vault/read-ahead.ts'
import { fc } from '../support/fast-check.ts'
import { mib } from '../support/vault-world.ts'

const page = 4096
const capacityBytes = 4 * page

/** One read of pages, each zero (false) or filled with a number of its own. */
const readOf = (pages: readonly boolean[], offsetBytes: number): ArrivedRead => {
  const bytes = Buffer.alloc(pages.length * page)
  for (const [index, isData] of pages.entries())
    if (isData) bytes.fill(1 + ((offsetBytes / page + index) % 255), index * page, (index + 1) * page)
  const extent = { offsetBytes, lengthBytes: bytes.length }
  return { read: { ...extent, parts: [{ kind: 'data', ...extent }] }, bytes }
}

describe('frames', () => {
  it('hold all data of the reads in order, each full but the last, whether they are views or copies', () => {
    const reads = fc.array(
      fc.array(fc.oneof({ weight: 5, arbitrary: fc.constant(true) }, fc.constant(false)), {
        minLength: 1,
        maxLength: 12,
      }),
      { maxLength: 8 },
    )
    fc.assert(
      fc.property(reads, (pagesOfReads) => {
        const gatherer = createFrameGatherer(capacityBytes)
        const gathered: { plain: Buffer; runs: readonly { lengthBytes: number; isZero: boolean }[] }[] = []
        const expected: Buffer[] = []
        let offsetBytes = 0
        for (const pages of pagesOfReads) {
          const arrived = readOf(pages, offsetBytes)
          offsetBytes += arrived.bytes.length
          expected.push(
            ...pages.flatMap((isData, index) =>
              isData ? [Buffer.from(arrived.bytes.subarray(index * page, (index + 1) * page))] : [],
            ),
          )
          for (const frame of gatherer.add(arrived))
            gathered.push({ plain: Buffer.from(frame.plain), runs: frame.runs })
          arrived.bytes.fill(0xee)
        }
        for (const frame of gatherer.finish()) gathered.push({ plain: Buffer.from(frame.plain), runs: frame.runs })
        expect(Buffer.concat(gathered.map(({ plain }) => plain)).equals(Buffer.concat(expected))).toBe(true)
        for (const { plain, runs } of gathered)
          expect(runs.reduce((sum, { isZero, lengthBytes }) => sum + (isZero ? 0 : lengthBytes), 0)).toBe(plain.length)
        for (const { plain } of gathered.slice(0, -1)) expect(plain.length).toBe(capacityBytes)
        const covered = gathered.flatMap(({ runs }) => runs).reduce((sum, { lengthBytes }) => sum + lengthBytes, 0)
        expect(covered).toBe(offsetBytes)
      }),
    )
  })

  it('are not copied where they lie whole in one read', () => {
    const gatherer = createFrameGatherer(mib)
    const arrived = readOf(
      Array.from({ length: 512 }, () => true),
      0,
    )
    const frames = [...gatherer.add(arrived)]
    expect(frames.map(({ plain }) => [plain.buffer === arrived.bytes.buffer, plain.length])).toEqual([
      [true, mib],
      [true, mib],
    ])
    expect([...gatherer.finish()]).toEqual([])
  })
})
