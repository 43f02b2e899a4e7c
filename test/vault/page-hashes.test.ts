import { describe, expect, it } from 'vitest'
import type { ChangedRange } from '../../shared/domain/extent.ts'
import type { SidecarReference } from '../../shared/domain/recovery-point.ts'
import { planDisk } from '../../shared/vault/plan-disk.ts'
import { type SealedDisk, sealDisk } from '../../shared/vault/seal-disk.ts'
import { transferSlice } from '../../shared/vault/transfer-slice.ts'
import { type CompareWorld, openCompareWorld, sidecarOf } from '../support/compared-backup.ts'
import { failAtEachCall, orBroken } from '../support/fail-at.ts'
import { fc } from '../support/fast-check.ts'
import { memoryDiskReader } from '../support/memory-disk.ts'
import { type SeededRandom, seededRandom } from '../support/seeded-random.ts'
import { sidecarReadBack } from '../support/sidecar-read-back.ts'
import { tinyTuning } from '../support/vault-world.ts'

const mib = 1024 * 1024
const page = 4096
const groupBytes = 4096 * page
const disk = { recoveryPointId: 'base', disk: 'os' }
const dataKey = { keyId: '0123456789abcdef0123456789abcdef', bytes: Buffer.alloc(32, 9) }

interface ListedDisk {
  readonly bytes: Buffer
  readonly ranges: readonly ChangedRange[]
}

/** What is allocated lies around a few places, in whole sectors, with pages and parts of pages that are zero.
 * @param lastBytes of the last range at each place; slices end inside it where it is long */
const diskAround = (
  random: SeededRandom,
  sizeBytes: number,
  places: readonly number[],
  lastBytes: number,
): ListedDisk => {
  const bytes = Buffer.alloc(sizeBytes)
  const ranges: ChangedRange[] = []
  for (const place of places)
    for (let offsetBytes = place; offsetBytes < place + 60 * page; ) {
      const isLast = offsetBytes > place + 50 * page
      const lengthBytes = isLast
        ? lastBytes + 512 * random.below(99)
        : (1 + random.below(random.below(3) > 0 ? 8 : 150)) * 512
      const kind = random.below(9) > 0 || isLast ? 'data' : 'clear'
      if (kind === 'data' && random.below(6) > 0) random.bytes(lengthBytes).copy(bytes, offsetBytes)
      if (random.below(3) === 0) bytes.fill(0, offsetBytes, offsetBytes + Math.min(lengthBytes, 6 * page))
      ranges.push({ kind, offsetBytes, lengthBytes })
      offsetBytes += lengthBytes + random.below(3) * random.below(20) * 512
    }
  return { bytes, ranges }
}

const backUp = async (world: CompareWorld, { bytes, ranges }: ListedDisk, rangesPerSlice = 4): Promise<SealedDisk> => {
  const reader = memoryDiskReader(bytes, ranges, 7)
  const { slices } = await planDisk({ ...world, reader }, { ...disk, hasBase: false, sliceBytes: mib, rangesPerSlice })
  for (let slice = 0; slice < slices; slice += 1) await move(world, { bytes, ranges }, slice)
  return sealDisk(world, { ...disk, parentStack: [], fullReason: 'first-backup' })
}

const move = (world: CompareWorld, { bytes, ranges }: ListedDisk, slice: number, isOfImage = true) =>
  transferSlice(
    { ...world, reader: memoryDiskReader(bytes, ranges) },
    {
      ...disk,
      jobId: 'job',
      slice,
      encoding: { compression: 'none', key: world.key },
      tuning: { ...tinyTuning, frameCapacityBytes: 9 * 512, segmentBytes: mib },
      isOfImage,
    },
  )

const storedSidecar = ({ vault }: Pick<CompareWorld, 'vault'>): Buffer | null => {
  const stored = vault.objects.get('sidecars/base/os')
  return stored === undefined ? null : Buffer.from(stored.bytes)
}

const readBack = (world: CompareWorld, { layer }: SealedDisk, { bytes }: ListedDisk): Promise<Buffer> => {
  if (layer === null) throw new Error('the disk has a layer')
  return sidecarReadBack(world.vault, { layer, sizeBytes: bytes.length, key: world.key })
}

const hashNames = ({ control }: Pick<CompareWorld, 'control'>): string[] =>
  [...control.objects.keys()].filter((name) => name.startsWith('plans/base/os/hashes/'))

const sample = diskAround(seededRandom(11), mib, [0], 512)

describe('a sidecar joined of the hashes of slices', { timeout: 60_000 }, () => {
  it('is byte by byte what follows from the layer as it reads back', async () => {
    const history = async (seed: number, isEncrypted: boolean) => {
      const random = seededRandom(seed)
      const world = openCompareWorld(isEncrypted ? dataKey : null)
      const places = [512 * random.below(20), groupBytes - 30 * page, 2 * groupBytes - 512 * random.below(400)]
      const listed = diskAround(random, 2 * groupBytes + 2 * mib + 512 * random.below(9), places, mib)
      const sealed = await backUp(world, listed, 5 + random.below(60))
      expect(sealed.slices.length).toBeGreaterThan(1)
      expect(await sidecarOf(world, 'base', sealed)).not.toBeNull()
      expect(storedSidecar(world)?.equals(await readBack(world, sealed, listed)), `seed ${seed}`).toBe(true)
    }
    await fc.assert(fc.asyncProperty(fc.integer({ min: 0, max: 2 ** 30 }), fc.boolean(), history), { numRuns: 8 })
  })

  it.each(['crashBefore', 'crashAfter', 'unreachable', 'lostAnswer'] as const)(
    'comes out the same after %s at any one call, in slices and seal',
    async (fault) => {
      const whole = { ...openCompareWorld(dataKey), ...sample }
      const run = async (world: CompareWorld): Promise<SidecarReference | null> =>
        sidecarOf(world, 'base', await backUp(world, sample))
      const worldOf = (stores: object): CompareWorld => ({ ...whole, ...stores }) as CompareWorld
      const calls = await failAtEachCall(whole, fault, {
        worldOf,
        work: (broken) => orBroken(run(broken)),
        check: async (copy, target) => {
          const again = worldOf({ vault: copy.vault.reopen(), control: copy.control.reopen() })
          const sealed = await backUp(again, sample)
          expect(await sidecarOf(again, 'base', sealed), `call ${target}`).not.toBeNull()
          expect(storedSidecar(again)?.equals(await readBack(again, sealed, sample)), `call ${target}`).toBe(true)
        },
      })
      expect(calls).toBeGreaterThan(25)
    },
  )

  it('takes the hashes of the attempt that counts, whoever else moved the slice', async () => {
    const world = openCompareWorld()
    const create = world.vault.create
    let isTwin = false
    world.vault.create = async (name, parts, options) => {
      if (name.startsWith('slices/') && !isTwin) {
        isTwin = true
        await move(world, sample, 0)
      }
      return create(name, parts, options)
    }
    const sealed = await backUp(world, sample)
    expect(hashNames(world)).toEqual(
      expect.arrayContaining(['plans/base/os/hashes/000000.0001', 'plans/base/os/hashes/000000.0002']),
    )
    expect(sealed.slices[0]).toMatchObject({ attempt: 2 })
    expect(await sidecarOf(world, 'base', sealed)).not.toBeNull()
    expect(storedSidecar(world)?.equals(await readBack(world, sealed, sample))).toBe(true)
  })
})

describe('a sidecar', { timeout: 60_000 }, () => {
  it('is not made where hashes of a slice are gone, damaged, of another run or under another key', async () => {
    const world = openCompareWorld(dataKey)
    const sealed = await backUp(world, sample)
    const { objects } = world.control
    const [first = '', second = ''] = hashNames(world)
    const stored = objects.get(first)!
    const damaged = Buffer.from(stored.bytes)
    damaged[600]! ^= 1
    const bad = [null, damaged, stored.bytes.subarray(0, stored.bytes.length - 1), objects.get(second)!.bytes]
    for (const bytes of bad) {
      if (bytes === null) objects.delete(first)
      else objects.set(first, { bytes: Buffer.from(bytes), etag: 'bad' })
      expect(await sidecarOf(world, 'base', sealed)).toBeNull()
      expect(storedSidecar(world)).toBeNull()
    }
    objects.set(first, stored)
    expect(await sidecarOf({ ...world, key: null }, 'base', sealed)).toBeNull()
    expect(await sidecarOf(world, 'base', sealed)).not.toBeNull()
  })

  it('needs hashes, which nobody takes of an increment or of a disk without an image', async () => {
    const { bytes, ranges } = sample
    const reader = memoryDiskReader(bytes, ranges)
    const planned = async (change: { readonly hasBase?: boolean; readonly isOfImage?: boolean }) => {
      const world = openCompareWorld()
      const { hasBase = false, isOfImage = true } = change
      const plan = await planDisk({ ...world, reader }, { ...disk, hasBase, sliceBytes: mib })
      for (let slice = 0; slice < plan.slices; slice += 1) await move(world, sample, slice, isOfImage)
      return hashNames(world).length
    }
    expect(await planned({})).toBeGreaterThan(0)
    expect(await planned({ hasBase: true })).toBe(0)
    expect(await planned({ isOfImage: false })).toBe(0)
  })
})
