import { beforeAll, describe, expect, it } from 'vitest'
import type { RecoveryPoint } from '../../shared/domain/recovery-point.ts'
import { openStack, readStack } from '../../shared/vault/stack.ts'
import { allocatedRanges, applyWrites, type DiskWrite } from '../support/disk-history.ts'
import { createMemoryBlobStore } from '../support/memory-blob-store.ts'
import { seededRandom } from '../support/seeded-random.ts'
import { backUp, mib, restoreDisk } from '../support/vault-world.ts'
import { virtualClock } from '../support/virtual-clock.ts'

/** More layers than frames are kept for, with so many tiny runs that a read takes several batches. */
const layers = 60
const random = seededRandom(99)
const stores = { vault: createMemoryBlobStore(), control: createMemoryBlobStore(), clock: virtualClock() }
let bytes: Buffer = random.bytes(4 * mib)
let newest: RecoveryPoint

beforeAll(async () => {
  const ranges = allocatedRanges(bytes)
  newest = await backUp(stores, { recoveryPointId: 'r000', base: null, disks: [{ disk: 'os', bytes, ranges }] })
  for (let number = 1; number < layers; number += 1) {
    const writes = Array.from({ length: 250 }, (): DiskWrite => {
      const offsetBytes = random.below(bytes.length / 512) * 512
      return { kind: 'data', offsetBytes, bytes: random.bytes(512) }
    })
    const after = applyWrites(bytes, writes)
    const recoveryPointId = `r${String(number).padStart(3, '0')}`
    newest = await backUp(stores, { recoveryPointId, base: newest, disks: [{ disk: 'os', ...after }] })
    bytes = after.bytes
  }
}, 60_000)

describe('a deep stack', { timeout: 60_000 }, () => {
  it('has one layer for each recovery point, newest first', () => {
    const ids = newest.disks[0]?.stack.map((layer) => layer.layerId) ?? []
    expect(ids).toHaveLength(layers)
    expect(ids).toEqual([...ids].sort().reverse())
  })

  it('restores to the last state', async () => {
    expect((await restoreDisk(stores.vault, newest, 'os', mib)).equals(bytes)).toBe(true)
  })

  it('is read at any window, without holes and in order', async () => {
    const disk = newest.disks[0] ?? expect.unreachable()
    const stack = await openStack(stores.vault, disk)
    for (let round = 0; round < 20; round += 1) {
      const offsetBytes = random.below(bytes.length / 512) * 512
      const lengthBytes = Math.min(bytes.length - offsetBytes, random.below(2000) * 512)
      const read = Buffer.alloc(lengthBytes, 0xee)
      let position = offsetBytes
      for await (const part of readStack(stack, { offsetBytes, lengthBytes })) {
        expect(part.offsetBytes).toBe(position)
        position += part.lengthBytes
        read.set(part.bytes ?? Buffer.alloc(part.lengthBytes), part.offsetBytes - offsetBytes)
      }
      expect(position).toBe(offsetBytes + lengthBytes)
      expect(read.equals(bytes.subarray(offsetBytes, offsetBytes + lengthBytes))).toBe(true)
    }
  })

  it('may be left in the middle of a read', async () => {
    const stack = await openStack(stores.vault, newest.disks[0] ?? expect.unreachable())
    for await (const part of readStack(stack, { offsetBytes: 0, lengthBytes: bytes.length })) {
      expect(part.offsetBytes).toBe(0)
      break
    }
  })

  it('passes on that its reader was asked to stop', async () => {
    const stack = await openStack(stores.vault, newest.disks[0] ?? expect.unreachable())
    const reading = readStack(stack, { offsetBytes: 0, lengthBytes: bytes.length }, { signal: AbortSignal.abort() })
    await expect(reading.next()).rejects.toThrow(/abort/i)
  })

  it('finds one page by reading a footer, a shard and a frame of each layer at most', async () => {
    const vault = stores.vault.reopen()
    const stack = await openStack(vault, newest.disks[0] ?? expect.unreachable())
    expect(vault.calls).toHaveLength(layers)
    for await (const part of readStack(stack, { offsetBytes: mib, lengthBytes: 512 }))
      expect(part.lengthBytes).toBe(512)
    expect(vault.calls.length).toBeLessThanOrEqual(layers * 2 + 1)
  })
})
