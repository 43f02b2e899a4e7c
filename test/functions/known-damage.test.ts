import { describe, expect, it } from 'vitest'
import { compareRecoveryPoint } from '../../functions/http/compare-recovery-point.ts'
import { listVaultDamage } from '../../functions/http/damage.ts'
import { expireRecoveryPointNow } from '../../functions/http/expire-recovery-point.ts'
import { resumeEndedJob } from '../../functions/http/resume-job.ts'
import { startRestore } from '../../functions/http/start-restore.ts'
import { listVmRecoveryPoints } from '../../functions/http/vms.ts'
import { startJob } from '../../shared/jobs/start-job.ts'
import { type DamageReport, type Touch, writeDamage } from '../../shared/vault/damage-reports.ts'
import { runJob } from '../jobs/run-job.ts'
import { fakeInstances, fakeWorld, sampleJob, sampleVm } from '../jobs/world.ts'
import { ask } from './call-endpoint.ts'

const { vmKey } = sampleVm()

/** Two backups of one VM with the disks os and lun-0. */
const worldOfTwo = async () => {
  const world = fakeWorld()
  const ids: string[] = []
  for (const day of [0, 1]) {
    const instances = fakeInstances()
    const job = sampleJob(`day ${day}`, `2026-03-1${day}T02:00:00.000Z`)
    await startJob({ ...world, instances }, job)
    expect((await runJob(world, instances.started[0]!)).outcome).toMatchObject({ kind: 'completed' })
    ids.push(job.recoveryPointId)
  }
  const [older = '', newer = ''] = ids
  const know = (name: string, touches: readonly Touch[]) => writeDamage(world.control, reportOf(name, touches))
  return { world, older, newer, know }
}

const reportOf = (name: string, touches: readonly Touch[]): DamageReport => ({
  vmKey,
  name,
  kind: 'data',
  code: 'digest-mismatch',
  message: 'The bytes differ.',
  foundAt: '2026-03-12T02:00:00.000Z',
  frames: [0],
  touches: [...touches],
})

describe('known damage where a recovery point is chosen', () => {
  it('stands next to each recovery point: labels of disks, null for all, none where nothing is touched', async () => {
    const { world, older, newer, know } = await worldOfTwo()
    const list = async () => {
      const answered = await ask(listVmRecoveryPoints, world, fakeInstances(), { method: 'GET', params: { vmKey } })
      const points = answered.body.recoveryPoints as { recoveryPointId: string; damaged: unknown }[]
      return points.map(({ recoveryPointId, damaged }) => [recoveryPointId, damaged])
    }
    await know('a', [])
    expect(await list()).toEqual([
      [newer, []],
      [older, []],
    ])
    await know('b', [{ recoveryPointId: older, disk: 'os', ranges: null }])
    await know('c', [{ recoveryPointId: older, disk: 'lun-0', ranges: null }])
    await know('d', [{ recoveryPointId: newer, disk: null, ranges: null }])
    expect(await list()).toEqual([
      [newer, null],
      [older, ['lun-0', 'os']],
    ])
  })

  it('warns whoever restores a disk that is known to be damaged, and no one else', async () => {
    const { world, older, newer, know } = await worldOfTwo()
    await know('b', [{ recoveryPointId: older, disk: 'os', ranges: null }])
    const restore = async (recoveryPointId: string, disks?: readonly { readonly disk: string }[]) =>
      ask(startRestore, withFreeVm(world), fakeInstances(), { body: { vmKey, recoveryPointId, disks } })
    const warned = await restore(older)
    expect(warned).toMatchObject({ status: 202, body: { warning: expect.stringContaining(`${older}: os.`) } })
    expect(warned.body.warning).toContain(`GET damage?vmKey=${vmKey}`)
    for (const whole of [await restore(newer), await restore(older, [{ disk: warnedNot(warned.body) }])]) {
      expect(whole.status).toBe(202)
      expect(whole.body).not.toHaveProperty('warning')
    }
  })
})

/** Each request finds the VM free. */
const withFreeVm = (world: ReturnType<typeof fakeWorld>) => {
  for (const name of world.control.objects.keys()) if (name.startsWith('claims/')) world.control.objects.delete(name)
  return world
}

const warnedNot = ({ disks }: Readonly<Record<string, unknown>>): string =>
  (disks as { readonly disk: string }[]).find(({ disk }) => disk !== 'os')!.disk

describe('refusals that say what to do instead', () => {
  it('answers GET damage of a VM that has recovery points and no damage with an empty list', async () => {
    const { world } = await worldOfTwo()
    const answered = await ask(listVaultDamage, world, fakeInstances(), { method: 'GET', query: { vmKey } })
    expect(answered).toMatchObject({ status: 200, body: { damage: [], more: false } })
  })

  it('blames the recovery point where the VM has others, and the VM where it has none', async () => {
    const { world } = await worldOfTwo()
    const restore = (key: string) =>
      ask(startRestore, world, fakeInstances(), {
        body: { vmKey: key, recoveryPointId: '20260101t000000z-0123456789' },
      })
    expect((await restore(vmKey)).body).toMatchObject({ errors: [{ field: 'recoveryPointId' }] })
    expect((await restore('nope')).body).toMatchObject({
      errors: [{ field: 'vmKey', fix: expect.stringContaining('GET vms') }],
    })
  })

  it('wants the id of the recovery point that is to end, not latest', async () => {
    const { world } = await worldOfTwo()
    const params = { vmKey, recoveryPointId: 'latest' }
    expect(await ask(expireRecoveryPointNow, world, fakeInstances(), { params })).toMatchObject({
      status: 404,
      body: { errors: [{ fix: expect.stringContaining('Name it by its id') }] },
    })
  })

  it('sends those who compare the latest without copies to a new backup', async () => {
    const { world, newer } = await worldOfTwo()
    const { access } = world
    const gone = { ...world, access: { ...access, exists: async () => false } }
    const fixOf = async (recoveryPointId: string) =>
      ask(compareRecoveryPoint, gone, fakeInstances(), { params: { vmKey, recoveryPointId } })
    expect(await fixOf('latest')).toMatchObject({
      status: 409,
      body: { errors: [{ fix: expect.stringMatching(/^Back the VM up first/) }] },
    })
    expect(await fixOf(newer)).toMatchObject({
      status: 409,
      body: {
        errors: [{ fix: expect.stringMatching(/^Compare the newest one.*If this is the newest, back the VM up/) }],
      },
    })
  })

  it('sends those who resume a restore to POST restores', async () => {
    const { world, newer } = await worldOfTwo()
    const instances = fakeInstances()
    const { body } = await ask(startRestore, world, instances, { body: { vmKey, recoveryPointId: newer } })
    await runJob(world, instances.started[0]!)
    const params = { jobId: String(body.jobId) }
    expect(await ask(resumeEndedJob, world, instances, { params })).toMatchObject({
      status: 410,
      body: { errors: [{ field: 'jobId', fix: 'Start the restore again by POST restores.' }] },
    })
  })
})
