import { describe, expect, it } from 'vitest'
import { vmKeyOf } from '../../shared/domain/ids.ts'
import type { RecoveryPoint } from '../../shared/domain/recovery-point.ts'
import { VaultError } from '../../shared/format/vault-error.ts'
import { damageOf } from '../../shared/vault/damage-reports.ts'
import { CurrentKeyLockedError } from '../../shared/vault/data-keys.ts'
import { scrubVault } from '../../shared/vault/scrub-vault.ts'
import { backUpDisk, vmOfOneDisk, withPagesWritten } from '../jobs/back-up-disk.ts'
import { type FakeWorld, fakeWorld, vmId } from '../jobs/world.ts'
import { pointsListed } from '../support/random-history-model.ts'
import { seededRandom } from '../support/seeded-random.ts'
import { unlimited } from '../support/small-vault.ts'
import { restoreDisk } from '../support/vault-world.ts'

const page = 4096
const vmKey = vmKeyOf(vmId)

const backUp = (world: FakeWorld, bytes: Buffer, day: number): Promise<RecoveryPoint> =>
  backUpDisk(world, vmOfOneDisk(), bytes, day)

const restored = async (world: FakeWorld, point: RecoveryPoint): Promise<Buffer> =>
  restoreDisk(world.vault, point, 'os', undefined, await world.keys.ring())

const cutOf = (world: FakeWorld, store: 'vault' | 'control', name: string): void => {
  const content = world[store].objects.get(name) ?? expect.unreachable()
  world[store].objects.set(name, { ...content, bytes: content.bytes.subarray(0, 20) })
}

const bytes0 = seededRandom(3).bytes(40 * page)
const bytes1 = withPagesWritten(bytes0, 10)
const bytes2 = withPagesWritten(bytes1, 20)

/** Keys that were opened are remembered for some minutes. */
const later = (world: FakeWorld): void => world.clock.advance(3_600_000)

describe('a data key whose record is gone', () => {
  const lose = async (world: FakeWorld) => {
    const first = await backUp(world, bytes0, 0)
    await world.keys.rotateDataKey()
    const second = await backUp(world, bytes1, 1)
    world.vault.objects.delete(`keys/${first.keyId}/0001.json`)
    later(world)
    return { first, second, name: `keys/${first.keyId}/0001.json` }
  }

  it('takes every recovery point that shows its frames, and is told as what it is', async () => {
    const world = fakeWorld({ encryption: true })
    const { first, second, name } = await lose(world)
    await expect(restored(world, second)).rejects.toMatchObject({ fault: { code: 'key-missing', name } })
    await scrubVault(world, unlimited)
    const touches = [first, second].map(({ recoveryPointId }) => ({ recoveryPointId, disk: 'os' }))
    expect(await damageOf(world.control, vmKey)).toMatchObject([{ kind: 'key', code: 'key-missing', name, touches }])
  })

  it('is no base for what it cannot read: the next backup after a check is whole', async () => {
    const world = fakeWorld({ encryption: true })
    const { second } = await lose(world)
    await scrubVault(world, unlimited)
    const third = await backUp(world, bytes2, 2)
    expect(third.disks).toMatchObject([{ transfer: 'incremental' }])
    expect((await restored(world, third)).equals(bytes2)).toBe(true)
    const [report] = await damageOf(world.control, vmKey)
    expect(report?.touches.map(({ recoveryPointId }) => recoveryPointId)).toContain(second.recoveryPointId)
    await scrubVault(world, unlimited)
    const [now] = await damageOf(world.control, vmKey)
    expect(now?.touches.map(({ recoveryPointId }) => recoveryPointId)).not.toContain(third.recoveryPointId)
  })

  it('is nothing that a full backup is compared with, be the key still in memory', async () => {
    const world = fakeWorld({ encryption: true })
    const first = await backUp(world, bytes0, 0)
    await world.keys.rotateDataKey()
    cutOf(world, 'vault', `keys/${first.keyId}/0001.json`)
    await scrubVault(world, unlimited)
    world.platform.copies.clear()
    const second = await backUp(world, bytes1, 1)
    expect(second.disks).toMatchObject([{ transfer: 'full', fullReason: 'stored-bytes-damaged', stack: [{}] }])
    later(world)
    expect((await restored(world, second)).equals(bytes1)).toBe(true)
  })

  it('keeps a backup from being committed that stored frames under it, be the key still in memory', async () => {
    const world = fakeWorld({ encryption: true })
    const { keyId } = await backUp(world, bytes0, 0)
    const name = `keys/${keyId}/0001.json`
    const record = world.vault.objects.get(name) ?? expect.unreachable()
    world.vault.objects.delete(name)
    await expect(backUp(world, bytes1, 1)).rejects.toThrow('vault-key-missing')
    expect(await damageOf(world.control, vmKey)).toMatchObject([{ kind: 'key', code: 'key-missing', name }])
    expect(await pointsListed(world.vault, vmKey)).toHaveLength(1)
    await world.keys.rotateDataKey({ evenIfLocked: true })
    const third = await backUp(world, bytes2, 2)
    world.vault.objects.set(name, record)
    expect(third.keyId).not.toBe(keyId)
    expect((await restored(world, third)).equals(bytes2)).toBe(true)
  })

  it('is not told of VMs that have nothing under it', async () => {
    const world = fakeWorld({ encryption: true })
    await backUp(world, bytes0, 0)
    const before = await world.keys.current()
    await world.keys.rotateDataKey()
    const unused = await world.keys.current()
    await world.keys.rotateDataKey()
    expect(unused?.keyId).not.toBe(before?.keyId)
    cutOf(world, 'vault', `keys/${unused?.keyId}/0001.json`)
    await scrubVault(world, unlimited)
    expect(await damageOf(world.control, vmKey)).toEqual([])
  })
})

describe('a rotation of the wrapping key while the record of a data key is gone', () => {
  it('is not done: the old version is still needed once the record comes back', async () => {
    const world = fakeWorld({ encryption: true })
    const first = await backUp(world, bytes0, 0)
    const name = `keys/${first.keyId}/0001.json`
    const content = world.vault.objects.get(name) ?? expect.unreachable()
    world.vault.objects.delete(name)
    world.wrapper.rotate()
    const failed = { kind: 'failed', keyId: first.keyId, error: { fault: { code: 'key-missing', name } } }
    expect(await world.keys.rotateWrappingKey()).toMatchObject([failed])
    await world.keys.rotateDataKey({ evenIfLocked: true })
    await scrubVault(world, unlimited)
    expect(await world.keys.rotateWrappingKey()).toMatchObject([failed, { kind: 'already' }])
    world.vault.objects.set(name, content)
    const kinds = (await world.keys.rotateWrappingKey())?.map(({ kind }) => kind)
    expect(kinds?.sort()).toEqual(['already', 'rewrapped'])
    world.wrapper.forgetOld()
    later(world)
    expect((await restored(world, first)).equals(bytes0)).toBe(true)
  })
})

describe('a newest revision of a data key that is damaged', () => {
  it('is followed by a whole one when the wrapping keys are rotated again', async () => {
    const world = fakeWorld({ encryption: true })
    const first = await backUp(world, bytes0, 0)
    world.wrapper.rotate()
    await world.keys.rotateWrappingKey()
    cutOf(world, 'vault', `keys/${first.keyId}/0002.json`)
    await scrubVault(world, unlimited)
    expect(await damageOf(world.control, vmKey)).toMatchObject([{ kind: 'key', touches: [{}] }])
    expect(await world.keys.rotateWrappingKey()).toMatchObject([{ kind: 'rewrapped', revision: 3 }])
    world.wrapper.forgetOld()
    later(world)
    expect((await restored(world, first)).equals(bytes0)).toBe(true)
    await scrubVault(world, unlimited)
    expect(await damageOf(world.control, vmKey)).toEqual([])
  })
})

describe('the name of the current data key, damaged', () => {
  it('keeps nobody from restoring, and is put right by a rotation that is asked for', async () => {
    const world = fakeWorld({ encryption: true })
    const first = await backUp(world, bytes0, 0)
    cutOf(world, 'control', 'keys/current.json')
    later(world)
    expect((await restored(world, first)).equals(bytes0)).toBe(true)
    const ring = await world.keys.ring()
    expect(() => ring.current).toThrow(VaultError)
    await expect(world.keys.current()).rejects.toMatchObject({ fault: { name: 'keys/current.json' } })
    await expect(world.keys.rotateDataKey()).rejects.toBeInstanceOf(CurrentKeyLockedError)
    expect(await world.keys.rotateDataKey({ evenIfLocked: true })).toMatchObject({ previousKeyId: null })
    const second = await backUp(world, bytes1, 1)
    expect(second.keyId).not.toBe(first.keyId)
    expect((await restored(world, second)).equals(bytes1)).toBe(true)
  })
})
