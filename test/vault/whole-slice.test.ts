import { describe, expect, it } from 'vitest'
import { latestRecoveryPoint } from '../../shared/vault/recovery-points.ts'
import { createMemoryBlobStore } from '../support/memory-blob-store.ts'
import { backUp, mib, vmKey } from '../support/vault-world.ts'
import { virtualClock } from '../support/virtual-clock.ts'

describe('a slice', () => {
  it('is not committed where a part of its plan was not moved', async () => {
    const stores = { vault: createMemoryBlobStore(), control: createMemoryBlobStore(), clock: virtualClock() }
    const bytes = Buffer.alloc(8 * mib, 'x')
    const disk = { disk: 'os', bytes, ranges: [{ kind: 'data' as const, offsetBytes: 0, lengthBytes: bytes.length }] }
    // A read that never fits into the memory for reads.
    const tuning = { readBytesMax: 4 * mib, readAheadBytes: mib }
    const order = { recoveryPointId: 'r1', disks: [disk], base: null, sliceBytes: 8 * mib, tuning }
    await expect(backUp(stores, order)).rejects.toThrow(/read/)
    expect([...stores.vault.objects.keys()].filter((name) => name.startsWith('slices/'))).toEqual([])
    expect(await latestRecoveryPoint(stores.vault, vmKey)).toBeNull()
  })
})
