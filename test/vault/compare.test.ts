import { describe, expect, it } from 'vitest'
import type { LayerReference } from '../../shared/domain/recovery-point.ts'
import { readStoredDamage } from '../../shared/vault/stored-damage.ts'
import { backUpCompared, type CompareWorld, openCompareWorld, readDisk } from '../support/compared-backup.ts'
import { applyWrites, randomWrites } from '../support/disk-history.ts'
import { fc } from '../support/fast-check.ts'
import { seededRandom } from '../support/seeded-random.ts'
import { tinyTuning } from '../support/vault-world.ts'

const mib = 1024 * 1024
const page = 4096
const dataKey = { keyId: '0123456789abcdef0123456789abcdef', bytes: Buffer.alloc(32, 9) }

const randomDisk = (seed: number, sizeBytes: number, writes: number): Buffer =>
  applyWrites(Buffer.alloc(sizeBytes), randomWrites(seededRandom(seed), sizeBytes, writes)).bytes

const full = async (world: CompareWorld, recoveryPointId: string, bytes: Buffer) =>
  backUpCompared(world, { recoveryPointId, bytes, comparison: null, tuning: tinyTuning })

const again = (
  world: CompareWorld,
  recoveryPointId: string,
  bytes: Buffer,
  stack: readonly LayerReference[],
  afterPlan = () => {},
) =>
  backUpCompared(world, { recoveryPointId, bytes, comparison: { kind: 'vault', stack }, tuning: tinyTuning, afterPlan })

/** Random fulls of a disk that is written to, grows, shrinks and is sometimes another disk altogether; each is compared with the one
 * before it, and each restores to what it was. */
const runHistory = async (seed: number, isEncrypted: boolean): Promise<void> => {
  const random = seededRandom(seed)
  const world = openCompareWorld(isEncrypted ? dataKey : null)
  let bytes = randomDisk(seed, mib, 60)
  let { stack } = await full(world, 'r0', bytes)
  const made = [{ stack, bytes }]
  for (let number = 1; number <= 4; number += 1) {
    const sizeBytes = random.below(3) === 0 ? mib / 2 + random.below(256) * page + random.below(8) * 512 : bytes.length
    const before = random.below(6) === 0 ? randomDisk(seed + number, mib, 40) : bytes
    const resized = Buffer.alloc(sizeBytes)
    before.copy(resized)
    bytes = applyWrites(resized, randomWrites(random, sizeBytes - (sizeBytes % page), random.below(30))).bytes
    stack = (await again(world, `r${number}`, bytes, stack)).stack
    made.push({ stack, bytes })
  }
  for (const [number, point] of made.entries()) {
    const restored = await readDisk(world, point.stack, point.bytes.length)
    if (!restored.equals(point.bytes)) throw new Error(`r${number} of seed ${seed} is not what it was`)
  }
}

const flip = (world: CompareWorld, prefix: string): void => {
  for (const [name, { bytes }] of world.vault.objects)
    if (name.startsWith(prefix)) {
      const copy = Buffer.from(bytes)
      copy[400] = (copy[400] ?? 0) ^ 1
      world.vault.objects.set(name, { bytes: copy, etag: 'damaged' })
    }
}

describe('a full transfer that is compared with what the vault holds', { timeout: 60_000 }, () => {
  it('restores exactly, through growth, shrinking, exchanged disks, and under a key', async () => {
    await fc.assert(fc.asyncProperty(fc.integer({ min: 0, max: 2 ** 30 }), fc.boolean(), runHistory), { numRuns: 6 })
  })

  it('stores only pages that differ, and tells how many', async () => {
    const world = openCompareWorld()
    const bytes = seededRandom(1).bytes(4 * mib)
    const { stack } = await full(world, 'r0', bytes)
    const changed = Buffer.from(bytes)
    for (const number of [3, 4, 500, 1023]) changed[number * page + 77]! ^= 1
    const { stack: later, report } = await again(world, 'r1', changed, stack)
    expect(later).toHaveLength(2)
    expect(report).toMatchObject({
      transfer: 'full',
      comparedWith: 'vault',
      allocatedBytes: 4 * mib,
      changedBytes: 4 * page,
      readBytes: 4 * mib,
      storedPlainBytes: 4 * page,
    })
    expect(report.storedBytes).toBeLessThan(1.3 * 4 * page + 4000)
    expect((await readDisk(world, later, changed.length)).equals(changed)).toBe(true)
  })

  it('makes no layer where nothing differs', async () => {
    const world = openCompareWorld()
    const bytes = randomDisk(2, mib, 100)
    const { stack } = await full(world, 'r0', bytes)
    const sealed = await again(world, 'r1', bytes, stack)
    expect(sealed).toMatchObject({ layer: null, stack, report: { changedBytes: 0, storedPlainBytes: 0 } })
    expect(
      [...world.vault.objects.keys()].filter((name) => name.includes('/r1/') && !name.startsWith('slices/')),
    ).toEqual([])
  })

  it('hides what the stack shows where the source has nothing any more', async () => {
    const world = openCompareWorld()
    const bytes = Buffer.alloc(mib, 'x')
    const { stack } = await full(world, 'r0', bytes)
    const emptied = Buffer.from(bytes).fill(0, 40 * page, 100 * page)
    const sealed = await again(world, 'r1', emptied, stack)
    expect(sealed.report).toMatchObject({ changedBytes: 60 * page, storedPlainBytes: 0 })
    expect((await readDisk(world, sealed.stack, mib)).equals(emptied)).toBe(true)
  })

  it('stores everything from where stored bytes are damaged, needs none of them, and says so', async () => {
    for (const seed of [5, 6, 7]) {
      const world = openCompareWorld()
      const bytes = randomDisk(seed, mib, 100)
      const { stack } = await full(world, 'r0', bytes)
      flip(world, 'segments/r0/')
      const sealed = await again(world, 'r1', bytes, stack)
      const note = await readStoredDamage(world.control, { recoveryPointId: 'r1', disk: 'os' })
      expect(note).toMatchObject({ name: expect.stringMatching(/^segments\/r0\//) })
      expect((await readDisk(world, sealed.stack, mib)).equals(bytes)).toBe(true)
      await expect(readDisk(world, stack, mib)).rejects.toMatchObject({ name: 'VaultError' })
    }
  })

  it('does the same where stored segments are gone', async () => {
    const world = openCompareWorld()
    const bytes = randomDisk(8, mib, 100)
    const { stack } = await full(world, 'r0', bytes)
    for (const name of [...world.vault.objects.keys()])
      if (name.startsWith('segments/r0/') && name.endsWith('-00001')) world.vault.objects.delete(name)
    const sealed = await again(world, 'r1', bytes, stack)
    expect((await readDisk(world, sealed.stack, mib)).equals(bytes)).toBe(true)
  })

  it('stands alone where nothing of what it was compared with is left to see', async () => {
    const world = openCompareWorld()
    const { stack } = await full(world, 'r0', Buffer.alloc(mib, 'old'))
    const bytes = Buffer.alloc(mib / 2, 'new')
    const sealed = await again(world, 'r1', bytes, stack)
    expect(sealed.stack).toEqual([sealed.layer])
    expect((await readDisk(world, sealed.stack, bytes.length)).equals(bytes)).toBe(true)
  })

  it('never lies on an index that is damaged', async () => {
    const world = openCompareWorld()
    const bytes = randomDisk(9, mib, 100)
    const { stack } = await full(world, 'r0', bytes)
    const damaged = again(world, 'r1', bytes, stack, () => flip(world, 'layers/r0/'))
    await expect(damaged).rejects.toMatchObject({ name: 'VaultError', fault: { name: 'layers/r0/os' } })
    await expect(again(world, 'r2', bytes, stack)).rejects.toMatchObject({ fault: { name: 'layers/r0/os' } })
  })
})
