import { describe, expect, it } from 'vitest'
import { expireRecoveryPointNow } from '../../functions/http/expire-recovery-point.ts'
import { listVmRecoveryPoints, listVms } from '../../functions/http/vms.ts'
import { encodeJson } from '../../shared/jobs/json-object.ts'
import { collectVault } from '../../shared/jobs/maintenance/collect-vault.ts'
import { writeDamage } from '../../shared/vault/damage-reports.ts'
import { fenceRecoveryPoint } from '../../shared/vault/fence-recovery-point.ts'
import { fakeInstances, fakeWorld, sampleVm } from '../jobs/world.ts'
import { backedUpWorld } from './backed-up-world.ts'
import { type Asked, ask } from './call-endpoint.ts'

const { vmKey } = sampleVm()
const get = { method: 'GET', params: { vmKey } }

/** A world that has been backed up, with what is asked of it here. */
const worldWith = async (backups: number) => {
  const made = await backedUpWorld(backups)
  const { world } = made
  const expire = (recoveryPointId: string, body?: unknown) => {
    const asked: Asked = { params: { vmKey, recoveryPointId }, ...(body === undefined ? {} : { body }) }
    return ask(expireRecoveryPointNow, world, fakeInstances(), asked)
  }
  const list = () => ask(listVmRecoveryPoints, world, fakeInstances(), get)
  return { ...made, expire, list }
}

describe('GET recovery-points', () => {
  it('lists the sound ones and names the damaged ones, with what to do', async () => {
    const { ids, damage, list } = await worldWith(3)
    damage(ids[1]!)
    const { status, body } = await list()
    expect(status).toBe(200)
    expect(body.recoveryPoints).toMatchObject([{ recoveryPointId: ids[2] }, { recoveryPointId: ids[0] }])
    expect(body.unreadable).toEqual([
      {
        recoveryPointId: ids[1],
        code: 'vault-digest-mismatch',
        reason: expect.stringContaining(ids[1]!),
        hint: expect.stringContaining(`POST vms/${vmKey}/recovery-points/${ids[1]}/expire`),
      },
    ])
  })

  it('names damaged ones where there is no other, and GET vms goes on', async () => {
    const { world, ids, damage, list } = await worldWith(1)
    damage(ids[0]!)
    expect(await list()).toMatchObject({ status: 200, body: { recoveryPoints: [], unreadable: [{}] } })
    const schedule = { kind: 'daily', times: ['02:00'], timeZone: 'UTC' }
    const policy = { name: 'daily', selection: { tags: { backup: 'daily' } }, schedule }
    await world.control.put('policies/daily.json', encodeJson(policy))
    const vms = await ask(listVms, world, fakeInstances(), { method: 'GET' })
    expect(vms).toMatchObject({ status: 200, body: { vms: [{ lastRecoveryPoint: null, newerUnreadable: 1 }] } })
  })
})

describe('POST recovery-points/expire', () => {
  it('ends one recovery point, says so, and changes nothing when it is repeated', async () => {
    const { world, ids, expire, list } = await worldWith(2)
    const key = { vmKey, recoveryPointId: ids[0]! }
    const first = await expire(ids[0]!)
    expect(first).toMatchObject({ status: 200, body: { ...key, result: 'expired' } })
    expect(first.told).toEqual([expect.stringMatching(/^recoveryPointExpired: /)])
    const objects = world.vault.objects.size
    const second = await expire(ids[0]!, {})
    expect(second).toMatchObject({ status: 200, body: { ...key, result: 'already-expired' }, told: [] })
    expect(world.vault.objects.size).toBe(objects)
    expect((await list()).body).toMatchObject({ recoveryPoints: [{ recoveryPointId: ids[1] }], unreadable: [] })
  })

  it('ends one whose record is damaged, which lets collection go on', async () => {
    const { world, ids, damage, expire, list } = await worldWith(2)
    damage(ids[0]!)
    const collect = (passId: string) => collectVault(world, { passId, cursor: null })
    expect(await collect('one')).toMatchObject({
      problems: [{ reason: 'unreadable-objects', hint: expect.stringContaining('/expire') }],
    })
    expect(await expire(ids[0]!)).toMatchObject({ status: 200, body: { result: 'expired' } })
    expect(await collect('two')).toMatchObject({ problems: [] })
    expect((await list()).body).toMatchObject({ recoveryPoints: [{ recoveryPointId: ids[1] }], unreadable: [] })
  })

  it('refuses the only one that can be restored, unless that is wanted', async () => {
    const { ids, nameOf, world, damage, expire } = await worldWith(2)
    damage(ids[0]!)
    for (const body of [undefined, {}, { evenIfLast: false }])
      expect(await expire(ids[1]!, body)).toMatchObject({
        status: 409,
        body: { type: 'urn:deltavault:problem:last-recovery-point', errors: [{ field: 'evenIfLast' }] },
      })
    expect(world.vault.objects.has(nameOf(ids[1]!, 2))).toBe(false)
    expect(await expire(ids[1]!, { evenIfLast: true })).toMatchObject({ status: 200, body: { result: 'expired' } })
    expect(await expire(ids[0]!)).toMatchObject({ status: 409 })
  })

  it('refuses the only one that is known to be whole, and none in favour of it', async () => {
    const { ids, world, expire } = await worldWith(3)
    const [first, second, third] = ids as [string, string, string]
    await writeDamage(world.control, {
      vmKey,
      name: 'segments/a',
      kind: 'data',
      code: 'digest-mismatch',
      message: 'The bytes differ.',
      foundAt: '2026-03-12T02:00:00.000Z',
      frames: [0],
      touches: [first, third].map((recoveryPointId) => ({ recoveryPointId, disk: 'os', ranges: null })),
    })
    expect(await expire(second)).toMatchObject({
      status: 409,
      body: { code: 'last-recovery-point', detail: expect.stringContaining('GET damage') },
    })
    expect(await expire(third)).toMatchObject({ status: 200 })
    expect(await expire(second, { evenIfLast: true })).toMatchObject({ status: 200 })
    expect(await expire(first)).toMatchObject({ status: 409, body: { title: 'The VM has no other recovery point.' } })
  })

  it('does not know what never was', async () => {
    const { world, ids, expire } = await worldWith(1)
    const recoveryPointId = 'given-up'
    await fenceRecoveryPoint(world, { vmKey, recoveryPointId })
    for (const id of [recoveryPointId, `${ids[0]}-not`])
      expect(await expire(id, { evenIfLast: true })).toMatchObject({
        status: 404,
        body: { errors: [{ field: 'recoveryPointId' }] },
      })
    const params = { vmKey: 'nope', recoveryPointId: 'latest' }
    expect(await ask(expireRecoveryPointNow, world, fakeInstances(), { params })).toMatchObject({
      status: 404,
      body: { errors: [{ field: 'vmKey' }] },
    })
  })

  it.each([
    [{ force: true }, 'force'],
    [{ evenIfLast: 'yes' }, 'evenIfLast'],
  ])('refuses the body %j', async (body, field) => {
    const { ids, expire } = await worldWith(1)
    expect(await expire(ids[0]!, body)).toMatchObject({ status: 422, body: { errors: [{ field }] } })
  })

  it.each(['vmKey', 'recoveryPointId'])('refuses a %s that is no id', async (field) => {
    const params = { vmKey, recoveryPointId: 'p', [field]: '../claims' }
    const answered = await ask(expireRecoveryPointNow, fakeWorld(), fakeInstances(), { params })
    expect(answered).toMatchObject({ status: 400, body: { errors: [{ field }] } })
  })
})
