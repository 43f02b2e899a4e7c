import { describe, expect, it } from 'vitest'
import { startRestore } from '../../functions/http/start-restore.ts'
import { listVmRecoveryPoints } from '../../functions/http/vms.ts'
import { encodeSealedJson } from '../../shared/format/sealed-json.ts'
import { fakeInstances, sampleVm } from '../jobs/world.ts'
import { backedUpWorld } from './backed-up-world.ts'
import { ask } from './call-endpoint.ts'

const { vmKey } = sampleVm()

/** A world that has been backed up, of which restores are asked. */
const worldWith = async (backups: number) => {
  const made = await backedUpWorld(backups)
  const restore = async (recoveryPointId: string) => {
    const instances = fakeInstances()
    const answered = await ask(startRestore, made.world, instances, { body: { vmKey, recoveryPointId } })
    return { ...answered, started: instances.started.length }
  }
  return { ...made, restore }
}
type World = Awaited<ReturnType<typeof worldWith>>

const refusal = ({ ids, nameOf }: World, damaged: number, sound: number | null) => ({
  status: 409,
  started: 0,
  logged: [],
  body: {
    type: 'urn:deltavault:problem:damaged-recovery-point',
    detail: expect.stringContaining(nameOf(ids[damaged]!)),
    errors: [
      {
        field: 'recoveryPointId',
        detail: expect.stringContaining(ids[damaged]!),
        fix: sound === null ? expect.stringContaining('no other') : expect.stringContaining(ids[sound]!),
      },
    ],
    damagedRecoveryPointId: ids[damaged],
    newestReadableRecoveryPointId: sound === null ? null : ids[sound],
  },
})

describe('POST restores where a commit record is damaged', () => {
  it('restores nothing older in place of the latest: it names the damaged one and the newest that can be read', async () => {
    const made = await worldWith(3)
    made.damage(made.ids[2]!)
    expect(await made.restore('latest')).toMatchObject(refusal(made, 2, 1))
    made.damage(made.ids[1]!)
    expect(await made.restore('latest')).toMatchObject(refusal(made, 2, 0))
    expect(await made.restore(made.ids[0]!)).toMatchObject({ status: 202, started: 1 })
  })

  it('names the object of the damaged one that is asked for, and what to do', async () => {
    const made = await worldWith(2)
    made.damage(made.ids[0]!)
    const refused = await made.restore(made.ids[0]!)
    expect(refused).toMatchObject(refusal(made, 0, 1))
    expect(refused.body.detail).toContain('soft-deleted')
    expect(await made.restore('latest')).toMatchObject({ status: 202, body: { recoveryPointId: made.ids[1] } })
  })

  it('says so where the VM has no other', async () => {
    const made = await worldWith(1)
    made.damage(made.ids[0]!)
    const refused = await made.restore('latest')
    expect(refused).toMatchObject(refusal(made, 0, null))
    expect(refused.body).toMatchObject({ code: 'damaged-recovery-point', reason: expect.stringContaining('damaged') })
    expect(refused.body.hint).toContain('soft-deleted')
    expect(refused.body.hint).toContain('it is a full one')
    expect(refused.body.hint).not.toContain('Its revision')
  })

  it('names the whole revision below a damaged newest one, where there is no other point', async () => {
    const made = await worldWith(1)
    const [id = ''] = made.ids
    const first = made.world.vault.objects.get(made.nameOf(id))!
    const broken = Uint8Array.from(first.bytes)
    broken[200]! ^= 1
    made.world.vault.objects.set(made.nameOf(id, 2), { ...first, bytes: broken })
    const refused = await made.restore('latest')
    expect(refused).toMatchObject({ status: 409, started: 0, body: { newestReadableRecoveryPointId: null } })
    expect(refused.body.hint).toContain('Its revision 1 is whole')
    expect(refused.body.hint).toContain(made.nameOf(id, 2))
    const asked = { method: 'GET', params: { vmKey } }
    const { body } = await ask(listVmRecoveryPoints, made.world, fakeInstances(), asked)
    expect(body).toMatchObject({ recoveryPoints: [], unreadable: [{ recoveryPointId: id }] })
    expect(JSON.stringify(body.unreadable)).toContain('Its revision 1 is whole')
  })

  it('sends those who ask for a record of a later format to the release that wrote it', async () => {
    const made = await worldWith(2)
    const name = made.nameOf(made.ids[1]!)
    const later = encodeSealedJson({ format: 2, recoveryPointId: made.ids[1], vmKey, revision: 1 })
    made.world.vault.objects.set(name, { ...made.world.vault.objects.get(name)!, bytes: later })
    for (const asked of ['latest', made.ids[1]!])
      expect(await made.restore(asked)).toMatchObject({
        status: 409,
        started: 0,
        body: { type: 'urn:deltavault:problem:newer-format', detail: expect.stringContaining(made.ids[1]!) },
      })
  })
})
