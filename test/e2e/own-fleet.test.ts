import { execFile } from 'node:child_process'
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { changedBytesBetween } from '../../local/demo/compare-images.ts'
import { changeRawDisk } from '../../local/fleet/raw-disk.ts'
import type { JobStatus } from '../../shared/jobs/job-status.ts'
import type { ToldDisk } from '../../shared/jobs/told-outcome.ts'
import { cmp, cmpSparse, copyImage, makeImage, mebibyte, pageBytes, scatteredPages } from './support/images.ts'
import { subscription, vmIdOf } from './support/local-world.ts'
import { runStart, type StartProcess } from './support/start-process.ts'

/**
 * A user's own raw images behind `npm start -- --fleet FILE`, and nothing but curl: a sparse disk of 32 GiB, a disk with many scattered
 * changed pages, so that the listing of changes has several pages, and one that does not change. DELTAVAULT_E2E_PAGES sets how many
 * pages are changed (12,000; 200,000 takes some minutes more), DELTAVAULT_E2E_CMP=1 compares the sparse disk with cmp itself.
 */

const run = promisify(execFile)
const gibibyte = 1024 * mebibyte
const changedPages = Number(process.env.DELTAVAULT_E2E_PAGES ?? 12_000)
const scatteredArea = { offsetBytes: mebibyte, lengthBytes: Math.max(128 * mebibyte, 2.5 * changedPages * pageBytes) }
const sparseBytes = 32 * gibibyte

interface StartedJob {
  readonly jobId: string
  readonly statusUrl: string
  readonly vmKey: string
  readonly disks: readonly { readonly disk: string; readonly targetDiskId: string }[]
}

describe("a user's own fleet", () => {
  let folder = ''
  let start: StartProcess
  let origin = ''
  const image = (name: string) => join(folder, `${name}.raw`)

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'deltavault-own-'))
    const parts = [0, 16 * gibibyte, sparseBytes - 4 * mebibyte]
    await makeImage(
      image('sparse'),
      sparseBytes,
      'sparse',
      parts.map((offsetBytes) => ({ offsetBytes, lengthBytes: 4 * mebibyte })),
    )
    await makeImage(
      image('scattered'),
      Math.ceil((scatteredArea.lengthBytes * 1.1) / mebibyte) * mebibyte,
      'scattered',
      [scatteredArea],
    )
    await makeImage(image('still'), 64 * mebibyte, 'still', [{ offsetBytes: 0, lengthBytes: 24 * mebibyte }])
    const disks = ['sparse', 'scattered', 'still'].map((name, index) => ({
      name,
      lun: index === 0 ? 'os' : index,
      image: `${name}.raw`,
    }))
    const virtualMachines = [{ name: 'machine', resourceGroup: 'tests', osType: 'Linux', disks }]
    const resourceGroups = [{ name: 'tests', location: 'westeurope' }]
    await writeFile(join(folder, 'fleet.json'), JSON.stringify({ subscription, resourceGroups, virtualMachines }))
    start = runStart('node', ['--fleet', join(folder, 'fleet.json'), '--data', join(folder, 'data')])
    origin = (await start.until(/curl (http:\/\/127\.0\.0\.1:\d+)\/api\/vms\n/))[1] ?? ''
  }, 300_000)
  afterAll(async () => {
    await start[Symbol.asyncDispose]()
    await rm(folder, { recursive: true, force: true })
  })

  const curl = async <Body>(...args: readonly string[]): Promise<Body> =>
    JSON.parse((await run('curl', ['-sS', '--fail-with-body', ...args])).stdout) as Body
  const post = (path: string, body: unknown): Promise<StartedJob> =>
    curl('-X', 'POST', `${origin}/api/${path}`, '-H', 'content-type: application/json', '-d', JSON.stringify(body))
  const ended = async ({ statusUrl }: StartedJob): Promise<JobStatus> => {
    for (;;) {
      const status = await curl<JobStatus>(statusUrl)
      if (status.outcome !== null) return status
      await sleep(500)
    }
  }
  const backUp = async (): Promise<readonly [ToldDisk, ToldDisk, ToldDisk]> => {
    const status = await ended(await post('backups', { vmId: vmIdOf('machine') }))
    expect(status.outcome).toMatchObject({ kind: 'completed' })
    const disks = status.outcome?.kind === 'completed' ? status.outcome.summary.disks : []
    return ['os', 'lun-1', 'lun-2'].map((label) => disks.find(({ disk }) => disk === label)!) as [
      ToldDisk,
      ToldDisk,
      ToldDisk,
    ]
  }

  it('is backed up with curl, and only what is allocated is read', async () => {
    const [sparse, scattered, still] = await backUp()
    expect(sparse).toMatchObject({ transfer: 'full', sizeBytes: sparseBytes, changedBytes: 12 * mebibyte })
    expect(sparse.readBytes).toBeLessThanOrEqual(13 * mebibyte)
    expect(scattered.storedPlainBytes).toBe(scatteredArea.lengthBytes)
    expect(still.storedPlainBytes).toBe(24 * mebibyte)
  })

  it('moves the second time what another program has written meanwhile, and nothing of a disk that nobody wrote to', async () => {
    const before = join(folder, 'before.raw')
    await copyImage(image('scattered'), before)
    await changeRawDisk(image('scattered'), scatteredPages('second', changedPages, scatteredArea))
    await changeRawDisk(image('sparse'), [{ offsetBytes: 20 * gibibyte, content: Buffer.alloc(64 * 1024, 7) }])
    const changedBytes = await changedBytesBetween(before, image('scattered'))
    expect(changedBytes).toBe(changedPages * pageBytes)
    const [sparse, scattered, still] = await backUp()
    expect(scattered).toMatchObject({ transfer: 'incremental', changedBytes })
    expect(scattered.storedPlainBytes).toBeLessThanOrEqual(1.05 * changedBytes + mebibyte)
    expect(scattered.joinedBytes).toBeGreaterThan(0)
    expect(scattered.readBytes).toBeLessThanOrEqual(1.05 * changedBytes + scattered.joinedBytes)
    expect(sparse).toMatchObject({ transfer: 'incremental', changedBytes: 64 * 1024, storedPlainBytes: 64 * 1024 })
    expect(still).toMatchObject({
      transfer: 'incremental',
      changedBytes: 0,
      readBytes: 0,
      joinedBytes: 0,
      storedPlainBytes: 0,
      storedBytes: 0,
    })
    await rm(before)
  })

  it('was asked for its changes page by page, as one page holds 10,000 ranges at most', async () => {
    const dataPlane = (await start.until(/Disk data plane listens on (\S+)/))[1] ?? ''
    const counts = await curl<{ markerRequests: number; previousSnapshotRequests: number }>(
      `${dataPlane}/_emulator/counters`,
    )
    expect(counts.previousSnapshotRequests).toBeGreaterThanOrEqual(3)
    expect(counts.markerRequests).toBeGreaterThanOrEqual(Math.floor((changedPages - 1) / 10_000))
  })

  it('is restored byte for byte', async () => {
    const { vms } = await curl<{ vms: readonly unknown[] }>(`${origin}/api/vms`)
    expect(vms, 'no policy selects the VM, and it is backed up all the same').toEqual([])
    const { jobs } = await curl<{ jobs: readonly { readonly vmKey: string }[] }>(`${origin}/api/jobs`)
    const restore = await post('restores', { vmKey: jobs[0]?.vmKey, recoveryPointId: 'latest' })
    expect((await ended(restore)).outcome).toMatchObject({ kind: 'completed' })
    const restored = await restoredImages(restore)
    expect(await cmp(image('scattered'), restored['lun-1']!)).toBe('')
    expect(await cmp(image('still'), restored['lun-2']!)).toBe('')
    const compareSparse = process.env.DELTAVAULT_E2E_CMP === '1' ? cmp : cmpSparse
    expect(await compareSparse(image('sparse'), restored.os!)).toBe('')
    expect((await stat(restored.os!)).blocks * 512, 'zeros are not written').toBeLessThan(64 * mebibyte)
  })

  /** The files of the restored disks, asked of the emulator's own route; its certificate is its own, hence -k. */
  const restoredImages = async ({ disks }: StartedJob): Promise<Readonly<Record<string, string>>> => {
    const arm = (await start.until(/Compute emulator listens on (\S+)/))[1] ?? ''
    const { value } = await curl<{ value: readonly { id: string; imagePath: string }[] }>(
      '-k',
      `${arm}/_emulator/images`,
    )
    const pathOf = (id: string) => value.find((one) => one.id.toLowerCase() === id.toLowerCase())?.imagePath ?? ''
    return Object.fromEntries(disks.map(({ disk, targetDiskId }) => [disk, pathOf(targetDiskId)]))
  }
})
