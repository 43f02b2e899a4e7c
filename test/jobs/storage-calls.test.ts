import { describe, expect, it } from 'vitest'
import type { BackupJob } from '../../shared/domain/job.ts'
import { startJob } from '../../shared/jobs/start-job.ts'
import { listLiveRecoveryPoints } from '../../shared/vault/recovery-points.ts'
import { createMemoryBlobStore } from '../support/memory-blob-store.ts'
import { runJob } from './run-job.ts'
import { type FakeWorld, fakeInstances, fakeWorld, sampleJob, sampleVm } from './world.ts'

/** Azure Blob Storage: one listing call answers up to 5,000 names. */
const listPageNames = 5000

/** One that has just started: it remembers nothing. */
const freshProcess = (world: FakeWorld): FakeWorld => ({
  ...world,
  vault: createMemoryBlobStore(world.vault.objects, undefined, listPageNames),
  control: createMemoryBlobStore(world.control.objects, undefined, listPageNames),
})

const backUp = async (
  world: FakeWorld,
  day: number,
  before?: (activity: string) => void,
  trigger: BackupJob['trigger'] = 'onDemand',
) => {
  const instances = fakeInstances()
  const job = sampleJob(`day ${day}`, `2026-03-${10 + day}T02:00:00.000Z`)
  await startJob({ ...world, instances }, { ...job, trigger })
  const { outcome } = await runJob(world, instances.started[0]!, before)
  expect(outcome).toMatchObject({ kind: 'completed' })
  return outcome
}

/** A VM of one disk with as many recovery points as its stack has layers, behind which nothing changes. */
const protectedVm = async (layers = 1): Promise<FakeWorld> => {
  const world = fakeWorld()
  world.platform.vms = [{ ...sampleVm(), disks: sampleVm().disks.slice(0, 1) }]
  for (let day = 0; day < layers; day += 1) {
    world.platform.disks.get('os')!.fill('x', day * 4096, (day + 1) * 4096)
    await backUp(freshProcess(world), day)
  }
  return world
}

/** Calls of both containers since the start of the job, in order, by what they are about. */
const callsOf = ({ vault, control }: FakeWorld, container: 'control' | 'vault'): readonly string[] =>
  (container === 'vault' ? vault : control).calls.map(({ operation, name }) => {
    const [root, ...rest] = name.replace(/\.json$/, '').split('/')
    return `${operation} ${root === 'plans' ? rest.at(-1) : root}`
  })

describe('a backup of a disk that did not change', () => {
  it('makes no other storage calls than these', async () => {
    const process = freshProcess(await protectedVm())
    expect(await backUp(process, 1)).toMatchObject({
      summary: { disks: [{ transfer: 'incremental', changedBytes: 0 }] },
    })
    expect(callsOf(process, 'control')).toEqual([
      ...['create claims'],
      ...['read unfinished', 'create intents', 'list condemned', 'create vm', 'create sources'],
      ...['read claims', 'list damage'],
      ...['replace claims', 'create ended-jobs', 'remove intents', 'remove claims'],
    ])
    expect(callsOf(process, 'vault')).toEqual([
      ...['list recovery-points', 'read recovery-points', 'list recovery-points'],
      ...['readRange layers', 'create recovery-points'],
    ])
  })

  it.each([1, 2, 3])('stays under 20 of them with %i layers, whoever starts it', async (layers) => {
    const counted = async (trigger: BackupJob['trigger']) => {
      const process = freshProcess(await protectedVm(layers))
      await backUp(process, layers, undefined, trigger)
      return [...callsOf(process, 'control'), ...callsOf(process, 'vault')]
    }
    const asked = await counted('onDemand')
    expect(asked).toHaveLength(16 + layers)
    expect(asked.length).toBeLessThan(20)
    expect(asked.filter((call) => call === 'readRange layers')).toHaveLength(layers)
    expect(await counted('schedule')).toEqual(asked)
  })

  it('comes to the same where each step runs in a process of its own', async () => {
    const world = await protectedVm()
    const process = { ...freshProcess(world) }
    const opened: FakeWorld[] = []
    await backUp(process, 1, () => {
      const next = freshProcess(world)
      opened.push(next)
      Object.assign(process, { vault: next.vault, control: next.control })
    })
    expect(opened.flatMap((next) => callsOf(next, 'control')).filter((call) => call === 'read vm')).not.toEqual([])
    const stacks: unknown[] = []
    for await (const { recoveryPoint } of listLiveRecoveryPoints(world.vault, sampleVm().vmKey))
      stacks.push(recoveryPoint.disks.map(({ stack }) => stack))
    expect(stacks).toHaveLength(2)
    expect(stacks[1]).toEqual(stacks[0])
  })
})
