import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { checkSegment } from '../../shared/vault/check-segment.ts'
import { damageOf } from '../../shared/vault/damage-reports.ts'
import { scrubVault } from '../../shared/vault/scrub-vault.ts'
import { goldenKinds, loadGoldenVault } from '../support/golden-vault.ts'
import { createMemoryBlobStore } from '../support/memory-blob-store.ts'
import {
  makeSmallVault,
  readerOf,
  type SmallVault,
  scrubbedNames,
  unlimited,
  withChanges,
} from '../support/small-vault.ts'
import { vmKey } from '../support/vault-world.ts'
import { virtualClock } from '../support/virtual-clock.ts'

let small: SmallVault
beforeAll(async () => {
  small = await makeSmallVault('raw')
})

const flipped = (name: string, at: number): Uint8Array => {
  const copy = Buffer.from(small.objects.get(name) ?? Buffer.alloc(0))
  copy[at] = (copy[at] ?? 0) ^ 1
  return copy
}
const firstSegment = 'segments/r1/os/000000.0001-00000'

/** A store whose reads are written down. */
const openWorld = (objects: ReadonlyMap<string, Uint8Array> = small.objects) => {
  const inner = readerOf(objects)
  const read: string[] = []
  const control = createMemoryBlobStore()
  const clock = virtualClock()
  const vault: typeof inner = {
    ...inner,
    read: (name, options) => {
      read.push(name)
      return inner.read(name, options)
    },
  }
  return { vault, control, clock, read }
}

describe('a check of the vault', () => {
  it('tells which ranges of which recovery points are lost, hidden ones not', async () => {
    const world = openWorld(withChanges(small.objects, { [firstSegment]: flipped(firstSegment, 200) }))
    expect(await scrubVault(world, unlimited)).toMatchObject({ kind: 'done', found: 1, cleared: 0 })
    const [report] = await damageOf(world.control, vmKey)
    expect(report).toMatchObject({ name: firstSegment, kind: 'data', code: 'digest-mismatch', frames: [0] })
    const ranges = new Map(report?.touches.map((touch) => [touch.recoveryPointId, touch.ranges]))
    expect(ranges.get('r1')).toEqual([{ offsetBytes: 0, lengthBytes: 2048 }])
    const aroundNewer = [
      { offsetBytes: 0, lengthBytes: 1024 },
      { offsetBytes: 1536, lengthBytes: 512 },
    ]
    expect(ranges.get('r2')).toEqual(aroundNewer)
    expect(ranges.get('r3')).toEqual(aroundNewer)
  })

  it('tells a damaged directory from damaged data', async () => {
    const { length } = small.objects.get(firstSegment) ?? Buffer.alloc(0)
    const world = openWorld(withChanges(small.objects, { [firstSegment]: flipped(firstSegment, length - 80) }))
    await scrubVault(world, unlimited)
    expect(await damageOf(world.control, vmKey)).toMatchObject([{ name: firstSegment, kind: 'directory', touches: [] }])
  })

  it('names a segment that is whole in itself and not the one that its layer was made of', async () => {
    const other = (await makeSmallVault('raw', 8)).objects.get(firstSegment) ?? Buffer.alloc(0)
    checkSegment(other, firstSegment, () => undefined)
    const changed = withChanges(small.objects, { [firstSegment]: other })
    expect(await scrubbedNames(readerOf(changed))).toEqual([firstSegment])
  })

  it('checks what a later revision needs, though the first one is damaged', async () => {
    const [first, segment] = [`recovery-points/${vmKey}/r2/0001.json`, 'segments/r2/os/000000.0001-00000']
    const changed = withChanges(small.objects, { [first]: flipped(first, 100), [segment]: null })
    expect((await scrubbedNames(readerOf(changed))).toSorted()).toEqual([first, segment])
  })

  it('says that a damaged first revision below a whole later one touches nothing, and a damaged newest one all', async () => {
    const [first, second] = [`recovery-points/${vmKey}/r2/0001.json`, `recovery-points/${vmKey}/r2/0002.json`]
    const older = openWorld(withChanges(small.objects, { [first]: flipped(first, 100) }))
    await scrubVault(older, unlimited)
    expect(await damageOf(older.control, vmKey)).toMatchObject([{ name: first, kind: 'record', touches: [] }])
    const both = openWorld(withChanges(small.objects, { [first]: flipped(first, 100), [second]: flipped(second, 100) }))
    await scrubVault(both, unlimited)
    const reports = await damageOf(both.control, vmKey)
    expect(reports.map(({ name }) => name).toSorted()).toEqual([first, second])
    const whole = [{ recoveryPointId: 'r2', disk: null, ranges: null }]
    for (const { touches } of reports) expect(touches).toEqual(whole)
  })

  it.each(goldenKinds)('finds nothing wrong with the golden vault %s', async (kind) => {
    const { vault } = await loadGoldenVault(join(import.meta.dirname, '..', 'golden', 'vectors', 'v1', kind))
    expect(await scrubbedNames(vault)).toEqual([])
  })

  it('goes on next time where a VM has more than its turn takes', async () => {
    const world = openWorld()
    const request = { ...unlimited, vmBytesMax: 1, checkedBefore: new Date(0) }
    let rounds = 1
    while ((await scrubVault(world, request)).kind === 'more') rounds += 1
    expect(rounds).toBeGreaterThan(4)
    expect(new Set(world.read.filter((name) => name.startsWith('segments/'))).size).toBe(
      [...small.objects.keys()].filter((name) => name.startsWith('segments/')).length,
    )
  })

  it('takes back what it finds whole again, and looks there before anything else', async () => {
    const control = createMemoryBlobStore()
    const gone = readerOf(withChanges(small.objects, { [firstSegment]: null }))
    expect(await scrubbedNames(gone, control)).toEqual([firstSegment])
    const nothingDue = { ...unlimited, checkedBefore: new Date(0) }
    const again = await scrubVault({ vault: readerOf(small.objects), control, clock: virtualClock() }, nothingDue)
    expect(again).toMatchObject({ cleared: 1, found: 0 })
    expect(await damageOf(control, vmKey)).toEqual([])
  })

  it('comes round in small steps: each step goes on where the one before ended, and nothing is checked twice in a round', async () => {
    const world = openWorld()
    let steps = 0
    for (let kind = 'more'; kind === 'more'; steps += 1) {
      const step = { ...unlimited, bytesMax: 1, checkedBefore: new Date(0) }
      kind = (await scrubVault(world, step)).kind
      expect(steps).toBeLessThan(100)
    }
    expect(steps).toBeGreaterThan(4)
    const segments = world.read.filter((name) => name.startsWith('segments/'))
    expect(new Set(segments).size).toBe(segments.length)
    const needed = [...small.objects.keys()].filter((name) => name.startsWith('segments/'))
    expect(segments.toSorted()).toEqual(needed.toSorted())
  })

  it('leaves alone what was checked lately', async () => {
    const world = openWorld()
    await scrubVault(world, unlimited)
    const before = world.read.length
    await scrubVault(world, { ...unlimited, checkedBefore: new Date(0) })
    expect(world.read.slice(before).filter((name) => name.startsWith('segments/'))).toEqual([])
  })

  it('says nothing of what was collected while it looked', async () => {
    const world = openWorld()
    const collected = readerOf(withChanges(small.objects, { [firstSegment]: null, ...withoutRecords() }))
    let calls = 0
    const vault: typeof collected = {
      ...world.vault,
      read: (name, options) => (++calls > 4 ? collected : world.vault).read(name, options),
      list: (prefix, options) => (calls > 4 ? collected : world.vault).list(prefix, options),
    }
    expect(await scrubVault({ ...world, vault }, unlimited)).toMatchObject({ found: 0 })
  })
})

const withoutRecords = (): Record<string, null> =>
  Object.fromEntries(
    [...small.objects.keys()].filter((name) => name.startsWith('recovery-points/')).map((name) => [name, null]),
  )
