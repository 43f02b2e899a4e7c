import { describe, expect, it } from 'vitest'
import { evenSliceBytes, sliceBytesFor } from '../../shared/domain/slice-plan.ts'
import { sliceIndexName } from '../../shared/format/names.ts'

const mib = 1024 * 1024
const tib = 1024 * 1024 * mib

describe('the size of a slice', () => {
  it.each([1, 4, 15, 16, 32, 64])('leaves a full disk of %i TiB with slices that have a name', (tebibytes) => {
    const sliceBytes = sliceBytesFor(tebibytes * tib, 16 * mib)
    const last = Math.ceil((tebibytes * tib) / sliceBytes) - 1
    expect(sliceIndexName({ recoveryPointId: 'r', disk: 'os', slice: last })).toMatch(/\/\d{6}$/)
    expect(sliceBytes % mib).toBe(0)
  })

  it('gives each thread some slices of a small disk, though not tiny ones', () => {
    expect(sliceBytesFor(8 * 1024 * mib, 2048 * mib)).toBe(512 * mib)
    expect(sliceBytesFor(1024 * mib, 2048 * mib)).toBe(128 * mib)
    expect(sliceBytesFor(8 * 1024 * mib - 512, 2048 * mib) % mib).toBe(0)
    expect(sliceBytesFor(8 * 1024 * mib, 64 * mib)).toBe(64 * mib)
  })

  it('is what was asked for on all other disks', () => {
    expect(sliceBytesFor(8 * tib - 1, 16 * mib)).toBeLessThanOrEqual(17 * mib)
    expect(sliceBytesFor(32 * tib, 2048 * mib)).toBe(2048 * mib)
    expect(sliceBytesFor(32 * 1024 * mib, 16 * mib)).toBe(16 * mib)
  })

  it('is the same for all slices of a change that is known whole, as many as two or four threads share', () => {
    const slicesOf = (dataMib: number, mibMax = 512) =>
      Math.ceil(dataMib / (evenSliceBytes(dataMib * mib, mibMax * mib) / mib))
    expect([28, 127, 128, 255, 256, 512, 1024, 2047, 2771, 8192].map((dataMib) => slicesOf(dataMib))).toEqual([
      1, 1, 2, 2, 4, 4, 8, 8, 16, 16,
    ])
    expect(slicesOf(100 * 1024)).toBe(200)
    expect(slicesOf(9, 8)).toBe(2)
    expect(evenSliceBytes(2771 * mib - 512, 512 * mib)).toBe(174 * mib)
    expect(evenSliceBytes(0, 16 * mib)).toBe(mib)
  })

  it('of the least setting has too many on the largest disks', () =>
    expect(() => sliceIndexName({ recoveryPointId: 'r', disk: 'os', slice: (32 * tib) / (16 * mib) - 1 })).toThrow())
})
