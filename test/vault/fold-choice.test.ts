import { describe, expect, it } from 'vitest'
import type { LayerReference } from '../../shared/domain/recovery-point.ts'
import { chooseFold, type Stack, stackDepthMax } from '../../shared/vault/choose-folds.ts'
import { placeIn } from '../../shared/vault/commit-revision.ts'
import { seededRandom } from '../support/seeded-random.ts'

/** Years of daily recovery points as sets of changed places: a folded layer is as long as the union of what it folds. */
const places = 2500
const bytesPerPlace = 24_000

interface Year {
  readonly days: number
  readonly keeps: (day: number, today: number) => boolean
  /** Folds are made on every such day. */
  readonly foldsEvery: number
  readonly changedPlaces: number
}

interface Point {
  readonly day: number
  stack: Stack
}

const never = (): boolean => false
const layerOf = (layerId: string, lengthBytes: number): LayerReference => ({
  layerId,
  lengthBytes,
  footerBytes: 100,
  digest: layerId,
})

const simulate = ({ days, keeps, foldsEvery, changedPlaces }: Year) => {
  const random = seededRandom(5)
  const contents = new Map<string, ReadonlySet<number>>()
  const make = (content: ReadonlySet<number>): LayerReference => {
    const layer = layerOf(`l${contents.size}/os`, 500 + content.size * bytesPerPlace)
    contents.set(layer.layerId, content)
    return layer
  }
  const placeOf = () => (random.below(10) < 7 ? random.below(places / 100) : random.below(places))
  let points: Point[] = []
  const told = { bornBytes: 0, foldedBytes: 0, depthMax: 0, overBound: 0, folds: 0 }
  const foldOnce = (fold: Stack): void => {
    const to = make(new Set(fold.flatMap(({ layerId }) => [...(contents.get(layerId) ?? [])])))
    told.foldedBytes += to.lengthBytes
    told.folds += 1
    for (const point of points) {
      const at = placeIn(point.stack, fold)
      if (at === -1) continue
      point.stack = [...point.stack.slice(0, at), to, ...point.stack.slice(at + fold.length)]
    }
  }
  for (let day = 0; day < days; day += 1) {
    const count = day === 0 ? places : 1 + random.below(changedPlaces * 2)
    const layer = make(new Set(Array.from({ length: count }, (_, index) => (day === 0 ? index : placeOf()))))
    told.bornBytes += layer.lengthBytes
    points.push({ day, stack: [layer, ...(points.at(-1)?.stack ?? [])] })
    points = points.filter((point) => keeps(point.day, day))
    if (day % foldsEvery !== 0) continue
    const stacks = () => points.map(({ stack }) => stack).reverse()
    for (let fold = chooseFold(stacks(), never); fold !== null; fold = chooseFold(stacks(), never)) foldOnce(fold)
    for (const { stack } of points) {
      told.depthMax = Math.max(told.depthMax, stack.length)
      const largestBytes = Math.max(...stack.map(({ lengthBytes }) => lengthBytes))
      if (stack.length > stackDepthMax(largestBytes)) told.overBound += 1
    }
  }
  return told
}

/** Seven dailies, four weeklies, twelve monthlies, all yearlies. */
const grandfathers = (day: number, today: number): boolean => {
  const age = today - day
  return age < 7 || (day % 7 === 0 && age < 28) || (day % 30 === 0 && age < 365) || day % 365 === 0
}

describe('folds over years', { timeout: 30_000 }, () => {
  const years = 3 * 365
  /** Eight layers for each power of eight in the number of recovery points. */
  const handfuls = 8 * (Math.log(years) / Math.log(8))

  it.each([
    ['three years of dailies that expire by generations', { days: years, keeps: grandfathers, foldsEvery: 1 }],
    [
      'three years of dailies kept for thirty days',
      { days: years, keeps: (d: number, t: number) => t - d < 30, foldsEvery: 1 },
    ],
    ['more than a year of dailies of which none expires', { days: 400, keeps: () => true, foldsEvery: 1 }],
    ['a year of dailies that was never folded before', { days: 366, keeps: () => true, foldsEvery: 365 }],
  ])('keep stacks a handful deep: %s', (_, year) => {
    for (const changedPlaces of [3, 40]) {
      const { depthMax, overBound, folds } = simulate({ ...year, changedPlaces })
      expect(folds).toBeGreaterThan(40)
      expect(overBound).toBe(0)
      expect(depthMax).toBeLessThanOrEqual(handfuls)
    }
  })

  it('write each byte of an index a few times in all', () => {
    for (const changedPlaces of [3, 40]) {
      const { bornBytes, foldedBytes } = simulate({ days: years, keeps: grandfathers, foldsEvery: 1, changedPlaces })
      expect(foldedBytes / bornBytes).toBeLessThan(4)
    }
  })
})

describe('the choice of a fold', () => {
  const large = layerOf('large/os', 50_000_000)
  const small = (count: number): LayerReference[] =>
    Array.from({ length: count }, (_, index) => layerOf(`s${index}/os`, 10_000))
  const suffixes = (stack: Stack): Stack[] => stack.map((_, index) => stack.slice(index))

  it('leaves a stack alone that is short and whose recovery points are all kept', () => {
    expect(chooseFold(suffixes([...small(7), large]), never)).toBeNull()
  })

  it('folds the oldest eight of one size, which most recovery points share', () => {
    const stack = [...small(20), large]
    expect(chooseFold(suffixes(stack), never)).toEqual(stack.slice(12, 20))
  })

  it('does not write a large layer again for a few small ones', () => {
    const stack = [...small(3), large]
    expect(chooseFold([stack], never)).toEqual(stack.slice(0, 3))
    expect(chooseFold([[layerOf('one/os', 10_000), large]], never)).toBeNull()
  })

  it('folds two neighbours that no recovery point tells apart, also next to ones that are told apart', () => {
    const stack = small(5)
    expect(chooseFold([stack, stack.slice(1), stack.slice(2), stack.slice(4)], never)).toEqual(stack.slice(2, 4))
  })

  it('does not reach into layers that others share', () => {
    const stack = [...small(2), layerOf('image/os', 10_000), layerOf('below/os', 10_000)]
    const isShared = ({ layerId }: LayerReference) => layerId === 'image/os'
    expect(chooseFold([stack], isShared)).toEqual(stack.slice(0, 2))
    expect(chooseFold([stack.slice(1)], isShared)).toBeNull()
  })
})
