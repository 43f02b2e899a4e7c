import { describe, expect, it } from 'vitest'
import type { ChangedRange, Extent } from '../../shared/domain/extent.ts'
import { vmKeyOf } from '../../shared/domain/ids.ts'
import type { RecoveryPoint } from '../../shared/domain/recovery-point.ts'
import type { VmDescription } from '../../shared/domain/vm.ts'
import { damageOf } from '../../shared/vault/damage-reports.ts'
import { withRangesAdded } from '../../shared/vault/heal.ts'
import { scrubVault } from '../../shared/vault/scrub-vault.ts'
import { backUpDisk, vmOfOneDisk, withPagesWritten } from '../jobs/back-up-disk.ts'
import { type FakeWorld, fakeWorld, mib, vmId } from '../jobs/world.ts'
import { memoryDiskReader } from '../support/memory-disk.ts'
import { type SeededRandom, seededRandom } from '../support/seeded-random.ts'
import { unlimited } from '../support/small-vault.ts'
import { restoreDisk } from '../support/vault-world.ts'

const page = 4096

const machine = (name: string): VmDescription => {
  const id = `${vmId}-${name}`
  return { ...vmOfOneDisk(id), vmKey: vmKeyOf(id), imageReference: 'Canonical:ubuntu:server:24.04.1' }
}

const isWhole = async (world: FakeWorld, point: RecoveryPoint, bytes: Buffer): Promise<boolean> =>
  (await restoreDisk(world.vault, point, 'os')).equals(bytes)

const flip = (world: FakeWorld, prefix: string, at: number): string => {
  const name = [...world.vault.objects.keys()].sort().find((candidate) => candidate.startsWith(prefix)) ?? ''
  const content = world.vault.objects.get(name) ?? expect.unreachable()
  const bytes = Buffer.from(content.bytes)
  bytes[at] = (bytes[at] ?? 0) ^ 1
  world.vault.objects.set(name, { ...content, bytes })
  return name
}

describe('what a check found damaged', { timeout: 30_000 }, () => {
  const vm = machine('a')
  const day0 = seededRandom(3).bytes(3 * mib)
  const day1 = withPagesWritten(day0, 10)

  it('is brought anew by the next increment: it is whole, and older recovery points stay named', async () => {
    const world = fakeWorld()
    const first = await backUpDisk(world, vm, day0, 0)
    const name = flip(world, `segments/${first.recoveryPointId}/os/000001`, 500)
    await scrubVault(world, unlimited)
    const second = await backUpDisk(world, vm, day1, 1)
    expect(second.disks).toMatchObject([{ transfer: 'incremental', changedBytes: mib + page }])
    expect(await isWhole(world, second, day1)).toBe(true)
    await expect(restoreDisk(world.vault, first, 'os')).rejects.toMatchObject({ fault: { name } })
    await scrubVault(world, unlimited)
    const touches = [{ recoveryPointId: first.recoveryPointId, ranges: [{ offsetBytes: mib, lengthBytes: mib }] }]
    expect(await damageOf(world.control, vm.vmKey)).toMatchObject([{ name, touches }])
    const third = await backUpDisk(world, vm, withPagesWritten(day1, 11), 2)
    expect(third.disks).toMatchObject([{ transfer: 'incremental', changedBytes: page }])
  })

  it('is built on by an increment of which no check came before it', async () => {
    const world = fakeWorld()
    const first = await backUpDisk(world, vm, day0, 0)
    const name = flip(world, `segments/${first.recoveryPointId}/os/000001`, 500)
    const second = await backUpDisk(world, vm, day1, 1)
    await expect(restoreDisk(world.vault, second, 'os')).rejects.toMatchObject({ fault: { name } })
    await scrubVault(world, unlimited)
    const third = await backUpDisk(world, vm, withPagesWritten(day1, 2), 2)
    expect(await isWhole(world, third, withPagesWritten(day1, 2))).toBe(true)
  })

  it('is not built on where it is an index: the next backup is a full one and says why', async () => {
    const world = fakeWorld()
    const first = await backUpDisk(world, vm, day0, 0)
    flip(world, `layers/${first.recoveryPointId}/os`, 60)
    await scrubVault(world, unlimited)
    const second = await backUpDisk(world, vm, day1, 1)
    expect(second.disks).toMatchObject([{ transfer: 'full', fullReason: 'stored-bytes-damaged', stack: [{}] }])
    expect(await isWhole(world, second, day1)).toBe(true)
  })

  it('is no base for other disks of its image; the next whole one becomes the base', async () => {
    const world = fakeWorld()
    const first = await backUpDisk(world, vm, day0, 0)
    flip(world, `segments/${first.recoveryPointId}/os/000001`, 500)
    await scrubVault(world, unlimited)
    const second = await backUpDisk(world, machine('b'), day0, 0)
    expect(second.disks).toMatchObject([{ stack: [{ layerId: `${second.recoveryPointId}/os` }] }])
    expect(await isWhole(world, second, day0)).toBe(true)
    const third = await backUpDisk(world, machine('c'), day1, 0)
    expect(third.disks[0]?.stack.at(-1)).toEqual(second.disks[0]?.stack[0])
    expect(await isWhole(world, third, day1)).toBe(true)
  })
})

describe('a layer that disks of several VMs lie on', { timeout: 30_000 }, () => {
  const day0 = seededRandom(3).bytes(2 * mib)

  it('is checked once for all of them, and told for each of them where it is damaged', async () => {
    const world = fakeWorld()
    const first = await backUpDisk(world, machine('a'), day0, 0)
    const second = await backUpDisk(world, machine('b'), withPagesWritten(day0, 5), 0)
    const before = world.vault.calls.length
    await scrubVault(world, { ...unlimited, checkedBefore: new Date(0) })
    const reads = world.vault.calls.slice(before).filter(({ operation }) => operation === 'read')
    const segment = `segments/${first.recoveryPointId}/os/000000.0001-00000`
    expect(reads.filter(({ name }) => name === segment)).toHaveLength(1)
    const name = flip(world, segment, 500)
    await scrubVault(world, unlimited)
    for (const { vmKey, recoveryPointId } of [first, second])
      expect(await damageOf(world.control, vmKey)).toMatchObject([{ name, touches: [{ recoveryPointId }] }])
  })
})

describe('ranges that are added to a list', () => {
  it('fill its holes, and change nothing of what it says', async () => {
    const random = seededRandom(5)
    for (let round = 0; round < 300; round += 1) {
      const listed = extents(random).map(
        (extent): ChangedRange => ({ ...extent, kind: random.below(2) === 0 ? 'data' : 'clear' }),
      )
      const added = extents(random)
      const reader = withRangesAdded(memoryDiskReader(Buffer.alloc(60 * 512), listed, 1 + random.below(4)), added)
      const merged: ChangedRange[] = []
      for await (const ranges of reader.listRanges(null)) merged.push(...ranges)
      expect(sectorsOf(merged), `round ${round}`).toEqual({ ...sectorsOf(added.map(asData)), ...sectorsOf(listed) })
      for (const [index, range] of merged.entries())
        expect(range.offsetBytes).toBeGreaterThanOrEqual(index === 0 ? 0 : endOf(merged[index - 1]))
    }
  })
})

const asData = (extent: Extent): ChangedRange => ({ ...extent, kind: 'data' })
const endOf = (range: Extent | undefined): number => (range?.offsetBytes ?? 0) + (range?.lengthBytes ?? 0)

/** On a disk of 60 sectors, some of them behind its end. */
const extents = (random: SeededRandom): Extent[] => {
  const found: Extent[] = []
  for (let sector = random.below(10); sector < 58; sector += random.below(12)) {
    const sectors = 1 + random.below(8)
    if (sector + sectors > 60) break
    found.push({ offsetBytes: sector * 512, lengthBytes: sectors * 512 })
    sector += sectors
  }
  return found
}

const sectorsOf = (ranges: readonly ChangedRange[]): Record<number, string> =>
  Object.fromEntries(
    ranges.flatMap(({ offsetBytes, lengthBytes, kind }) =>
      Array.from({ length: lengthBytes / 512 }, (_, index) => [offsetBytes / 512 + index, kind]),
    ),
  )
