import { describe, expect, it } from 'vitest'
import { vmKeyOf } from '../../shared/domain/ids.ts'
import type { RecoveryPoint } from '../../shared/domain/recovery-point.ts'
import type { VmDescription } from '../../shared/domain/vm.ts'
import { readSealed } from '../../shared/jobs/seal-planned-disk.ts'
import type { DiskReader } from '../../shared/ports/disk-reader.ts'
import { collectGarbage } from '../../shared/vault/collect-garbage.ts'
import { createSealed } from '../../shared/vault/objects.ts'
import { backUpDisk, withPagesWritten } from '../jobs/back-up-disk.ts'
import { type FakeWorld, fakeWorld, mib, sampleVm, vmId } from '../jobs/world.ts'
import { seededRandom } from '../support/seeded-random.ts'
import { restoreDisk } from '../support/vault-world.ts'

const page = 4096
const system = seededRandom(1).bytes(2 * mib)

/** A VM whose OS disk was made from an image. */
const machine = (name: string, image: string | null = 'Canonical:ubuntu:server:24.04.1'): VmDescription => {
  const id = `${vmId}-${name}`
  const { disks, ...vm } = sampleVm(id)
  return { ...vm, vmKey: vmKeyOf(id), imageReference: image, disks: disks.filter(({ disk }) => disk === 'os') }
}

const diskOf = ({ disks }: RecoveryPoint) => disks[0]!

const restored = async (world: FakeWorld, point: RecoveryPoint): Promise<Buffer> =>
  restoreDisk(world.vault, point, 'os', mib, await world.keys.ring())

const expire = async (world: FakeWorld, { vmKey, recoveryPointId }: RecoveryPoint): Promise<void> => {
  const record = { format: 1, expired: true, recoveryPointId, revision: 2, vmKey }
  await createSealed(world.vault, `recovery-points/${vmKey}/${recoveryPointId}/0002.json`, record, {})
}

/** A platform that does not name what was never written. */
const listingBelow = (endBytes: number, reader: DiskReader): DiskReader => ({
  ...reader,
  async *listRanges(window, options) {
    for await (const ranges of reader.listRanges(window, options))
      yield ranges.filter(({ offsetBytes }) => offsetBytes < endBytes)
  },
})

const basesOf = (world: FakeWorld) => [...world.control.objects.keys()].filter((name) => name.startsWith('bases/'))

describe('the first backups of VMs made from one image', { timeout: 30_000 }, () => {
  it('store the image once: the second VM lies on the layer of the first', async () => {
    const world = fakeWorld()
    const first = await backUpDisk(world, machine('a'), system)
    expect(diskOf(first)).toMatchObject({ stack: [{}], sidecar: { sidecarId: `${first.recoveryPointId}/os` } })
    const bytes = withPagesWritten(system, 7, 200)
    const second = await backUpDisk(world, machine('b'), bytes)
    expect(diskOf(second)).toMatchObject({
      transfer: 'full',
      fullReason: 'first-backup',
      sidecar: null,
      changedBytes: 2 * page,
      storedPlainBytes: 2 * page,
      stack: [{ layerId: `${second.recoveryPointId}/os` }, diskOf(first).stack[0]],
    })
    expect((await restored(world, second)).equals(bytes)).toBe(true)
    expect((await restored(world, first)).equals(system)).toBe(true)
    expect(basesOf(world)).toHaveLength(1)
  })

  it('read nothing of the image back, and leave no page hashes beside the plans', async () => {
    const world = fakeWorld()
    const { recoveryPointId } = await backUpDisk(world, machine('a'), system)
    const isHashes = (name: string) => name.startsWith(`plans/${recoveryPointId}/os/hashes/`)
    expect([...world.control.objects.keys()].filter(isHashes)).not.toEqual([])
    const reads = world.vault.calls.filter(({ operation }) => operation.startsWith('read'))
    expect(reads.filter(({ name }) => name.startsWith('segments/'))).toEqual([])
    await collectGarbage(world, { passId: 'one', objectsMax: 1000, hasEnded: async () => true })
    expect([...world.control.objects.keys()].filter(isHashes)).toEqual([])
    const other = await backUpDisk(world, machine('c', null), system)
    expect([...world.control.objects.keys()].filter((name) => name.includes('/hashes/'))).toEqual([])
    expect(diskOf(other).sidecar).toBeNull()
  })

  it('go on as increments on that stack', async () => {
    const world = fakeWorld()
    await backUpDisk(world, machine('a'), system)
    await backUpDisk(world, machine('b'), system)
    const later = withPagesWritten(system, 3)
    const point = await backUpDisk(world, machine('b'), later, 1)
    expect(diskOf(point)).toMatchObject({ transfer: 'incremental', changedBytes: page })
    expect((await restored(world, point)).equals(later)).toBe(true)
  })

  it('name the base in the intent before they look at it', async () => {
    const world = fakeWorld()
    const first = await backUpDisk(world, machine('a'), system)
    const { calls } = world.control
    const from = calls.length
    const fromVault = world.vault.calls.length
    const intents: string[] = []
    const { remove } = world.control
    const spied = {
      ...world,
      control: {
        ...world.control,
        remove: async (name: string, ...rest: []) => {
          const held = world.control.objects.get(name)
          if (name.startsWith('intents/') && held !== undefined) intents.push(Buffer.from(held.bytes).toString('utf8'))
          return remove(name, ...rest)
        },
      },
    } as FakeWorld
    await backUpDisk(spied, machine('b'), system)
    expect(intents[0]).toContain(first.recoveryPointId)
    const intentAt = calls.findIndex(({ name }, index) => index >= from && name.startsWith('intents/'))
    const condemnedAt = calls.findIndex(({ name }, index) => index >= from && name.startsWith('condemned/'))
    expect(intentAt).toBeGreaterThan(0)
    expect(condemnedAt).toBeGreaterThan(intentAt)
    const sidecarReads = world.vault.calls.slice(fromVault).filter(({ name }) => name.startsWith('sidecars/'))
    expect(sidecarReads.length).toBeGreaterThan(0)
  })

  it('do without a base that has expired, and make another', async () => {
    const world = fakeWorld()
    await expire(world, await backUpDisk(world, machine('a'), system))
    const second = await backUpDisk(world, machine('b'), system)
    expect(diskOf(second)).toMatchObject({ stack: [{}], sidecar: { sidecarId: `${second.recoveryPointId}/os` } })
    const third = await backUpDisk(world, machine('c'), withPagesWritten(system, 9))
    expect(diskOf(third).stack.at(-1)).toEqual(diskOf(second).stack[0])
  })

  it('keep the image when the recovery point it came with has expired and is collected', async () => {
    const world = fakeWorld()
    const first = await backUpDisk(world, machine('a'), system)
    const bytes = withPagesWritten(system, 5)
    const second = await backUpDisk(world, machine('b'), bytes)
    await expire(world, first)
    for (const passId of ['one', 'two'])
      await collectGarbage(world, { passId, objectsMax: 1000, hasEnded: async () => true })
    const names = [...world.vault.objects.keys()]
    expect(names.filter((name) => name.startsWith('sidecars/'))).toEqual([])
    expect(names).toContain(`layers/${first.recoveryPointId}/os`)
    expect((await restored(world, second)).equals(bytes)).toBe(true)
  })

  it('do without a base that a collection is about to remove', async () => {
    const world = fakeWorld()
    const first = await backUpDisk(world, machine('a'), system)
    const condemned = { passId: 'p1', recoveryPointIds: [], layerIds: [`${first.recoveryPointId}/os`] }
    await createSealed(world.control, 'condemned/p1.json', { format: 1, ...condemned }, {})
    expect(diskOf(await backUpDisk(world, machine('b'), system)).stack).toHaveLength(1)
  })

  it.each(['layers/', 'sidecars/', 'segments/'])('do without a base whose %s are gone', async (prefix) => {
    const world = fakeWorld()
    const first = await backUpDisk(world, machine('a'), system)
    for (const name of [...world.vault.objects.keys()])
      if (name.startsWith(`${prefix}${first.recoveryPointId}/`)) world.vault.objects.delete(name)
    const second = await backUpDisk(world, machine('b'), system)
    expect(diskOf(second)).toMatchObject({ stack: [{}], storedPlainBytes: system.length })
    expect((await restored(world, second)).equals(system)).toBe(true)
  })

  it('share an encrypted image, whose pages nobody can guess by their hashes', async () => {
    const world = fakeWorld({ encryption: true })
    const first = await backUpDisk(world, machine('a'), system)
    const bytes = withPagesWritten(system, 400)
    const second = await backUpDisk(world, machine('b'), bytes)
    expect(diskOf(second)).toMatchObject({ changedBytes: page, stack: [{}, diskOf(first).stack[0]] })
    expect((await restored(world, second)).equals(bytes)).toBe(true)
    const plain = await backUpDisk(world, machine('c'), system, 0, { encryption: false })
    expect(diskOf(plain)).toMatchObject({ stack: [{}], storedPlainBytes: system.length })
    expect(basesOf(world)).toHaveLength(2)
  })

  it('share nothing across images', async () => {
    const world = fakeWorld()
    await backUpDisk(world, machine('a'), system)
    expect(diskOf(await backUpDisk(world, machine('b', 'Canonical:ubuntu:server:22.04.9'), system)).stack).toHaveLength(
      1,
    )
    expect(diskOf(await backUpDisk(world, machine('c', null), system))).toMatchObject({ stack: [{}], sidecar: null })
    expect(basesOf(world)).toHaveLength(2)
  })
})

describe('a full backup after the first', { timeout: 30_000 }, () => {
  const recreated = (vm: VmDescription, uniqueId: string): VmDescription => ({
    ...vm,
    disks: vm.disks.map((disk) => ({ ...disk, uniqueId })),
  })

  it('stores only what differs where the base is gone, and says what it was compared with', async () => {
    const world = fakeWorld()
    const vm = machine('a', null)
    const first = await backUpDisk(world, vm, system)
    world.platform.copies.clear()
    const bytes = withPagesWritten(system, 1, 300)
    const second = await backUpDisk(world, vm, bytes, 1)
    expect(diskOf(second)).toMatchObject({ transfer: 'full', fullReason: 'base-gone', changedBytes: 2 * page })
    expect(diskOf(second).stack).toEqual([expect.anything(), ...diskOf(first).stack])
    expect((await restored(world, second)).equals(bytes)).toBe(true)
    const sealed = await readSealed(world.control, { recoveryPointId: second.recoveryPointId, disk: 'os' })
    expect(sealed?.report).toMatchObject({ comparedWith: 'vault', allocatedBytes: system.length })
  })

  it('stands alone, and says so, where the index of what is stored is damaged', async () => {
    const world = fakeWorld()
    const vm = machine('a', null)
    const first = await backUpDisk(world, vm, system)
    world.platform.copies.clear()
    const layer = world.vault.objects.get(`layers/${first.recoveryPointId}/os`)!
    layer.bytes[60]! ^= 1
    const second = await backUpDisk(world, vm, system, 1)
    expect(diskOf(second)).toMatchObject({ transfer: 'full', fullReason: 'stored-bytes-damaged', stack: [{}] })
    expect((await restored(world, second)).equals(system)).toBe(true)
  })

  it('heals what is damaged in the vault and still there on the disk', async () => {
    const world = fakeWorld()
    const vm = machine('a', null)
    const first = await backUpDisk(world, vm, system)
    for (const [name, { bytes }] of world.vault.objects)
      if (name.startsWith(`segments/${first.recoveryPointId}/`)) bytes[500]! ^= 1
    await expect(restored(world, first)).rejects.toMatchObject({ name: 'VaultError' })
    world.platform.copies.clear()
    const second = await backUpDisk(world, vm, system, 1)
    expect(diskOf(second)).toMatchObject({ fullReason: 'stored-bytes-damaged' })
    expect((await restored(world, second)).equals(system)).toBe(true)
  })

  it('shows nothing of a larger predecessor when the disk that took its place grows', async () => {
    const world = fakeWorld()
    const vm = machine('a', null)
    await backUpDisk(world, vm, system)
    const small = Buffer.from(system.subarray(0, mib))
    const shrunk = await backUpDisk(world, recreated(vm, 'second disk'), small, 1)
    expect(diskOf(shrunk)).toMatchObject({ fullReason: 'disk-recreated', changedBytes: 0, sizeBytes: mib })
    const large = Buffer.concat([small, Buffer.alloc(mib)])
    const silent: FakeWorld = { ...world, openReader: (...urls) => listingBelow(mib, world.openReader(...urls)) }
    const grown = await backUpDisk(silent, recreated(vm, 'second disk'), large, 2)
    expect(diskOf(grown)).toMatchObject({ transfer: 'incremental', sizeBytes: 2 * mib })
    expect((await restored(world, grown)).equals(large)).toBe(true)
  })
})
