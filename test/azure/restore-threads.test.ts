import { readFile } from 'node:fs/promises'
import type { Worker } from 'node:worker_threads'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createSasDiskWriter } from '../../shared/azure/sas-disk-writer.ts'
import { connectStorage } from '../../shared/azure/storage-connection.ts'
import { createTransferThreads, type TransferThreads } from '../../shared/azure/transfer-threads.ts'
import type { RecoveryPoint } from '../../shared/domain/recovery-point.ts'
import type { DataKey } from '../../shared/format/data-key.ts'
import { VaultError } from '../../shared/format/vault-error.ts'
import { SourceError } from '../../shared/ports/disk-reader.ts'
import { restoreRange } from '../../shared/vault/restore-range.ts'
import { mebibyte, type PlaneFixture, startFixture } from '../compute/data-plane/plane-fixture.ts'
import { allocatedRanges } from '../support/disk-history.ts'
import { createMemoryBlobStore } from '../support/memory-blob-store.ts'
import { seededRandom } from '../support/seeded-random.ts'
import { backUp } from '../support/vault-world.ts'
import { virtualClock } from '../support/virtual-clock.ts'
import { type StorageStub, startStorageStub } from './storage-stub.ts'

const sizeBytes = 24 * mebibyte
const image = seededRandom(77).bytes(sizeBytes)
const key: DataKey = { keyId: 'ab'.repeat(16), bytes: Buffer.alloc(32, 5) }
const encoding = { compression: 'zstd', key } as const

describe('lanes of a restore in threads of their own', { timeout: 30_000 }, () => {
  let fixture: PlaneFixture
  let storage: StorageStub
  let threads: TransferThreads
  let target: { readonly sasUrl: string; readonly imagePath: string }
  let point: RecoveryPoint
  const started: Worker[] = []
  const noteWorker = (worker: Worker) => void started.push(worker)

  beforeEach(async () => {
    process.on('worker', noteWorker)
    fixture = await startFixture()
    storage = await startStorageStub()
    threads = createTransferThreads({ storage: storage.settings, tokens: async () => 'token' }, 2, 60_000)
    const stores = { vault: createMemoryBlobStore(), control: createMemoryBlobStore(), clock: virtualClock() }
    const disks = [{ disk: 'os', bytes: image, ranges: allocatedRanges(image) }]
    point = await backUp(stores, { recoveryPointId: 'r1', base: null, disks, encoding })
    for await (const { name } of stores.vault.list('')) {
      const content = await stores.vault.read(name)
      storage.objects.set(`/account/vault/${name}`, Buffer.from(content?.bytes ?? []))
    }
    const { imagePath } = await fixture.store.createUpload('disk', sizeBytes)
    target = { imagePath, sasUrl: (await fixture.store.grant('disk', 'Write', 600)).sasUrl }
  })
  afterEach(async () => {
    process.off('worker', noteWorker)
    await threads.close()
    await storage[Symbol.asyncDispose]()
    await fixture[Symbol.asyncDispose]()
    started.splice(0)
  })

  /** The lane here writes nothing, so that the threads do it all. */
  const restore = async (keys: readonly DataKey[] = [key], signal?: AbortSignal) => {
    const writer = createSasDiskWriter({ sasUrl: target.sasUrl, sizeBytes })
    try {
      const { vault } = connectStorage(storage.settings)
      const request = { recoveryPoint: point, disk: 'os', fromOffsetBytes: 0, budgetBytes: 64 * mebibyte }
      let lanes: readonly Promise<void>[] = []
      const startLanes: Parameters<typeof restoreRange>[0]['startLanes'] = (lane) => {
        lanes = threads.restoreLanes({ sasUrl: target.sasUrl, keys }, lane)
        return lanes
      }
      const waiting = {
        ...vault,
        readRange: async (...call: Parameters<typeof vault.readRange>) => {
          // The footer is read to plan the step; what the lane here reads comes after the others have ended.
          await Promise.allSettled(lanes)
          return vault.readRange(...call)
        },
      }
      return await restoreRange({ vault: waiting, writer, startLanes }, { ...request, ...(signal && { signal }) })
    } finally {
      writer.close()
    }
  }

  it('write the disk, also from frames that are encrypted, and the threads are used again', async () => {
    expect((await restore()).kind).toBe('written')
    expect((await readFile(target.imagePath)).subarray(0, sizeBytes).equals(image)).toBe(true)
    expect((await restore()).writtenBytes).toBe(sizeBytes)
    expect(started).toHaveLength(2)
  })

  it('are none where no thread is free', async () => {
    threads = createTransferThreads({ storage: storage.settings, tokens: async () => 'token' }, 0)
    const lane = {
      disk: point.disks[0] ?? expect.unreachable(),
      budgetBytes: 1,
      batches: 1,
      nextPart: async () => null,
    }
    expect(threads.restoreLanes({ sasUrl: target.sasUrl, keys: [] }, lane)).toEqual([])
  })

  it('fail with errors of their own classes and faults, which hold no secret', async () => {
    const locked = await restore([]).catch((error: unknown) => error)
    expect(locked).toBeInstanceOf(VaultError)
    expect(locked).toMatchObject({ fault: { code: 'key-missing' } })
    const segment = [...storage.objects.keys()].find((name) => name.includes('/segments/')) ?? expect.unreachable()
    const stored = storage.objects.get(segment) ?? expect.unreachable()
    stored.writeUInt8(stored.readUInt8(1_000_000) ^ 1, 1_000_000)
    const damaged = await restore().catch((error: unknown) => error)
    expect(damaged).toMatchObject({ fault: { code: 'digest-mismatch', name: expect.stringContaining('segments/') } })
    stored.writeUInt8(stored.readUInt8(1_000_000) ^ 1, 1_000_000)
    await fixture.store.revoke('disk')
    const ended = await restore().catch((error: unknown) => error)
    expect(ended).toBeInstanceOf(SourceError)
    expect(ended).toMatchObject({ fault: { code: 'access-ended' } })
    expect(`${(ended as Error).stack}${(damaged as Error).stack}`).not.toMatch(/sig=|127\.0\.0\.1/)
  })

  it('end with the reason of the signal, and with their thread', async () => {
    fixture.plane.settings.latencyMs = 5_000
    const stop = new AbortController()
    setTimeout(() => stop.abort(new Error('the host shuts down')), 300)
    await expect(restore([key], stop.signal)).rejects.toThrow('the host shuts down')
    const ended = expect(restore()).rejects.toThrow('A transfer thread ended before its work did.')
    await new Promise((resolve) => setTimeout(resolve, 300))
    await Promise.all(started.map((worker) => worker.terminate()))
    await ended
  })
})
