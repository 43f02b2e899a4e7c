import { describe, expect, it } from 'vitest'
import type { RecoveryPoint } from '../../shared/domain/recovery-point.ts'
import { recoveryPointName } from '../../shared/format/names.ts'
import { endedJobName } from '../../shared/jobs/control-names.ts'
import { encodeJson } from '../../shared/jobs/json-object.ts'
import { endOrphans } from '../../shared/jobs/maintenance/end-orphans.ts'
import { checkBase } from '../../shared/vault/check-base.ts'
import { collectGarbage } from '../../shared/vault/collect-garbage.ts'
import { fenceCompaction } from '../../shared/vault/compaction-intents.ts'
import { damageOf } from '../../shared/vault/damage-reports.ts'
import { expireRecoveryPoint } from '../../shared/vault/expire-recovery-points.ts'
import { writeIntent } from '../../shared/vault/intents.ts'
import { giveUpLost } from '../../shared/vault/lost-records.ts'
import { readRecoveryPoint } from '../../shared/vault/recovery-points.ts'
import { scrubVault } from '../../shared/vault/scrub-vault.ts'
import { createMemoryBlobStore, type MemoryBlobStore } from '../support/memory-blob-store.ts'
import { seededRandom } from '../support/seeded-random.ts'
import { unlimited } from '../support/small-vault.ts'
import { backUp, restoreDisk, type Stores, vmKey } from '../support/vault-world.ts'
import { virtualClock } from '../support/virtual-clock.ts'

const page = 4096
const bytes1 = seededRandom(1).bytes(8 * page)
const bytes2 = Buffer.concat([seededRandom(2).bytes(page), bytes1.subarray(page)])

interface World extends Stores {
  readonly vault: MemoryBlobStore
  readonly control: MemoryBlobStore
  readonly points: readonly RecoveryPoint[]
}

/** r2 lies on r1; r3, where there is one, is as r2 and has no layer of its own. */
const worldOf = async (count: 2 | 3): Promise<World> => {
  const stores = { vault: createMemoryBlobStore(), control: createMemoryBlobStore(), clock: virtualClock() }
  const whole = { offsetBytes: 0, lengthBytes: bytes1.length, kind: 'data' as const }
  const disk = (bytes: Buffer, ranges: readonly (typeof whole)[]) => [{ disk: 'os', bytes, ranges }]
  const r1 = await backUp(stores, { recoveryPointId: 'r1', disks: disk(bytes1, [whole]), base: null })
  const changed = { ...whole, lengthBytes: page }
  const r2 = await backUp(stores, { recoveryPointId: 'r2', disks: disk(bytes2, [changed]), base: r1 })
  const points = [r1, r2]
  if (count === 3) points.push(await backUp(stores, { recoveryPointId: 'r3', disks: disk(bytes2, []), base: r2 }))
  return { ...stores, points }
}

const recordOf = (id: string, revision = 1): string => recoveryPointName(vmKey, id, revision)

const lose = ({ vault }: World, name: string): (() => void) => {
  const content = vault.objects.get(name) ?? expect.unreachable()
  vault.objects.delete(name)
  return () => void vault.objects.set(name, content)
}

const collect = (world: World, passId: string) => collectGarbage(world, { passId, objectsMax: 1000 })

describe('a recovery point whose only record is gone', () => {
  it('keeps what it may have named: nothing is removed until it is brought back', async () => {
    const world = await worldOf(2)
    const bringBack = lose(world, recordOf('r2'))
    await expireRecoveryPoint(world.vault, { vmKey, recoveryPointId: 'r1', revision: 1 })
    expect(await collect(world, 'p1')).toMatchObject({ kind: 'done', lostRecords: ['r2'], swept: { removed: 0 } })
    bringBack()
    expect(await collect(world, 'p2')).toMatchObject({ kind: 'done', lostRecords: [] })
    const found = await readRecoveryPoint(world.vault, { vmKey, recoveryPointId: 'r2' })
    expect((await restoreDisk(world.vault, found!.recoveryPoint, 'os')).equals(bytes2)).toBe(true)
  })

  it('keeps it also from a pass next to a backup that builds on it', async () => {
    const world = await worldOf(2)
    lose(world, recordOf('r2'))
    await expireRecoveryPoint(world.vault, { vmKey, recoveryPointId: 'r1', revision: 1 })
    await writeIntent(world.control, { kind: 'backup', id: 'r9', vmKey, dependsOn: ['r2'] })
    expect(await collect(world, 'p1')).toMatchObject({ lostRecords: ['r2'], swept: { removed: 0 } })
  })

  it('leaves nothing behind once it is given up', async () => {
    const world = await worldOf(2)
    lose(world, recordOf('r2'))
    expect(await giveUpLost(world, { vmKey, recoveryPointId: 'r2' })).toBe('given-up')
    await collect(world, 'p1')
    await collect(world, 'p2')
    expect([...world.vault.objects.keys()].filter((name) => name.includes('/r2/'))).toEqual([recordOf('r2')])
    expect(await readRecoveryPoint(world.vault, { vmKey, recoveryPointId: 'r2' })).toBeNull()
  })

  it('is told by the record of the next one, though nothing else of it is left', async () => {
    const world = await worldOf(3)
    const name = recordOf('r2')
    lose(world, name)
    await scrubVault(world, unlimited)
    const touches = [{ recoveryPointId: 'r2', disk: null, ranges: null }]
    expect(await damageOf(world.control, vmKey)).toMatchObject([
      { kind: 'record', code: 'object-missing', name, touches },
    ])
    expect(await giveUpLost(world, { vmKey, recoveryPointId: 'r2' })).toBe('given-up')
    await scrubVault(world, unlimited)
    expect(await damageOf(world.control, vmKey)).toEqual([])
  })

  it('is none where nothing tells of it, where its backup is at work, and where it has a record', async () => {
    const world = await worldOf(2)
    expect(await giveUpLost(world, { vmKey, recoveryPointId: 'r7' })).toBe('unknown')
    expect(await giveUpLost(world, { vmKey, recoveryPointId: 'r2' })).toBe('unknown')
    lose(world, recordOf('r2'))
    await writeIntent(world.control, { kind: 'backup', id: 'r2', vmKey, dependsOn: [] })
    expect(await giveUpLost(world, { vmKey, recoveryPointId: 'r2' })).toBe('unknown')
    expect(await collect(world, 'p1')).toMatchObject({ lostRecords: [] })
  })
})

describe('a first revision that is gone below a later one', () => {
  it('touches nothing, and is told', async () => {
    const world = await worldOf(2)
    const fenced = { kind: 'compaction' as const, id: 'fold-a', vmKey, dependsOn: ['r2'] }
    const revisions = [{ recoveryPointId: 'r2', vmKey, revision: 2 }]
    await fenceCompaction(world, { ...fenced, revisions })
    lose(world, recordOf('r2'))
    await scrubVault(world, unlimited)
    expect(await damageOf(world.control, vmKey)).toMatchObject([{ kind: 'record', name: recordOf('r2'), touches: [] }])
    expect(await collect(world, 'p1')).toMatchObject({ lostRecords: [], unreadable: [] })
  })
})

describe('what a fold has declared of a record that was damaged since', () => {
  it('can be ended once the recovery point is', async () => {
    const world = await worldOf(2)
    const revisions = [{ recoveryPointId: 'r2', vmKey, revision: 2 }]
    const intent = { kind: 'compaction' as const, id: 'fold-a', vmKey, dependsOn: ['r2'], revisions }
    await writeIntent(world.control, intent)
    const content = world.vault.objects.get(recordOf('r2')) ?? expect.unreachable()
    world.vault.objects.set(recordOf('r2'), { ...content, bytes: content.bytes.subarray(0, 90) })
    await expect(fenceCompaction(world, intent)).rejects.toMatchObject({ fault: { name: recordOf('r2') } })
    await expireRecoveryPoint(world.vault, { vmKey, recoveryPointId: 'r2', revision: 1 })
    await fenceCompaction(world, intent)
    expect([...world.control.objects.keys()].filter((name) => name.startsWith('intents/'))).toEqual([])
  })
})

describe('a condemned list that cannot be read', () => {
  it('stops passes, and no backup: what still lives can be built on, and nothing else', async () => {
    const world = await worldOf(2)
    await world.control.put('condemned/p0.json', Buffer.from('{"sha256":'))
    await expect(collect(world, 'p1')).rejects.toMatchObject({ fault: { name: 'condemned/p0.json' } })
    const [r1 = expect.unreachable(), r2 = expect.unreachable()] = world.points
    const intent = { kind: 'backup' as const, id: 'r9', vmKey, dependsOn: ['r1', 'r2'] }
    expect(await checkBase(world, intent, r2)).toEqual(r2)
    await expireRecoveryPoint(world.vault, { vmKey, recoveryPointId: 'r1', revision: 1 })
    expect(await checkBase(world, intent, r1)).toBeNull()
  })
})

describe('an intent of a job that nobody knows any more', () => {
  const claimed = async (world: World, job: object): Promise<void> =>
    world.control.put(`claims/${vmKey}`, encodeJson({ job, attempt: 1, token: 't', takenAt: '' }))

  it('ends: a backup is fenced off, a restore is forgotten', async () => {
    const world = await worldOf(2)
    await writeIntent(world.control, { kind: 'backup', id: 'r9', vmKey, dependsOn: ['r2'] })
    await writeIntent(world.control, { kind: 'restore', id: 'restore-x', vmKey, dependsOn: ['r1'] })
    await endOrphans(world)
    expect([...world.control.objects.keys()].filter((name) => name.startsWith('intents/'))).toEqual([])
    const fence = Buffer.from(world.vault.objects.get(recordOf('r9'))?.bytes ?? []).toString()
    expect(fence).toContain('"aborted":true')
  })

  it('is dropped alone where its backup was committed, whose lost record can then be brought back', async () => {
    const world = await worldOf(2)
    const [recoveryPointId, jobId] = ['20260301t020500z-0123456789', `backup-${vmKey}-20260301t020000z-0123456789`]
    await writeIntent(world.control, { kind: 'backup', id: recoveryPointId, vmKey, dependsOn: [] })
    const outcome = { kind: 'completed', recoveryPointId }
    await world.control.put(endedJobName(jobId), encodeJson({ job: { jobId }, attempts: 1, outcome }))
    await endOrphans(world)
    expect([...world.control.objects.keys()].filter((name) => name.startsWith('intents/'))).toEqual([])
    expect(world.vault.objects.has(recordOf(recoveryPointId))).toBe(false)
  })

  it('stays while a claim or a note names its backup, or what could name it cannot be read', async () => {
    const world = await worldOf(2)
    await writeIntent(world.control, { kind: 'backup', id: 'r9', vmKey, dependsOn: ['r2'] })
    const stays = async (): Promise<void> => {
      await endOrphans(world)
      expect(world.control.objects.has('intents/r9.json')).toBe(true)
    }
    await claimed(world, { kind: 'backup', jobId: 'backup-9', vmKey, recoveryPointId: 'r9' })
    await stays()
    await world.control.put(`claims/${vmKey}`, Buffer.from('{"job":'))
    await stays()
    await world.control.remove(`claims/${vmKey}`)
    await world.control.put(`unfinished/${vmKey}`, encodeJson({ jobId: 'backup-9', recoveryPointId: 'r9' }))
    await stays()
  })
})
