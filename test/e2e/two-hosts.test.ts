import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type AppApi, appApi } from '../../local/demo/app-api.ts'
import { appEnvironment } from '../../local/demo/app-environment.ts'
import type { Child } from '../../local/demo/child.ts'
import { askEmulator, imageOfDisk } from '../../local/demo/emulator.ts'
import { type HostReady, startHost } from '../../local/demo/parts.ts'
import { choosePorts } from '../../local/demo/ports.ts'
import { countRequests, platformCopies } from './support/arm.ts'
import { cmp } from './support/images.ts'
import { type LocalWorld, namesBelow, startLocalWorld, subscription, waitForJob } from './support/local-world.ts'

/**
 * Two hosts with task hubs of their own work on one vault, one control container and one compute platform, as when an app is deployed twice. Neither
 * engine knows the instances of the other, and both sweeps look after every claim, so that a job may run twice at the same time.
 */

/** Six slices. */
const disks = { os: { sizeMiB: 128, filledMiB: 96 } }
const settings = { SLICE_MIB: '16', LANES_MAX: '2', BACKUP_SWEEP_SCHEDULE: '*/2 * * * * *' }

interface SecondHost {
  readonly child: Child<HostReady>
  readonly origin: string
  readonly api: AppApi
}

const startSecondHost = async (world: LocalWorld): Promise<SecondHost> => {
  const [hostPort = 0] = await choosePorts([0])
  const { compute, storageConnectionString: connectionString } = world.azure
  const environment = appEnvironment({
    parent: process.env,
    compute,
    connectionString,
    subscriptionIds: [subscription],
    hostPort,
  })
  const places = { dataFolder: `${world.folder}/second`, fleetPath: '', subscriptionIds: [], ports: 'any' } as const
  const child = await startHost(places, hostPort, { ...environment, ...settings })
  const origin = `http://127.0.0.1:${hostPort}`
  return { child, origin, api: appApi(origin) }
}

let world: LocalWorld
let second: SecondHost
beforeEach(async () => {
  world = await startLocalWorld(disks, settings)
  second = await startSecondHost(world)
})
afterEach(async () => {
  await second?.child.stop()
  await world?.[Symbol.asyncDispose]()
})

interface StartAnswer {
  readonly origin: string
  readonly status: number
  readonly body: { readonly jobId?: string; readonly runningJobId?: string }
}

const startOn = async (origin: string): Promise<StartAnswer> => {
  const body = JSON.stringify({ vmId: world.vmId })
  const headers = { 'content-type': 'application/json' }
  const response = await fetch(`${origin}/api/backups`, { method: 'POST', headers, body })
  return { origin, status: response.status, body: (await response.json()) as StartAnswer['body'] }
}

const slicesMoved = async (): Promise<number> => (await namesBelow(world.vault, 'slices/').catch(() => [])).length

const untilSlices = async (count: number): Promise<void> => {
  for (let tries = 0; (await slicesMoved()) < count; tries += 1) {
    if (tries > 1200) throw new Error(`There were not ${count} slices in time.`)
    await sleep(25)
  }
}

const untilNoClaim = async (): Promise<void> => {
  for (let tries = 0; (await namesBelow(world.control, 'claims/')).length > 0; tries += 1) {
    if (tries > 300) throw new Error('The claim stayed.')
    await sleep(100)
  }
}

/** Long enough for a sweep of either host to come while the job runs. */
const slowGrants = () =>
  askEmulator(world.azure.compute, 'POST', '/_emulator/faults', {
    operation: 'DiskRestorePoint_GrantAccess',
    times: 10,
    latencyMs: 6000,
  })

/** One commit of one recovery point, nothing left open on the platform, and the disks as they are. */
const expectOneRightRecoveryPoint = async (api: AppApi, vmKey: string): Promise<void> => {
  await untilNoClaim()
  expect(await namesBelow(world.vault, 'recovery-points/')).toEqual([expect.stringMatching(/\/0001\.json$/)])
  const copies = await platformCopies(world.azure.compute)
  expect(copies).toMatchObject({ snapshots: [], grants: [] })
  expect(copies.restorePoints).toHaveLength(1)
  const restore = await api.startRestore(vmKey, 'latest')
  expect((await waitForJob({ api }, restore.jobId)).outcome).toMatchObject({ kind: 'completed' })
  for (const { disk, targetDiskId } of restore.disks)
    expect(await cmp(world.images[disk]!, await imageOfDisk(world.azure.compute, targetDiskId))).toBe('')
}

describe('two hosts on one vault', () => {
  it('start one backup of a VM that is asked of both at the same moment', async () => {
    const puts = await countRequests(world.azure.compute, 'RestorePoints_Create')
    await slowGrants()
    const answers = await Promise.all([startOn(world.azure.hostOrigin), startOn(second.origin)])
    expect(answers.map(({ status }) => status).sort()).toEqual([202, 409])
    const jobId = answers.find(({ status }) => status === 202)?.body.jobId ?? ''
    expect(answers.find(({ status }) => status === 409)?.body.runningJobId).toBe(jobId)
    const { outcome, vmKey } = await waitForJob(world, jobId)
    expect(outcome).toMatchObject({ kind: 'completed' })
    expect(await untilInstancesEnded(jobId), 'both engines ran the attempt').toEqual(['Completed', 'Completed'])
    expect(await puts()).toBe(1)
    await expectOneRightRecoveryPoint(second.api, vmKey)
    expect(await world.api.listJobs()).toHaveLength(2)
  })

  it('commit once when the host of a backup is killed, the other goes on, and the first comes back', async () => {
    const puts = await countRequests(world.azure.compute, 'RestorePoints_Create')
    const { status, body } = await startOn(world.azure.hostOrigin)
    expect(status).toBe(202)
    const jobId = body.jobId ?? ''
    await untilSlices(1)
    await world.azure.killHost()
    expect(await slicesMoved(), 'the kill must come before the end').toBeLessThan(6)
    const { outcome, vmKey } = await waitForJob(second, jobId)
    expect(outcome).toMatchObject({ kind: 'completed' })
    await world.azure.startHost(settings)
    expect(await untilInstancesEnded(jobId), 'both engines ran the attempt').toEqual(['Completed', 'Completed'])
    expect(await puts()).toBe(1)
    expect((await world.api.getJob(jobId)).outcome).toEqual(outcome)
    await expectOneRightRecoveryPoint(second.api, vmKey)
  })
})

/** Each engine's word for its instance of the job's first attempt; null where it knows none. */
const instanceOn = async (origin: string, jobId: string): Promise<string | null> => {
  const response = await fetch(`${origin}/runtime/webhooks/durabletask/instances/${jobId}.1`)
  if (response.status === 404) return null
  return ((await response.json()) as { runtimeStatus: string }).runtimeStatus
}

/** What is still under way in either engine may not change anything any more. */
const untilInstancesEnded = async (jobId: string): Promise<readonly (string | null)[]> => {
  for (let tries = 0; tries < 600; tries += 1) {
    const words = await Promise.all([world.azure.hostOrigin, second.origin].map((origin) => instanceOn(origin, jobId)))
    if (!words.some((word) => word === 'Running' || word === 'Pending')) return words
    await sleep(100)
  }
  throw new Error('The instances of the job did not end.')
}
