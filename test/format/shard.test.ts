import { describe, expect, it } from 'vitest'
import type { FramePlace } from '../../shared/format/frame.ts'
import { openShard, type Shard } from '../../shared/format/shard.ts'
import { createShardBuilder, type PlacedRun, type Run } from '../../shared/format/shard-builder.ts'
import { framedRuns } from '../support/arbitraries.ts'
import { fc } from '../support/fast-check.ts'

const origin = { name: 'object', place: 0 }
const sector = 512

const shardOf = (batches: readonly { readonly runs: readonly Run[]; readonly frame: FramePlace | null }[]): Shard => {
  const builder = createShardBuilder()
  for (const { runs, frame } of batches) builder.add(runs, frame)
  return openShard(builder.finish()?.bytes ?? Buffer.alloc(0), origin)
}

const frameOf = (ordinal: number, plainBytes: number): FramePlace => ({
  segment: `segments/r${ordinal % 3}/os/000000.0001-00000`,
  placeBytes: ordinal * 1000,
  storedBytes: 500,
  plainBytes,
  digest: Buffer.alloc(32, ordinal),
  birth: { recoveryPointId: `r${ordinal % 3}`, disk: 'os', slice: 0, attempt: 1, ordinal },
})

const taken = (shard: Shard, window: { offsetBytes: number; lengthBytes: number }, max: number): PlacedRun[] => {
  const cursor = shard.runsIn(window)
  const runs: PlacedRun[] = []
  for (let batch = cursor.take(max); batch.length > 0; batch = cursor.take(max)) runs.push(...batch)
  return runs
}

describe('runs of a window', () => {
  it('are those of the whole shard that touch it, whatever the window and the batches', () => {
    const edge = fc.record({ run: fc.nat(40), isEnd: fc.boolean(), sectors: fc.integer({ min: -1, max: 1 }) })
    fc.assert(
      fc.property(framedRuns(1), edge, edge, fc.integer({ min: 1, max: 9 }), (batches, from, to, max) => {
        const shard = shardOf(batches)
        const all = [...shard.placedRuns()]
        const at = ({ run, isEnd, sectors }: { run: number; isEnd: boolean; sectors: number }): number => {
          const { offsetBytes, lengthBytes } = all[run % all.length] ?? expect.unreachable()
          return Math.max(0, offsetBytes + (isEnd ? lengthBytes : 0) + sectors * sector)
        }
        const window = { offsetBytes: Math.min(at(from), at(to)), lengthBytes: Math.abs(at(to) - at(from)) }
        const end = window.offsetBytes + window.lengthBytes
        const touching = all.filter(
          (run) => run.offsetBytes < end && run.offsetBytes + run.lengthBytes > window.offsetBytes,
        )
        expect(taken(shard, window, max)).toEqual(touching)
      }),
    )
  })

  it('hold one object for all runs of a frame', () => {
    const runs = [0, 2, 4].map((at) => ({ offsetBytes: at * sector, lengthBytes: sector, isZero: false }))
    const shard = shardOf([{ runs, frame: frameOf(0, 3 * sector) }])
    const placed = [...shard.placedRuns(), ...taken(shard, { offsetBytes: 4 * sector, lengthBytes: sector }, 1)]
    expect(placed).toHaveLength(4)
    expect(new Set(placed.map(({ frame }) => frame)).size).toBe(1)
  })
})

describe('a run', () => {
  it('that is longer than an entry can tell is written as several', () => {
    const lengthBytes = 2 ** 33
    const runs = [{ offsetBytes: 2 ** 45, lengthBytes, isZero: true }]
    const parts = [...shardOf([{ runs, frame: null }]).placedRuns()]
    expect(parts.length).toBe(3)
    let end = 2 ** 45
    for (const part of parts) {
      expect(part.offsetBytes).toBe(end)
      expect(part.offsetBytes % 4096).toBe(0)
      end += part.lengthBytes
    }
    expect(end).toBe(2 ** 45 + lengthBytes)
  })

  it('takes 12 bytes wherever it lies, so an index grows with what changed and not with the disk', () => {
    const lengthAt = (offsetBytes: number): number => {
      const builder = createShardBuilder()
      for (let at = 0; at < 100; at += 1)
        builder.add([{ offsetBytes: offsetBytes + at * 8192, lengthBytes: 4096, isZero: true }], null)
      return builder.finish()?.bytes.length ?? 0
    }
    expect(lengthAt(0)).toBe(lengthAt(2 ** 48))
    expect(lengthAt(0)).toBe(48 + 100 * 12)
  })
})

/** Runs of several frames alternate, and parts of frames are hidden, as in a folded layer. */
const foldedRuns = (): PlacedRun[] => {
  const [old, next] = [frameOf(0, 8 * sector), frameOf(1, 4 * sector)]
  return [
    { offsetBytes: 0, lengthBytes: 2 * sector, frame: old, framePosition: 0 },
    { offsetBytes: 2 * sector, lengthBytes: sector, frame: next, framePosition: sector },
    { offsetBytes: 3 * sector, lengthBytes: sector, frame: null, framePosition: 0 },
    { offsetBytes: 4 * sector, lengthBytes: 3 * sector, frame: old, framePosition: 4 * sector },
    { offsetBytes: 9 * sector, lengthBytes: sector, frame: next, framePosition: 3 * sector },
  ]
}

describe('a shard of a folded layer', () => {
  const builder = createShardBuilder()
  for (const run of foldedRuns()) builder.addPlaced(run)
  const { frames, bytes } = builder.finish() ?? expect.unreachable()

  it('gives back alternating runs, and lists each frame once', () => {
    expect(frames).toBe(2)
    expect([...openShard(bytes, origin).placedRuns()]).toEqual(foldedRuns())
    expect(taken(openShard(bytes, origin), { offsetBytes: 5 * sector, lengthBytes: sector }, 9)).toEqual([
      foldedRuns()[3],
    ])
  })

  const runsAt = bytes.length - foldedRuns().length * 12
  it.each([
    ['runs that overlap', (list: Buffer) => list.writeUInt32LE(1, 12)],
    ['runs that go backwards', (list: Buffer) => list.writeUInt32LE(8, 0)],
    ['an empty run', (list: Buffer) => list.writeUInt32LE(0, 16)],
    ['a run beyond the end of its frame', (list: Buffer) => list.writeUInt16LE(6, 46)],
    ['a run of a frame that is not listed', (list: Buffer) => list.writeUInt16LE(2, 20)],
    ['a frame that no run names', (list: Buffer) => [20, 56].map((at) => list.writeUInt16LE(0, at))],
    ['a zero run with a place', (list: Buffer) => list.writeUInt16LE(1, 34)],
    ['another end than its last run', (list: Buffer) => list.writeUInt32LE(10, 48)],
  ])('is refused for %s', (_, damage) => {
    const copy = Buffer.from(bytes)
    damage(copy.subarray(runsAt))
    expect(() => [...openShard(copy, origin).placedRuns()]).toThrow(
      expect.objectContaining({ fault: expect.objectContaining({ code: 'malformed', name: 'object' }) }),
    )
  })

  it('begins anew after it was finished', () => {
    for (const run of foldedRuns()) builder.addPlaced(run)
    expect(builder.finish()?.bytes).toEqual(bytes)
  })
})
