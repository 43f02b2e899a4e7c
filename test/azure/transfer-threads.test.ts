import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Worker } from 'node:worker_threads'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createSasDiskReader } from '../../shared/azure/sas-disk-reader.ts'
import { connectStorage } from '../../shared/azure/storage-connection.ts'
import { carriedError, carryError } from '../../shared/azure/transfer-messages.ts'
import { createTransferThreads, type TransferThreads } from '../../shared/azure/transfer-threads.ts'
import { VaultError } from '../../shared/format/vault-error.ts'
import { StorageError } from '../../shared/ports/blob-store.ts'
import { SourceError } from '../../shared/ports/disk-reader.ts'
import { planDisk } from '../../shared/vault/plan-disk.ts'
import { sealDisk } from '../../shared/vault/seal-disk.ts'
import { openStack, readStack } from '../../shared/vault/stack.ts'
import type { SliceProgress, SliceTransfer } from '../../shared/vault/transfer-slice.ts'
import { makeImage, mebibyte, type PlaneFixture, startFixture } from '../compute/data-plane/plane-fixture.ts'
import { virtualClock } from '../support/virtual-clock.ts'
import { type StorageStub, startStorageStub } from './storage-stub.ts'

const sizeBytes = 6 * mebibyte
const pages = Array.from({ length: 700 }, (_, index) => index * 2)
const clock = virtualClock('2026-01-01T00:00:00.000Z')
const key = { recoveryPointId: 'r1', disk: 'os' }

describe('a slice in a thread of its own', { timeout: 30_000 }, () => {
  let fixture: PlaneFixture
  let storage: StorageStub
  let threads: TransferThreads
  let sasUrl: string
  const started: Worker[] = []
  const noteWorker = (worker: Worker) => void started.push(worker)
  const stores = () => ({ ...connectStorage(storage.settings), clock })
  const ofStorage = () => ({ storage: storage.settings, tokens: async () => 'token' })
  const nobodyHere = () => new Promise<SliceTransfer>(() => undefined)
  /** Keeps the caller's own thread busy, so that the next slice goes elsewhere. */
  const busy = () => void threads.move('', { ...key, jobId: 'job', slice: 99 }, nobodyHere)
  const move = (slice: number, more: object = {}) =>
    threads.move(sasUrl, { ...key, jobId: 'job', slice, ...more }, nobodyHere)

  beforeEach(async () => {
    process.on('worker', noteWorker)
    fixture = await startFixture()
    storage = await startStorageStub()
    await fixture.store.adoptRawImage('disk', await makeImage(join(fixture.folder, 'disk.img'), sizeBytes, pages))
    await fixture.store.snapshot('disk', 'snapshot')
    ;({ sasUrl } = await fixture.store.grant('snapshot', 'Read', 600))
    const reader = createSasDiskReader({ sasUrl, baseSasUrl: null })
    const plan = await planDisk({ ...stores(), reader }, { ...key, hasBase: false, sliceBytes: mebibyte })
    reader.close()
    expect(plan.slices).toBe(3)
    threads = createTransferThreads(ofStorage(), 2, 60_000)
    busy()
  })
  afterEach(async () => {
    process.off('worker', noteWorker)
    await threads.close()
    await storage[Symbol.asyncDispose]()
    await fixture[Symbol.asyncDispose]()
    started.splice(0)
  })

  it('brings the same bytes into the vault, and a thread is used again', async () => {
    const progress: SliceProgress[] = []
    const onProgress = (part: SliceProgress) => void progress.push(part)
    const moved = await Promise.all([move(0, { onProgress }), move(1)])
    moved.push(await move(2, { shouldStop: async () => false }))
    expect(moved.map(({ kind }) => kind)).toEqual(['transferred', 'transferred', 'transferred'])
    expect(started).toHaveLength(2)
    expect(progress.length).toBeGreaterThan(0)
    const { stack } = await sealDisk(stores(), { ...key, parentStack: [], fullReason: 'no-base' })
    const restored = Buffer.alloc(sizeBytes)
    const opened = await openStack(stores().vault, { stack, sizeBytes })
    for await (const { bytes, offsetBytes } of readStack(opened, { offsetBytes: 0, lengthBytes: sizeBytes }))
      if (bytes !== null) restored.set(bytes, offsetBytes)
    expect(restored.equals(await readFile(join(fixture.folder, 'disk.img')))).toBe(true)
  })

  it('is moved by the caller where no thread is free', async () => {
    threads = createTransferThreads(ofStorage(), 0)
    busy()
    const here = async () => ({ kind: 'stopped' }) as const
    expect(await threads.move(sasUrl, { ...key, jobId: 'job', slice: 0 }, here)).toEqual({ kind: 'stopped' })
    expect(started).toHaveLength(0)
  })

  it('stops when it is asked to, and leaves the thread fit for the next', async () => {
    expect(await move(0, { shouldStop: async () => true })).toEqual({ kind: 'stopped' })
    const unknown = move(0, {
      shouldStop: () => Promise.reject(new StorageError({ code: 'unreachable', name: 'stop' })),
    })
    await expect(unknown).rejects.toBeInstanceOf(StorageError)
    expect((await move(0)).kind).toBe('transferred')
    expect(started).toHaveLength(1)
  })

  it('ends with the reason of the signal', async () => {
    fixture.plane.settings.latencyMs = 5_000
    const stop = new AbortController()
    setTimeout(() => stop.abort(new Error('the window has ended')), 100)
    await expect(move(0, { signal: stop.signal })).rejects.toThrow('the window has ended')
  })

  it('gets its tokens from the thread that knows the identity, and the errors of that', async () => {
    const { connectionString = '' } = storage.settings.connection as { connectionString?: string }
    const blobServiceUri = /BlobEndpoint=([^;]+)/.exec(connectionString)?.[1] ?? ''
    const settings = { ...storage.settings, connection: { kind: 'identity', blobServiceUri, clientId: null } as const }
    const seen = new Set<string | undefined>()
    storage.before = (request) => {
      seen.add(request.headers.authorization)
      return false
    }
    let token: Promise<string> = Promise.resolve('good')
    threads = createTransferThreads({ storage: settings, tokens: () => token }, 1)
    busy()
    expect((await move(0)).kind).toBe('transferred')
    expect([...seen]).toEqual(['Bearer good'])
    token = Promise.reject(Object.assign(new Error('no identity here'), { name: 'CredentialUnavailableError' }))
    token.catch(() => undefined)
    await expect(move(1)).rejects.toMatchObject({ fault: { code: 'forbidden' } })
    await threads.close()
  })

  it('fails with errors of their own classes and faults', async () => {
    await expect(move(77)).rejects.toMatchObject({ fault: { code: 'object-missing' } })
    await expect(move(77)).rejects.toBeInstanceOf(VaultError)
    storage.before = (request, answer) => {
      const isSegment = request.method === 'PUT' && request.url?.includes('/segments/') === true
      if (isSegment) answer(403, 'AuthorizationPermissionMismatch')
      return isSegment
    }
    const refused = await move(0).catch((error: unknown) => error)
    expect(refused).toBeInstanceOf(StorageError)
    expect(refused).toMatchObject({ fault: { code: 'forbidden' }, isRetryable: false })
    await fixture.store.revoke('snapshot')
    const ended = await move(0).catch((error: unknown) => error)
    expect(ended).toBeInstanceOf(SourceError)
    expect(ended).toMatchObject({ fault: { code: 'access-ended' } })
    expect(`${(ended as Error).stack}`).not.toMatch(/sig=|127\.0\.0\.1/)
  })

  it('fails when its thread dies, and the next one gets another thread', async () => {
    fixture.plane.settings.latencyMs = 60_000
    const moved = move(0)
    const rejected = expect(moved).rejects.toThrow('A transfer thread ended before its work did.')
    await vi.waitFor(() => expect([...storage.objects.keys()].join()).toContain('/attempts/'), 10_000)
    await started[0]?.terminate()
    await rejected
    fixture.plane.settings.latencyMs = 0
    expect((await move(0)).kind).toBe('transferred')
    expect(started).toHaveLength(2)
  })

  it('gives its memory back when there is nothing to do', async () => {
    threads = createTransferThreads(ofStorage(), 1, 20)
    busy()
    await move(0)
    await new Promise((resolve) => started[0]?.once('exit', resolve))
    expect((await move(1)).kind).toBe('transferred')
    expect(started).toHaveLength(2)
  })
})

describe('an error that crosses a thread', () => {
  it('keeps what its reader decides by, and no cause', () => {
    const error = Object.assign(new RangeError('plain words'), { cause: new Error('secret') })
    expect(carriedError(structuredClone(carryError(error)))).toMatchObject({
      name: 'RangeError',
      message: 'plain words',
    })
    expect(JSON.stringify(carryError(error))).not.toContain('secret')
    const fault = { code: 'throttled', name: 'a', retryAfterSeconds: 3 } as const
    expect(carriedError(structuredClone(carryError(new StorageError(fault))))).toEqual(new StorageError(fault))
  })
})
