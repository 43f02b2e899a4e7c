import { describe, expect, it } from 'vitest'
import { listVaultDamage } from '../../functions/http/damage.ts'
import { vaultMaintenance } from '../../functions/http/maintenance.ts'
import { type DamageReport, writeDamage } from '../../shared/vault/damage-reports.ts'
import { fakeInstances, fakeWorld } from '../jobs/world.ts'
import { ask } from './call-endpoint.ts'

const report: DamageReport = {
  vmKey: 'web-1-b0300031b42c',
  name: 'segments/r1/os/000000.0001-00000',
  kind: 'data',
  code: 'digest-mismatch',
  message: 'The bytes differ.',
  foundAt: '2026-03-10T02:00:00.000Z',
  frames: [0],
  touches: [{ recoveryPointId: 'r1', disk: 'os', ranges: [{ offsetBytes: 0, lengthBytes: 4096 }] }],
}

describe('POST maintenance', () => {
  it('begins a pass and answers where to look; a second one is refused while it runs', async () => {
    const world = fakeWorld()
    const instances = fakeInstances()
    const first = await ask(vaultMaintenance, world, instances, {})
    expect(first).toMatchObject({
      status: 202,
      headers: { 'retry-after': '10', location: first.body.statusQueryGetUri },
      body: { instanceId: 'maintenance', passId: expect.stringMatching(/^pass-20260310t020000z-[0-9a-f]{10}$/) },
    })
    const second = await ask(vaultMaintenance, world, instances, {})
    expect(second).toMatchObject({ status: 409, body: { type: 'urn:deltavault:problem:maintenance-running' } })
    const shown = await ask(vaultMaintenance, world, instances, { method: 'GET' })
    expect(shown.body).toMatchObject({ state: 'running', progress: { passId: first.body.passId } })
  })

  it('checks everything again where it is asked to', async () => {
    const instances = fakeInstances()
    const { body } = await ask(vaultMaintenance, fakeWorld(), instances, { body: { recheck: true } })
    expect(body).toMatchObject({ recheckBefore: '2026-03-10T02:00:00.000Z' })
    expect(instances.statuses.get('maintenance')?.customStatus).toEqual({
      passId: body.passId,
      recheckBefore: '2026-03-10T02:00:00.000Z',
    })
  })

  it.each([{}, { recheck: false }])('checks only what is due with %j', async (body) => {
    const instances = fakeInstances()
    expect(await ask(vaultMaintenance, fakeWorld(), instances, { body })).toMatchObject({ status: 202 })
    expect(instances.statuses.get('maintenance')?.customStatus).not.toHaveProperty('recheckBefore')
  })

  it.each([
    [{ recheckAll: true }, 'recheckAll'],
    [{ recheck: 'yes' }, 'recheck'],
  ])('refuses %j, names the field and begins nothing', async (body, field) => {
    const instances = fakeInstances()
    const refused = await ask(vaultMaintenance, fakeWorld(), instances, { body })
    expect(refused).toMatchObject({ status: 422, body: { errors: [{ field, fix: expect.stringMatching(/./) }] } })
    expect(instances.statuses.size).toBe(0)
  })

  it('says that no pass has run', async () => {
    const shown = await ask(vaultMaintenance, fakeWorld(), fakeInstances(), { method: 'GET' })
    expect(shown).toMatchObject({ status: 200, body: { state: 'neverRun', progress: null } })
  })

  it('tells code, reason and hint of what a pass could not do', async () => {
    const instances = fakeInstances()
    const problem = { stage: 'scrub', reason: 'known-damage', message: 'Some is damaged.', hint: 'Look.' }
    const customStatus = { stage: 'ended', problems: [problem] }
    instances.statuses.set('maintenance', { state: 'ended', runtimeStatus: 'Completed', customStatus })
    const { body } = await ask(vaultMaintenance, fakeWorld(), instances, { method: 'GET' })
    expect(body.progress).toEqual({
      stage: 'ended',
      problems: [{ stage: 'scrub', code: 'known-damage', reason: 'Some is damaged.', hint: 'Look.' }],
      mended: [],
    })
  })

  it('tells what a pass mended apart from its problems', async () => {
    const instances = fakeInstances()
    const of = { name: 'layers/r1/os', vmKey: report.vmKey, recoveryPoints: 1, recoveryPointIds: ['r1'] }
    const customStatus = { stage: 'ended', problems: [], mended: [{ ...of, code: 'object-missing' }] }
    instances.statuses.set('maintenance', { state: 'ended', runtimeStatus: 'Completed', customStatus })
    const { body } = await ask(vaultMaintenance, fakeWorld(), instances, { method: 'GET' })
    expect(body.progress).toMatchObject({ problems: [], mended: [{ ...of, code: 'vault-object-missing' }] })
  })
})

const { message, ...common } = report
const told = {
  ...common,
  soundIn: null,
  code: 'vault-digest-mismatch',
  reason: message,
  hint: expect.stringContaining('Back the VM up'),
}

describe('GET damage', () => {
  it('says what to do about each kind, and that nothing is lost where nothing is touched', async () => {
    const world = fakeWorld()
    const kinds = ['record', 'key', 'index', 'data', 'directory', 'sidecar'] as const
    for (const kind of kinds) await writeDamage(world.control, { ...report, name: kind, kind })
    await writeDamage(world.control, { ...report, name: 'untouched', touches: [] })
    await writeDamage(world.control, { ...report, name: 'older', kind: 'record', touches: [] })
    const { body } = await ask(listVaultDamage, world, fakeInstances(), { method: 'GET' })
    const hintOf = new Map((body.damage as { name: string; hint: string }[]).map(({ name, hint }) => [name, hint]))
    expect(hintOf.get('record')).toContain(`POST vms/${report.vmKey}/recovery-points/r1/expire`)
    expect(hintOf.get('index')).toContain('POST maintenance')
    expect(hintOf.get('key')).toContain('wrapping key')
    expect(hintOf.get('untouched')).toContain('Everything can be restored')
    expect(hintOf.get('older')).toContain('no restore needs it while the newest one is whole')
    expect(hintOf.size).toBe(8)
  })

  it('names damaged objects and the recovery points that they touch', async () => {
    const world = fakeWorld()
    await writeDamage(world.control, report)
    await writeDamage(world.control, { ...report, name: 'layers/r1/os' })
    const all = await ask(listVaultDamage, world, fakeInstances(), { method: 'GET' })
    expect(all.body).toMatchObject({ more: false, damage: expect.arrayContaining([told]) })
    const one = await ask(listVaultDamage, world, fakeInstances(), { method: 'GET', query: { top: '1' } })
    expect(one.body).toMatchObject({ more: true })
    expect(one.body.damage).toHaveLength(1)
  })

  it('refuses a query parameter that it does not know, and takes the key of the host', async () => {
    const asked = (query: Record<string, string>) =>
      ask(listVaultDamage, fakeWorld(), fakeInstances(), { method: 'GET', query })
    expect(await asked({ vmkey: report.vmKey })).toMatchObject({ status: 400, body: { errors: [{ field: 'vmkey' }] } })
    expect(await asked({ code: 'KEY', top: '5' })).toMatchObject({ status: 200, body: { damage: [] } })
  })

  it('names those of one VM', async () => {
    const world = fakeWorld()
    await writeDamage(world.control, report)
    await writeDamage(world.control, { ...report, vmKey: 'db-1-b0300031b42c' })
    const asked = (vmKey: string) => ask(listVaultDamage, world, fakeInstances(), { method: 'GET', query: { vmKey } })
    expect((await asked(report.vmKey)).body).toEqual({ more: false, damage: [told] })
    expect(await asked('mail-1-b0300031b42c')).toMatchObject({ status: 404, body: { errors: [{ field: 'vmKey' }] } })
    expect(await asked('../x')).toMatchObject({ status: 400, body: { errors: [{ field: 'vmKey' }] } })
  })
})
