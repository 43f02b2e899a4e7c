import { describe, expect, it } from 'vitest'
import type { LayerReference } from '../../shared/domain/recovery-point.ts'
import type { FramePlace } from '../../shared/format/frame.ts'
import { layerName } from '../../shared/format/names.ts'
import type { PlacedRun } from '../../shared/format/shard-builder.ts'
import { createLayer } from '../../shared/vault/create-layer.ts'
import { foldLayers, openLayers, shownBy } from '../../shared/vault/fold-layers.ts'
import { foldedIndex } from '../../shared/vault/folded-index.ts'
import { openLayer } from '../../shared/vault/layer-reader.ts'
import { proveFold } from '../../shared/vault/prove-fold.ts'
import { fc } from '../support/fast-check.ts'
import { createMemoryBlobStore, type MemoryBlobStore } from '../support/memory-blob-store.ts'
import { seededRandom } from '../support/seeded-random.ts'

/** Layers of made-up runs: what a sector shows is told by a text, so that a fold can be compared with a plain map of the disk. */
const sectors = 400
const diskBytes = sectors * 512

const frameOf = (layer: number, ordinal: number, plainSectors = 64): FramePlace => ({
  segment: `segments/r${layer}/os/000000.0001-${String(ordinal % 7).padStart(5, '0')}`,
  placeBytes: ordinal * 1000,
  storedBytes: 500,
  plainBytes: plainSectors * 512,
  digest: Buffer.alloc(32, (layer * 31 + ordinal) % 256),
  birth: { recoveryPointId: `r${layer}`, disk: 'os', slice: 0, attempt: 1, ordinal },
})

const toBytes = (run: { at: number; count: number; frame: FramePlace | null; position: number }): PlacedRun => ({
  offsetBytes: run.at * 512,
  lengthBytes: run.count * 512,
  frame: run.frame,
  framePosition: run.position * 512,
})

/** Sorted runs of one layer: some data, some zeros, some holes. */
const randomRuns = (seed: number, layer: number): PlacedRun[] => {
  const random = seededRandom(seed * 97 + layer)
  const runs: PlacedRun[] = []
  for (let at = random.below(20); at < sectors; at += random.below(30)) {
    const count = Math.min(1 + random.below(12), sectors - at)
    const isZero = random.below(4) === 0
    const frame = isZero ? null : frameOf(layer, random.below(5))
    runs.push(toBytes({ at, count, frame, position: isZero ? 0 : random.below(50) }))
    at += count
  }
  return runs
}

const store = async (vault: MemoryBlobStore, id: string, runs: readonly PlacedRun[], bytes = diskBytes) => {
  async function* given(): AsyncGenerator<PlacedRun> {
    yield* runs
  }
  const index = foldedIndex({ id, disk: 'os', diskBytes: bytes, frameCapacityBytes: 1024 * 1024 }, given())
  await createLayer(vault, layerName(`${id}/os`), index.pieces(), {})
  return index.folded() ?? expect.unreachable()
}

const describeRun = ({ frame, framePosition }: PlacedRun, sector: number): string => {
  const isZero = frame === null
  return isZero ? 'zero' : `${frame.birth.recoveryPointId}.${frame.birth.ordinal}+${framePosition / 512 + sector}`
}

const paint = (map: string[], runs: Iterable<PlacedRun>): void => {
  for (const run of runs)
    for (let sector = 0; sector < run.lengthBytes / 512; sector += 1)
      map[run.offsetBytes / 512 + sector] = describeRun(run, sector)
}

const shownIn = async (vault: MemoryBlobStore, layer: LayerReference): Promise<string[]> => {
  const map = new Array<string>(sectors).fill('nothing')
  for await (const run of shownBy(vault, await openLayers(vault, [layer], {}), {}))
    if (run.layer >= 0) paint(map, [run])
  return map
}

const makeLayers = async (seed: number, count: number) => {
  const vault = createMemoryBlobStore()
  const contents = Array.from({ length: count }, (_, layer) => randomRuns(seed, layer))
  const layers: LayerReference[] = []
  for (const [layer, runs] of contents.entries()) layers.push(await store(vault, `r${layer}`, runs))
  const map = new Array<string>(sectors).fill('nothing')
  for (const runs of contents.toReversed()) paint(map, runs)
  return { vault, layers, map }
}

describe('a folded layer', () => {
  it('shows at each sector what the newest of its layers shows, and zeros only where something may lie below', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(), fc.integer({ min: 1, max: 6 }), fc.boolean(), async (seed, count, isLowest) => {
        const { vault, layers, map } = await makeLayers(seed, count)
        const folded = await foldLayers(vault, { id: 'fold-1', disk: 'os', layers, isLowest })
        const wanted = isLowest ? map.map((shown) => (shown === 'zero' ? 'nothing' : shown)) : map
        expect(await shownIn(vault, folded)).toEqual(wanted)
        await proveFold(vault, { layers, folded, isLowest })
      }),
      { numRuns: 60 },
    )
  })

  it('names exactly the segments that its runs need, and no figures of transfers', async () => {
    const { vault, layers } = await makeLayers(5, 4)
    const { footer } = await openLayer(
      vault,
      await foldLayers(vault, { id: 'fold-1', disk: 'os', layers, isLowest: false }),
      {},
    )
    const needed = new Set<string>()
    for await (const { frame } of shownBy(vault, await openLayers(vault, layers, {}), {}))
      if (frame !== null) needed.add(frame.segment)
    const named = footer.segmentRanges.flatMap(({ recoveryPointId, firstN, lastN }) =>
      Array.from(
        { length: lastN - firstN + 1 },
        (_, n) => `segments/${recoveryPointId}/os/000000.0001-0000${firstN + n}`,
      ),
    )
    expect(named).toEqual([...needed].sort())
    expect(footer).toMatchObject({ slice: 0, attempt: 0, changedBytes: 0, readBytes: 0, milliseconds: 0, readCalls: 0 })
  })

  it('is cut into shards of 256 frames or 32,768 runs, and a run that two shards need lists its frame in both', async () => {
    const vault = createMemoryBlobStore()
    const size = 100_000 * 512
    const scattered = (layer: number, frames: number) =>
      Array.from({ length: 20_000 }, (_, index) => {
        const frame = frameOf(layer, Math.floor((index * frames) / 20_000), 2048)
        return toBytes({ at: index * 5 + layer, count: 1, frame, position: index % 2048 })
      })
    const layers = [await store(vault, 'r0', scattered(0, 600), size), await store(vault, 'r1', scattered(1, 20), size)]
    const folded = await foldLayers(vault, { id: 'fold-1', disk: 'os', layers, isLowest: true })
    const { footer } = await openLayer(vault, folded, {})
    expect(footer.runs).toBe(40_000)
    expect(footer.shards).toBeGreaterThanOrEqual(3)
    expect(footer.frames).toBeGreaterThan(620)
    expect(footer.frames).toBeLessThanOrEqual(620 + 2 * footer.shards)
    await proveFold(vault, { layers, folded, isLowest: true })
  })

  it('is found by a second run, and refused where another lies under its name', async () => {
    const { vault, layers } = await makeLayers(9, 3)
    const request = { id: 'fold-1', disk: 'os', layers, isLowest: false }
    const first = await foldLayers(vault, request)
    const objects = vault.objects.size
    expect(await foldLayers(vault, request)).toEqual(first)
    expect(vault.objects.size).toBe(objects)
    const other = foldLayers(vault, { ...request, layers: layers.slice(1) })
    await expect(other).rejects.toMatchObject({ fault: { code: expect.stringMatching(/twin-differs|short/) } })
  })

  it('is not made of a damaged one', async () => {
    const { vault, layers } = await makeLayers(3, 3)
    const name = layerName('r1/os')
    const stored = vault.objects.get(name) ?? expect.unreachable()
    const bytes = Buffer.from(stored.bytes)
    bytes.writeUInt8(bytes.readUInt8(200) ^ 4, 200)
    vault.objects.set(name, { ...stored, bytes })
    const folding = foldLayers(vault, { id: 'fold-1', disk: 'os', layers, isLowest: false })
    await expect(folding).rejects.toMatchObject({ fault: { code: 'digest-mismatch', name } })
    expect(vault.objects.has(layerName('fold-1/os'))).toBe(false)
  })
})

describe('the proof of a fold', () => {
  const proving = async (change: (runs: PlacedRun[]) => PlacedRun[], isLowest = false) => {
    const vault = createMemoryBlobStore()
    const runs = [
      toBytes({ at: 10, count: 8, frame: frameOf(0, 1), position: 0 }),
      toBytes({ at: 20, count: 8, frame: null, position: 0 }),
      toBytes({ at: 40, count: 8, frame: frameOf(0, 2), position: 8 }),
    ]
    const layer = await store(vault, 'r0', runs)
    const folded = await store(vault, 'fold-1', change(runs))
    return proveFold(vault, { layers: [layer], folded, isLowest })
  }
  const first = (runs: PlacedRun[]): PlacedRun => runs[0] ?? expect.unreachable()

  it('takes an equal layer whose runs are cut elsewhere', async () => {
    const halves = (run: PlacedRun): PlacedRun[] => [
      { ...run, lengthBytes: 2048 },
      {
        ...run,
        offsetBytes: run.offsetBytes + 2048,
        lengthBytes: 2048,
        framePosition: run.framePosition + (run.frame === null ? 0 : 2048),
      },
    ]
    await expect(proving((runs) => runs.flatMap(halves))).resolves.toBeUndefined()
  })

  it.each<[string, (runs: PlacedRun[]) => PlacedRun[]]>([
    ['lacks a run', (runs) => runs.slice(1)],
    ['has lost zeros that hide what is below', (runs) => runs.filter(({ frame }) => frame !== null)],
    ['ends early', (runs) => runs.map((run) => ({ ...run, lengthBytes: run.lengthBytes - 512 }))],
    ['shows another part of the frame', (runs) => [{ ...first(runs), framePosition: 512 }, ...runs.slice(1)]],
    ['shows another frame', (runs) => [{ ...first(runs), frame: frameOf(0, 3) }, ...runs.slice(1)]],
    [
      'shows a frame of another birth',
      (runs) => [
        { ...first(runs), frame: { ...frameOf(0, 1), birth: { ...frameOf(0, 1).birth, ordinal: 9 } } },
        ...runs.slice(1),
      ],
    ],
    ['shows zeros for data', (runs) => [{ ...first(runs), frame: null, framePosition: 0 }, ...runs.slice(1)]],
  ])('refuses a layer that %s', async (_, change) => {
    await expect(proving(change)).rejects.toMatchObject({ fault: { code: 'twin-differs', name: 'layers/fold-1/os' } })
  })

  it('takes lost zeros only where nothing is below', async () => {
    await expect(proving((runs) => runs.filter(({ frame }) => frame !== null), true)).resolves.toBeUndefined()
  })
})
