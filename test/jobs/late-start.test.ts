import { describe, expect, it } from 'vitest'
import { vmKeyOf } from '../../shared/domain/ids.ts'
import type { BackupJob, Claim } from '../../shared/domain/job.ts'
import { backupJobOf, defaultChoices } from '../../shared/domain/policy.ts'
import { readClaim } from '../../shared/jobs/claim.ts'
import { policyName } from '../../shared/jobs/control-names.ts'
import { readJobRecord } from '../../shared/jobs/job-records.ts'
import { encodeJson } from '../../shared/jobs/json-object.ts'
import { resumeJob } from '../../shared/jobs/resume-job.ts'
import { startDueBackups } from '../../shared/jobs/start-due-backups.ts'
import { startJob } from '../../shared/jobs/start-job.ts'
import { supervise } from '../../shared/jobs/supervise.ts'
import { giveUnfinishedUp, readUnfinished } from '../../shared/jobs/unfinished.ts'
import { listRecoveryPoints } from '../../shared/vault/recovery-points.ts'
import { runJob } from './run-job.ts'
import { type FakeWorld, fakeInstances, fakeWorld, sampleJob, sampleVm, vmId } from './world.ts'

/**
 * Two hosts sweep at once, or a timer is tried again: one of them looks at a slot, sleeps, and takes the VM's claim when the slot's job has run
 * and ended. Its start must not carry the slot out again, whatever the job came to.
 */
const vmKey = vmKeyOf(vmId)
const slot = new Date('2026-03-10T02:00:00Z')
const slotJob = (now: string): BackupJob =>
  backupJobOf(sampleVm(), defaultChoices, {
    trigger: 'schedule',
    policy: 'daily',
    at: slot,
    cause: 'daily',
    now: new Date(now),
    windowHours: 24,
  })
const first = slotJob('2026-03-10T02:00:05Z')

const begin = async (world: FakeWorld, job: BackupJob): Promise<Claim> => {
  const instances = fakeInstances()
  expect(await startJob({ ...world, instances }, job)).toMatchObject({ kind: 'started' })
  return instances.started[0]!
}

const failing = (activity: string): void => {
  if (activity === 'transferSlice') throw new Error('The worker died.')
}

/** What the slot's job came to before the late start, by how. */
const endings: Readonly<Record<string, { end(world: FakeWorld): Promise<unknown>; outcome: string }>> = {
  'was committed': {
    end: async (world) => runJob(world, await begin(world, first)),
    outcome: 'completed',
  },
  'failed before it had copies': {
    end: async (world) => {
      const { vms } = world.platform
      const claim = await begin(world, first)
      world.platform.vms = []
      await runJob(world, claim)
      world.platform.vms = vms
    },
    outcome: 'failed',
  },
  'ended without a commit and can go on': {
    end: async (world) => runJob(world, await begin(world, first), failing),
    outcome: 'failed',
  },
  'ended without a commit and was given up': {
    end: async (world) => {
      await runJob(world, await begin(world, first), failing)
      await giveUnfinishedUp(world, first)
    },
    outcome: 'failed',
  },
  'ended without a commit, and another backup was committed since': {
    end: async (world) => {
      await runJob(world, await begin(world, first), failing)
      await runJob(world, await begin(world, sampleJob('other', '2026-03-10T03:00:00.000Z')))
    },
    outcome: 'failed',
  },
  'was resumed and committed': {
    end: async (world) => {
      await runJob(world, await begin(world, first), failing)
      const instances = fakeInstances()
      expect(await resumeJob({ ...world, instances }, first.jobId)).toMatchObject({ kind: 'resumed' })
      await runJob(world, instances.started[0]!)
      expect(await readUnfinished(world.control, vmKey)).toBeNull()
    },
    outcome: 'completed',
  },
}

const stateOf = async (world: FakeWorld) => {
  const points: string[] = []
  for await (const { recoveryPointId } of listRecoveryPoints(world.vault, vmKey)) points.push(recoveryPointId)
  const intents = [...world.control.objects.keys()].filter((name) => name.startsWith('intents/'))
  return {
    points,
    intents,
    copies: [...world.platform.copies.keys()],
    unfinished: await readUnfinished(world.control, vmKey),
  }
}

const written = (world: FakeWorld): void => {
  world.platform.disks.get('os')!.fill('x', 0, 4096)
}

describe.each(Object.entries(endings))('a start of a slot whose job %s', (_, { end, outcome }) => {
  it.each([
    ['by another start', slotJob('2026-03-10T02:05:00Z')],
    ['by a start of the same second', first],
  ])('changes nothing, %s', async (_text, late) => {
    const world = fakeWorld()
    written(world)
    await end(world)
    const before = await stateOf(world)
    const record = await readJobRecord(world.control, first.jobId)
    expect(record).toMatchObject({ outcome: { kind: outcome } })
    const run = await runJob(world, await begin(world, late))
    expect(run.outcome).toMatchObject({ kind: 'failed', reason: 'job-ended' })
    expect(await stateOf(world)).toEqual(before)
    expect(await readJobRecord(world.control, first.jobId)).toEqual(record)
    expect(await readClaim(world.control, first)).toBeNull()
  })

  it('is ended by the supervisor where its host dies behind the claim', async () => {
    const world = fakeWorld()
    written(world)
    await end(world)
    const before = await stateOf(world)
    await begin(world, slotJob('2026-03-10T02:05:00Z'))
    const instances = fakeInstances()
    expect(await supervise({ ...world, instances, attemptsMax: 3 })).toMatchObject([{ kind: 'released' }])
    expect(await stateOf(world)).toEqual(before)
    expect(await readClaim(world.control, first)).toBeNull()
    expect(instances.started).toEqual([])
  })
})

describe('a late start of a slot', () => {
  it('keeps the later backup of the VM that can go on', async () => {
    const world = fakeWorld()
    written(world)
    await runJob(world, await begin(world, first))
    const later = sampleJob('later', '2026-03-10T03:00:00.000Z')
    world.platform.disks.get('os')!.fill('y', 0, 4096)
    await runJob(world, await begin(world, later), failing)
    await runJob(world, await begin(world, slotJob('2026-03-10T02:05:00Z')))
    expect(await readUnfinished(world.control, vmKey)).toMatchObject({ jobId: later.jobId })
    const instances = fakeInstances()
    expect(await resumeJob({ ...world, instances }, later.jobId)).toMatchObject({ kind: 'resumed' })
    expect((await runJob(world, instances.started[0]!)).outcome).toMatchObject({ kind: 'completed' })
  })

  it('finds the slot done whose job is given up just then', async () => {
    const world = fakeWorld()
    written(world)
    await runJob(world, await begin(world, first), failing)
    const other = { ...world, vault: world.vault.reopen(), control: world.control.reopen() }
    const late = await begin(world, slotJob('2026-03-10T02:05:00Z'))
    world.control.pause = async ({ operation, name }) => {
      if (operation !== 'read' || !name.startsWith('unfinished/')) return
      world.control.pause = async () => undefined
      await giveUnfinishedUp(other, first)
    }
    expect((await runJob(world, late)).outcome).toMatchObject({ kind: 'failed', reason: 'job-ended' })
    expect((await stateOf(world)).points).toEqual([first.recoveryPointId])
  })

  it('is not made by a sweep that finds the slot done', async () => {
    const world = fakeWorld()
    written(world)
    const policy = {
      name: 'daily',
      selection: { tags: { backup: 'daily' } },
      schedule: { kind: 'daily', times: ['02:00'], timeZone: 'UTC' },
    }
    await world.control.put(policyName('daily'), encodeJson(policy))
    const instances = fakeInstances()
    const sweep = () => startDueBackups({ ...world, instances, subscriptionIds: [], windowHours: 24 })
    expect(await sweep()).toMatchObject([{ started: [{ vmKey }], faults: [] }])
    await runJob(world, instances.started[0]!)
    expect(await sweep()).toMatchObject([{ started: [], already: 1, faults: [] }])
    expect(instances.started).toHaveLength(1)
  })
})
