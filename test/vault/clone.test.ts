import { describe, expect, it } from 'vitest'
import type { LayerReference, SidecarReference } from '../../shared/domain/recovery-point.ts'
import type { DataKey } from '../../shared/format/data-key.ts'
import { createPageHasher } from '../../shared/format/page-hash.ts'
import type { Comparison } from '../../shared/vault/comparison.ts'
import type { SealedDisk } from '../../shared/vault/seal-disk.ts'
import { readStoredDamage } from '../../shared/vault/stored-damage.ts'
import { backUpCompared, type CompareWorld, openCompareWorld, readDisk, sidecarOf } from '../support/compared-backup.ts'
import { applyWrites, randomWrites } from '../support/disk-history.ts'
import { fc } from '../support/fast-check.ts'
import { seededRandom } from '../support/seeded-random.ts'

const diskBytes = 512 * 1024
const page = 4096
const dataKey: DataKey = { keyId: '0123456789abcdef0123456789abcdef', bytes: Buffer.alloc(32, 9) }

interface Image {
  readonly bytes: Buffer
  readonly layer: LayerReference
  readonly sidecar: SidecarReference
  readonly sealed: SealedDisk
}

/** The first disk of an image: its layer, and the hashes of its pages. */
const firstOf = async (world: CompareWorld, bytes: Buffer): Promise<Image> => {
  const sealed = await backUpCompared(world, { recoveryPointId: 'base', bytes, comparison: null })
  const { layer } = sealed
  const sidecar = await sidecarOf(world, 'base', sealed)
  if (layer === null || sidecar === null) throw new Error('the image is empty')
  return { bytes, layer, sidecar, sealed }
}

const comparisonOf = ({ layer, sidecar }: Image): Comparison => ({ kind: 'image', layer, sidecar })

const clone = (world: CompareWorld, recoveryPointId: string, image: Image, bytes: Buffer) =>
  backUpCompared(world, { recoveryPointId, bytes, comparison: comparisonOf(image) })

/** The image as a clone has it after a while: written to, of another size. */
const grownUp = (seed: number, image: Buffer, sizeBytes: number, writes: number): Buffer => {
  const bytes = Buffer.alloc(sizeBytes)
  image.copy(bytes)
  return applyWrites(bytes, randomWrites(seededRandom(seed), sizeBytes - (sizeBytes % page), writes)).bytes
}

const imageBytes = (seed: number, sizeBytes: number): Buffer =>
  applyWrites(Buffer.alloc(sizeBytes), randomWrites(seededRandom(seed), sizeBytes, 80)).bytes

/** Clones of one image, each backed up again in full after more changes; every recovery point restores to what it was. */
const runHistory = async (seed: number, isEncrypted: boolean): Promise<void> => {
  const random = seededRandom(seed)
  const world = openCompareWorld(isEncrypted ? dataKey : null)
  const image = await firstOf(world, imageBytes(seed, diskBytes))
  const made = [{ stack: [image.layer] as readonly LayerReference[], bytes: image.bytes }]
  for (let number = 0; number < 3; number += 1) {
    const sizeBytes = diskBytes + (random.below(5) - 2) * 17 * 512
    const bytes = grownUp(seed + number, image.bytes, sizeBytes, random.below(40))
    const first = await clone(world, `c${number}`, image, bytes)
    const later = grownUp(seed + number + 100, bytes, sizeBytes, random.below(20))
    const comparison = { kind: 'vault' as const, stack: first.stack }
    const second = await backUpCompared(world, { recoveryPointId: `d${number}`, bytes: later, comparison })
    made.push({ stack: first.stack, bytes }, { stack: second.stack, bytes: later })
  }
  for (const [number, point] of made.entries()) {
    const restored = await readDisk(world, point.stack, point.bytes.length)
    if (!restored.equals(point.bytes)) throw new Error(`point ${number} of seed ${seed} is not what it was`)
  }
}

const storedBytes = (world: CompareWorld): number =>
  [...world.vault.objects.values()].reduce((sum, { bytes }) => sum + bytes.length, 0)

describe('disks made from one image', { timeout: 60_000 }, () => {
  it('restore exactly, each with changes and a size of its own, also under a key', async () => {
    await fc.assert(fc.asyncProperty(fc.integer({ min: 0, max: 2 ** 30 }), fc.boolean(), runHistory), { numRuns: 5 })
  })

  it('share the image: 1,000 changed pages of 16 MiB are stored in 1.01 times their bytes, index and all', async () => {
    const world = openCompareWorld()
    const random = seededRandom(4)
    const image = await firstOf(world, random.bytes(16 * 2 * diskBytes))
    const bytes = Buffer.from(image.bytes)
    const step = Math.floor(bytes.length / page / 1000)
    for (let number = 0; number < 1000; number += 1) random.bytes(page).copy(bytes, number * step * page)
    const before = storedBytes(world)
    const { stack, report } = await backUpCompared(world, {
      recoveryPointId: 'clone',
      bytes,
      comparison: comparisonOf(image),
      sliceBytes: 8 * 2 * diskBytes,
    })
    const stored = storedBytes(world) - before
    expect(report).toMatchObject({ comparedWith: 'image', changedBytes: 1000 * page, storedPlainBytes: 1000 * page })
    expect(report.storedBytes).toBe(stored)
    const index = [...world.vault.objects].filter(([name]) => /^(slices|layers)\/clone\//.test(name))
    const indexBytes = index.reduce((sum, [, object]) => sum + object.bytes.length, 0)
    expect(stored - indexBytes).toBeLessThanOrEqual(1.01 * 1000 * page)
    expect(stored).toBeLessThanOrEqual(1.02 * 1000 * page)
    expect(stack.at(-1)).toEqual(image.layer)
    expect((await readDisk(world, stack, bytes.length)).equals(bytes)).toBe(true)
  })

  it('need no read of the image itself, only of its hashes', async () => {
    const world = openCompareWorld()
    const image = await firstOf(world, imageBytes(3, diskBytes))
    const vault = world.vault.reopen()
    await clone({ ...world, vault }, 'clone', image, grownUp(1, image.bytes, diskBytes, 10))
    expect(vault.calls.filter(({ name }) => name.startsWith('segments/base/'))).toEqual([])
  })

  it('hide what the image has and they have not', async () => {
    const world = openCompareWorld()
    const image = await firstOf(world, Buffer.alloc(diskBytes, 'image'))
    const bytes = Buffer.from(image.bytes).fill(0, 10 * page + 512, 90 * page)
    const { stack } = await clone(world, 'clone', image, bytes)
    expect((await readDisk(world, stack, diskBytes)).equals(bytes)).toBe(true)
  })
})

describe('a damaged sidecar', { timeout: 60_000 }, () => {
  const damaged = async (seed: number, damage: (bytes: Buffer) => Buffer | null) => {
    const world = openCompareWorld(seed % 2 === 0 ? dataKey : null)
    const image = await firstOf(world, imageBytes(seed, diskBytes))
    const bytes = grownUp(seed, image.bytes, diskBytes, 12)
    const { stack } = await backUpCompared(world, {
      recoveryPointId: 'clone',
      bytes,
      comparison: comparisonOf(image),
      afterPlan: () => {
        const after = damage(Buffer.from(world.vault.objects.get('sidecars/base/os')!.bytes))
        if (after === null) world.vault.objects.delete('sidecars/base/os')
        else world.vault.objects.set('sidecars/base/os', { bytes: after, etag: 'damaged' })
      },
    })
    const restored = await readDisk(world, stack, diskBytes)
    expect(restored.equals(bytes), `seed ${seed}`).toBe(true)
    return readStoredDamage(world.control, { recoveryPointId: 'clone', disk: 'os' })
  }

  it('never makes wrong bytes, whichever of its bytes is another', async () => {
    for (let seed = 0; seed < 10; seed += 1)
      await damaged(seed, (bytes) => {
        const at = seededRandom(seed).below(bytes.length)
        bytes[at]! ^= 1 << (seed % 8)
        return bytes
      })
  })

  it('is not believed where it holds the hash of a page that the image has not', async () => {
    const world = openCompareWorld()
    const image = await firstOf(world, Buffer.alloc(diskBytes, 'image'))
    const bytes = Buffer.from(image.bytes).fill('clone', 0, page)
    const { stack } = await backUpCompared(world, {
      recoveryPointId: 'clone',
      bytes,
      comparison: comparisonOf(image),
      afterPlan: () => {
        const stored = world.vault.objects.get('sidecars/base/os')!.bytes
        stored.set(createPageHasher(null)(bytes.subarray(0, page)), 512)
      },
    })
    expect((await readDisk(world, stack, diskBytes)).equals(bytes)).toBe(true)
  })

  it('costs space alone where it is cut, gone or another one, and is told of', async () => {
    expect(await damaged(1, (bytes) => bytes.subarray(0, bytes.length - 7))).toMatchObject({ name: 'sidecars/base/os' })
    expect(await damaged(2, () => null)).toMatchObject({ code: 'object-missing', name: 'sidecars/base/os' })
    const other = openCompareWorld()
    const { sidecar } = await firstOf(other, imageBytes(77, diskBytes))
    const foreign = Buffer.from(other.vault.objects.get(`sidecars/${sidecar.sidecarId}`)!.bytes)
    expect(await damaged(3, () => foreign)).toMatchObject({ name: 'sidecars/base/os' })
  })

  it('whose key is not at hand is not used', async () => {
    const world = openCompareWorld(dataKey)
    const image = await firstOf(world, imageBytes(5, diskBytes))
    const without = { ...world, key: null }
    const { stack } = await clone(without, 'clone', image, image.bytes)
    expect(await readStoredDamage(world.control, { recoveryPointId: 'clone', disk: 'os' })).toMatchObject({
      code: 'key-missing',
    })
    expect((await readDisk(without, stack, diskBytes)).equals(image.bytes)).toBe(true)
  })
})

describe('writing a sidecar', () => {
  it('is done once: a second run finds the first one’s', async () => {
    const world = openCompareWorld()
    const image = await firstOf(world, imageBytes(6, diskBytes))
    const { calls } = world.control
    const before = calls.length
    expect(await sidecarOf(world, 'base', image.sealed)).toEqual(image.sidecar)
    expect(calls.slice(before)).toEqual([])
  })

  it('comes out the same whoever writes it', async () => {
    for (const key of [null, dataKey]) {
      const worlds = [openCompareWorld(key), openCompareWorld(key)]
      const written = await Promise.all(
        worlds.map(async (world) => {
          const { sidecar } = await firstOf(world, imageBytes(7, diskBytes))
          const bytes = Buffer.from(world.vault.objects.get('sidecars/base/os')!.bytes)
          // Frames have nonces of their own, so the footers name layers that differ; the hashes are of the same pages.
          return key === null ? bytes : bytes.subarray(0, sidecar.lengthBytes - sidecar.footerBytes)
        }),
      )
      expect(written[0]!.length).toBeGreaterThan(512)
      expect(written[0]!.equals(written[1]!)).toBe(true)
    }
  })

  it('does not take the hashes of another layer for its own', async () => {
    const world = openCompareWorld()
    const image = await firstOf(world, imageBytes(8, diskBytes))
    const second = await backUpCompared(world, {
      recoveryPointId: 'r2',
      bytes: imageBytes(9, diskBytes),
      comparison: null,
    })
    await expect(sidecarOf(world, 'base', second)).rejects.toMatchObject({
      fault: { code: 'twin-differs' },
    })
    expect(image.sidecar.sidecarId).toBe('base/os')
  })

  it('tells nothing of plain pages to whoever lacks the key', async () => {
    const bytes = imageBytes(10, diskBytes)
    const [plain, keyed] = [openCompareWorld(), openCompareWorld(dataKey)]
    await firstOf(plain, bytes)
    await firstOf(keyed, bytes)
    const groupsOf = (world: CompareWorld) =>
      Buffer.from(world.vault.objects.get('sidecars/base/os')!.bytes.subarray(512, 512 + 160))
    for (let at = 0; at < 160; at += 16)
      expect(groupsOf(keyed).includes(groupsOf(plain).subarray(at, at + 16))).toBe(false)
  })
})
