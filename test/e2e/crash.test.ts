import { readdir } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { imageOfDisk } from '../../local/demo/emulator.ts'
import { expectStatus } from '../../local/demo/http.ts'
import { countRequests, platformCopies } from './support/arm.ts'
import { cmp } from './support/images.ts'
import { type LocalWorld, namesBelow, startLocalWorld, type TestDisk, waitForJob } from './support/local-world.ts'

/**
 * A process dies by SIGKILL while a backup runs. Each time the same job completes on the one restore point that it took, slices that were
 * committed before are not transferred again, nothing stays open, and the restored disks are right.
 */

const disks: Readonly<Record<string, TestDisk>> = {
  os: { sizeMiB: 128, filledMiB: 80 },
  'lun-0': { sizeMiB: 96, filledMiB: 64 },
}
/** Five and four slices. */
const settings = { SLICE_MIB: '16', LANES_MAX: '2' }

const start = async (world: LocalWorld): Promise<string> => {
  const { body } = await expectStatus(202, 'POST', `${world.azure.hostOrigin}/api/backups`, { vmId: world.vmId })
  return (body as { jobId: string }).jobId
}

/** Segments of a slice by their attempt: `segments/<recovery point>/<disk>/<slice>.<attempt>-<n>`. */
const attemptsBySlice = (segments: readonly string[]): ReadonlyMap<string, ReadonlySet<string>> => {
  const slices = new Map<string, Set<string>>()
  for (const name of segments) {
    const [slice = '', rest = ''] = name.slice('segments/'.length).split('.')
    slices.set(slice, (slices.get(slice) ?? new Set()).add(rest.slice(0, rest.indexOf('-'))))
  }
  return slices
}

/** The host leaves a mark when its switch has struck: a crash test whose crash never came shows nothing. */
const expectFaultStruck = async (world: LocalWorld): Promise<void> => {
  const marks = (await readdir(`${world.folder}/data/host`)).filter((name) => name.startsWith('fault-'))
  expect(marks).toHaveLength(1)
}

const expectSoundEnd = async (world: LocalWorld, jobId: string, restorePointPuts: number): Promise<number> => {
  const status = await waitForJob(world, jobId)
  expect(status.outcome).toMatchObject({ kind: 'completed' })
  expect(restorePointPuts).toBe(1)
  const copies = await platformCopies(world.azure.compute)
  expect(copies).toMatchObject({ snapshots: [], grants: [] })
  expect(copies.restorePoints).toHaveLength(1)
  expect(await namesBelow(world.control, 'claims/')).toEqual([])
  await expectRightRestore(world, status.vmKey)
  return status.attempt
}

const expectRightRestore = async (world: LocalWorld, vmKey: string): Promise<void> => {
  const restore = await world.api.startRestore(vmKey, 'latest')
  expect((await waitForJob(world, restore.jobId)).outcome).toMatchObject({ kind: 'completed' })
  for (const { disk, targetDiskId } of restore.disks) {
    expect(await cmp(world.images[disk]!, await imageOfDisk(world.azure.compute, targetDiskId))).toBe('')
  }
  expect((await platformCopies(world.azure.compute)).grants).toEqual([])
}

describe('a backup whose host is killed in the middle of a transfer', () => {
  it('completes after the host is back, and repeats no slice that was committed', async () => {
    await using world = await startLocalWorld(disks, settings)
    const puts = await countRequests(world.azure.compute, 'RestorePoints_Create')
    const jobId = await start(world)
    const committed = await untilSlices(world, 2)
    await world.azure.killHost()
    const slices = await namesBelow(world.vault, 'slices/')
    const segments = await segmentsOf(world, slices)
    expect(slices.length).toBeGreaterThanOrEqual(committed)
    expect(slices.length, 'the kill must come before the end').toBeLessThan(9)
    await world.azure.startHost()
    await waitForJob(world, jobId)
    expect(await segmentsOf(world, slices)).toEqual(segments)
    await expectSoundEnd(world, jobId, await puts())
  })
})

describe('a backup whose worker process is killed', () => {
  it('in the middle of an activity, goes on in the same attempt', async () => {
    await using world = await startLocalWorld(disks, {
      ...settings,
      DELTAVAULT_HOST_FAULT: 'kill-worker:activity=transferSlice:call=4:after=40',
    })
    const puts = await countRequests(world.azure.compute, 'RestorePoints_Create')
    const repeated = watchCommitted(world)
    const jobId = await start(world)
    await waitForJob(world, jobId)
    await expectFaultStruck(world)
    expect(await repeated()).toEqual([])
    await expectFewRepeats(world)
    expect(await expectSoundEnd(world, jobId, await puts())).toBe(1)
  })

  it.each([2, 4])(
    'between trigger %i of an orchestrator and its answer, goes on in the next attempt',
    async (trigger) => {
      await using world = await startLocalWorld(disks, {
        ...settings,
        DELTAVAULT_HOST_FAULT: `kill-worker:orchestrator=protectVm:trigger=${trigger}`,
      })
      const puts = await countRequests(world.azure.compute, 'RestorePoints_Create')
      const repeated = watchCommitted(world)
      const jobId = await start(world)
      await waitForJob(world, jobId)
      await expectFaultStruck(world)
      expect(await repeated()).toEqual([])
      await expectFewRepeats(world)
      expect(await expectSoundEnd(world, jobId, await puts())).toBe(2)
    },
  )

  it.each([
    ['one disk', 'protectDisk:trigger=3'],
    ['one lane of a disk, with slices committed', 'transferLane:trigger=6'],
  ])('in the story of %s, goes on without repeating a slice', async (_story, orchestrator) => {
    await using world = await startLocalWorld(disks, {
      ...settings,
      DELTAVAULT_HOST_FAULT: `kill-worker:orchestrator=${orchestrator}`,
    })
    const puts = await countRequests(world.azure.compute, 'RestorePoints_Create')
    const repeated = watchCommitted(world)
    const jobId = await start(world)
    await waitForJob(world, jobId)
    await expectFaultStruck(world)
    expect(await repeated()).toEqual([])
    await expectFewRepeats(world)
    expect(await expectSoundEnd(world, jobId, await puts())).toBe(2)
  })
})

/** Looks at the vault again and again while the job runs: which segments a slice has once it is committed.
 * @returns ends the watch, and tells the slices that had more segments at the end than when they were first seen committed */
const watchCommitted = (world: LocalWorld): (() => Promise<readonly string[]>) => {
  const seen = new Map<string, readonly string[]>()
  const end = new AbortController()
  const look = async (): Promise<void> => {
    const slices = (await namesBelow(world.vault, 'slices/').catch(() => [])).filter((name) => !seen.has(name))
    for (const slice of slices) seen.set(slice, await segmentsOf(world, [slice]))
  }
  const watching = (async () => {
    while (!end.signal.aborted) await look().then(() => sleep(50))
  })()
  return async () => {
    end.abort()
    await watching
    await look()
    const repeated: string[] = []
    for (const [slice, segments] of seen) {
      if ((await segmentsOf(world, [slice])).length !== segments.length) repeated.push(slice)
    }
    return repeated
  }
}

/** Slices that the dead worker was in (one for each activity that may run at once) may have segments of two attempts, no other. */
const expectFewRepeats = async (world: LocalWorld): Promise<void> => {
  const attempts = attemptsBySlice(await namesBelow(world.vault, 'segments/'))
  expect(attempts.size).toBe(9)
  const repeated = [...attempts.values()].filter(({ size }) => size > 1)
  expect(repeated.length).toBeLessThanOrEqual(2 * Number(settings.LANES_MAX))
}

const untilSlices = async (world: LocalWorld, count: number): Promise<number> => {
  for (let tries = 0; tries < 600; tries += 1) {
    const slices = await namesBelow(world.vault, 'slices/').catch(() => [])
    if (slices.length >= count) return slices.length
    await sleep(25)
  }
  throw new Error('No slice was committed in time.')
}

const segmentsOf = async (world: LocalWorld, slices: readonly string[]): Promise<readonly string[]> => {
  const prefixes = slices.map((name) => `${name.replace('slices/', 'segments/')}.`)
  const segments = await namesBelow(world.vault, 'segments/')
  return segments.filter((name) => prefixes.some((prefix) => name.startsWith(prefix)))
}
