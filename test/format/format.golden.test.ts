import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { digestHex } from '../../shared/format/digest.ts'
import { readDiskPlan, readSlicePlan } from '../../shared/vault/disk-plan.ts'
import { readRecoveryPoint } from '../../shared/vault/recovery-points.ts'
import { readSliceIndex } from '../../shared/vault/slice-index.ts'
import { loadGoldenVault, makeGoldenVault, saveGoldenVault } from '../support/golden-vault.ts'
import { restoreDisk, vmKey } from '../support/vault-world.ts'

/** Files that were written once stay readable for ever; see test/golden/vectors/README.md. With MAKE_GOLDEN=1 those of a new version
 * are made first; files that exist are never overwritten, so for the rest it fails. */
const folder = join(import.meta.dirname, '..', 'golden', 'vectors', 'v1')
if (process.env.MAKE_GOLDEN === '1')
  for (const kind of ['raw', 'zstd'] as const) await saveGoldenVault(join(folder, kind), await makeGoldenVault(kind))

describe('the golden vaults of version 1', () => {
  it.each(['raw', 'zstd'])('restore to the bytes they were made of: %s', async (kind) => {
    const golden = await loadGoldenVault(join(folder, kind))
    expect(Object.keys(golden.images)).toEqual(['r1', 'r2'])
    for (const [recoveryPointId, digest] of Object.entries(golden.images)) {
      const found = await readRecoveryPoint(golden.vault, { vmKey, recoveryPointId })
      if (found === null) throw new Error(`${recoveryPointId} is not there`)
      expect(digestHex(await restoreDisk(golden.vault, found.recoveryPoint, 'os'))).toBe(digest)
    }
  })

  it('come out byte for byte when they are made again, where zstd has no say', async () => {
    const kept = await loadGoldenVault(join(folder, 'raw'))
    const made = await makeGoldenVault('raw')
    expect(made.images).toEqual(kept.images)
    for (const [before, now] of [
      [kept.vault, made.vault],
      [kept.control, made.control],
    ] as const) {
      expect([...now.objects.keys()].sort()).toEqual([...before.objects.keys()].sort())
      for (const [name, { bytes }] of before.objects)
        expect(Buffer.from(now.objects.get(name)?.bytes ?? []).equals(bytes), name).toBe(true)
    }
  })

  it('hold what their description says', async () => {
    const { vault, control } = await loadGoldenVault(join(folder, 'raw'))
    const key = { recoveryPointId: 'r2', disk: 'os' }
    const plan = await readDiskPlan(control, key)
    expect(plan).toMatchObject({ run: 1, transfer: 'incremental', slices: 2, dataBytes: 33 * 512, clearBytes: 8192 })
    const ranges = await Promise.all([0, 1].map((slice) => readSlicePlan(control, { ...key, slice }, 1, {})))
    expect(ranges.flatMap((slice) => slice.ranges)).toEqual([
      { offsetBytes: 8 * 512, lengthBytes: 8 * 512, kind: 'data' },
      { offsetBytes: 16 * 512, lengthBytes: 8192, kind: 'clear' },
      { offsetBytes: 203 * 512, lengthBytes: 512, kind: 'data' },
      { offsetBytes: 400 * 512, lengthBytes: 24 * 512, kind: 'data' },
    ])
    const index = await readSliceIndex(vault, { ...key, slice: 0 }, {})
    expect(index?.footer).toMatchObject({ attempt: 1, frames: 1, runs: 3, zeroBytes: 8192, dataBytes: 9 * 512 })
    expect(index?.footer).toMatchObject({ readBytes: 196 * 512, joinedBytes: 187 * 512, readCalls: 1 })
  })
})
