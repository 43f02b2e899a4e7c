import { describe, expect, it } from 'vitest'
import type { RecoveryPoint } from '../../shared/domain/recovery-point.ts'
import { digestHex } from '../../shared/format/digest.ts'
import { encodeSealedJson } from '../../shared/format/sealed-json.ts'
import { commitRecoveryPoint } from '../../shared/vault/commit-recovery-point.ts'
import { dropIntent, writeIntent } from '../../shared/vault/intents.ts'
import { merkleRootOf } from '../../shared/vault/recovery-point-schema.ts'
import {
  latestRecoveryPoint,
  listLiveRecoveryPoints,
  listRecoveryPoints,
  readRecoveryPoint,
} from '../../shared/vault/recovery-points.ts'
import { createMemoryBlobStore } from '../support/memory-blob-store.ts'
import { backUp, vmKey } from '../support/vault-world.ts'
import { virtualClock } from '../support/virtual-clock.ts'

const nameOf = (recoveryPointId: string, revision = 1): string =>
  `recovery-points/${vmKey}/${recoveryPointId}/000${revision}.json`

const worldWith = async (...ids: string[]) => {
  const stores = { vault: createMemoryBlobStore(), control: createMemoryBlobStore(), clock: virtualClock() }
  const made: RecoveryPoint[] = []
  for (const recoveryPointId of ids)
    made.push(
      await backUp(stores, {
        recoveryPointId,
        base: null,
        disks: [{ disk: 'os', bytes: Buffer.alloc(4096), ranges: [] }],
      }),
    )
  return { ...stores, made }
}
const draftOf = ({ format: _f, revision: _r, merkleRoot: _m, ...draft }: RecoveryPoint) => draft
const put = (world: { vault: ReturnType<typeof createMemoryBlobStore> }, name: string, record: unknown): void => {
  world.vault.objects.set(name, { bytes: encodeSealedJson(record), etag: 'put' })
}

const expiredRecord = (recoveryPointId: string, revision: number) => ({
  format: 1,
  expired: true,
  recoveryPointId,
  revision,
  vmKey,
})
const liveIds = async (vault: ReturnType<typeof createMemoryBlobStore>): Promise<string[]> => {
  const ids: string[] = []
  for await (const { recoveryPoint } of listLiveRecoveryPoints(vault, vmKey)) ids.push(recoveryPoint.recoveryPointId)
  return ids
}

describe('a commit record', () => {
  it('is the same for twins that commit at the same moment', async () => {
    const world = await worldWith('r1')
    const draft = { ...draftOf(world.made[0] as RecoveryPoint), recoveryPointId: 'r2' }
    const commits = await Promise.all(
      ['first', 'second', 'third'].map((jobId) => commitRecoveryPoint(world, { ...draft, jobId })),
    )
    expect(commits[1]).toEqual(commits[0])
    expect(commits[2]).toEqual(commits[0])
  })

  it('that was damaged since refuses a twin of its commit by its name, and stays as it is', async () => {
    const world = await worldWith('r1')
    const name = nameOf('r1')
    const { bytes = expect.unreachable(), etag = '' } = world.vault.objects.get(name) ?? {}
    const damaged = Buffer.from(bytes)
    damaged[90]! ^= 1
    world.vault.objects.set(name, { bytes: damaged, etag })
    const other = { vault: world.vault.reopen() }
    const again = commitRecoveryPoint(other, draftOf(world.made[0] as RecoveryPoint))
    await expect(again).rejects.toMatchObject({ fault: { name } })
    expect(world.vault.objects.get(name)?.bytes).toEqual(damaged)
  })

  it('chains to the bytes of the record before it', async () => {
    const world = await worldWith('r1', 'r2')
    const bytes = world.vault.objects.get(nameOf('r1'))?.bytes ?? Buffer.alloc(0)
    expect(world.made[0]?.previous).toBeNull()
    expect(world.made[1]?.previous).toEqual({ recoveryPointId: 'r1', digest: digestHex(bytes) })
  })

  it('cannot be made once the recovery point was fenced off, and a fence is no recovery point', async () => {
    const world = await worldWith('r1')
    put(world, nameOf('r2'), { format: 1, aborted: true, recoveryPointId: 'r2', revision: 1, vmKey })
    const draft = { ...draftOf(world.made[0] as RecoveryPoint), recoveryPointId: 'r2' }
    expect(await commitRecoveryPoint(world, draft)).toEqual({ kind: 'aborted' })
    expect(await readRecoveryPoint(world.vault, { vmKey, recoveryPointId: 'r2' })).toBeNull()
    expect((await latestRecoveryPoint(world.vault, vmKey))?.recoveryPoint.recoveryPointId).toBe('r1')
  })

  it('is read in its newest revision, with the digest of its first', async () => {
    const world = await worldWith('r1')
    const first = await latestRecoveryPoint(world.vault, vmKey)
    put(world, nameOf('r1', 2), { ...world.made[0], revision: 2 })
    const second = await latestRecoveryPoint(world.vault, vmKey)
    expect(second).toEqual({ recoveryPoint: { ...world.made[0], revision: 2 }, digest: first?.digest })
    const listed: unknown[] = []
    for await (const entry of listRecoveryPoints(world.vault, vmKey)) listed.push(entry)
    expect(listed).toEqual([{ recoveryPointId: 'r1', revision: 2 }])
  })

  it('that expires the recovery point makes it read as absent and leaves the others', async () => {
    const world = await worldWith('r1', 'r2')
    put(world, nameOf('r2', 2), expiredRecord('r2', 2))
    expect(await readRecoveryPoint(world.vault, { vmKey, recoveryPointId: 'r2' })).toBeNull()
    expect((await latestRecoveryPoint(world.vault, vmKey))?.recoveryPoint.recoveryPointId).toBe('r1')
    expect(await liveIds(world.vault)).toEqual(['r1'])
    const listed: unknown[] = []
    for await (const entry of listRecoveryPoints(world.vault, vmKey)) listed.push(entry)
    expect(listed).toEqual([
      { recoveryPointId: 'r1', revision: 1 },
      { recoveryPointId: 'r2', revision: 2 },
    ])
  })

  it('stays absent while the revisions of an expired recovery point are removed one by one, first ones first', async () => {
    const world = await worldWith('r1')
    put(world, nameOf('r1', 2), { ...world.made[0], revision: 2 })
    put(world, nameOf('r1', 3), expiredRecord('r1', 3))
    for (const revision of [1, 2, 3]) {
      world.vault.objects.delete(nameOf('r1', revision))
      expect(await readRecoveryPoint(world.vault, { vmKey, recoveryPointId: 'r1' })).toBeNull()
      expect(await liveIds(world.vault)).toEqual([])
    }
  })

  it('is read in its newest revision where the first one is damaged; the chain goes on without its digest', async () => {
    const world = await worldWith('r1')
    put(world, nameOf('r1', 2), { ...world.made[0], revision: 2 })
    const bytes = Buffer.from(world.vault.objects.get(nameOf('r1'))?.bytes ?? [])
    bytes[200] = (bytes[200] ?? 0) ^ 1
    world.vault.objects.set(nameOf('r1'), { bytes, etag: 'damaged' })
    const found = await readRecoveryPoint(world.vault, { vmKey, recoveryPointId: 'r1' })
    expect(found).toEqual({ recoveryPoint: { ...world.made[0], revision: 2 }, digest: null })
    expect(await liveIds(world.vault)).toEqual(['r1'])
    const disks = [{ disk: 'os', bytes: Buffer.alloc(4096), ranges: [] }]
    const next = await backUp(world, { recoveryPointId: 'r2', base: null, disks })
    expect(next.previous).toEqual({ recoveryPointId: 'r1', digest: null })
    expect((await readRecoveryPoint(world.vault, { vmKey, recoveryPointId: 'r2' }))?.recoveryPoint).toEqual(next)
  })

  it('that is damaged in its newest revision is refused, whatever the first one says', async () => {
    const world = await worldWith('r1')
    world.vault.objects.set(nameOf('r1', 2), { bytes: Buffer.from('{}'), etag: 'damaged' })
    await expect(readRecoveryPoint(world.vault, { vmKey, recoveryPointId: 'r1' })).rejects.toMatchObject({
      fault: { code: 'malformed', name: nameOf('r1', 2) },
    })
  })

  it('is read in its newest revision where revisions between are gone', async () => {
    const world = await worldWith('r1')
    put(world, nameOf('r1', 4), { ...world.made[0], revision: 4 })
    const found = await readRecoveryPoint(world.vault, { vmKey, recoveryPointId: 'r1' })
    expect(found?.recoveryPoint.revision).toBe(4)
  })

  it('is restored by a later revision where its first one was lost', async () => {
    const world = await worldWith('r1')
    put(world, nameOf('r1', 2), { ...world.made[0], revision: 2 })
    world.vault.objects.delete(nameOf('r1', 1))
    const found = await readRecoveryPoint(world.vault, { vmKey, recoveryPointId: 'r1' })
    expect(found).toMatchObject({ recoveryPoint: { revision: 2 }, digest: null })
  })

  it('has ended where its first revision went between two looks as its end was collected', async () => {
    const world = await worldWith('r1')
    put(world, nameOf('r1', 2), { ...world.made[0], revision: 2 })
    world.vault.fault = ({ operation, name }) => {
      if (operation !== 'read' || name !== nameOf('r1', 1)) return null
      put(world, nameOf('r1', 3), expiredRecord('r1', 3))
      world.vault.objects.delete(nameOf('r1', 1))
      return null
    }
    expect(await readRecoveryPoint(world.vault, { vmKey, recoveryPointId: 'r1' })).toBeNull()
  })

  it('is refused where a fence was revised, where one is no first revision, and where the end is the first', async () => {
    const world = await worldWith('r1')
    put(world, nameOf('r2'), { format: 1, aborted: true, recoveryPointId: 'r2', revision: 1, vmKey })
    put(world, nameOf('r2', 2), { ...world.made[0], recoveryPointId: 'r2', revision: 2 })
    put(world, nameOf('r3', 2), { format: 1, aborted: true, recoveryPointId: 'r3', revision: 2, vmKey })
    put(world, nameOf('r4'), expiredRecord('r4', 1))
    for (const recoveryPointId of ['r2', 'r3', 'r4'])
      await expect(readRecoveryPoint(world.vault, { vmKey, recoveryPointId })).rejects.toMatchObject({
        fault: { code: 'malformed' },
      })
  })

  it('is read with a listing and the records that are needed, however many revisions there are', async () => {
    const world = await worldWith('r1')
    const callsFor = async (): Promise<number> => {
      const vault = world.vault.reopen()
      await readRecoveryPoint(vault, { vmKey, recoveryPointId: 'r1' })
      return vault.calls.filter(({ operation }) => operation === 'read').length
    }
    expect(await callsFor()).toBe(1)
    for (const revision of [2, 3, 4, 5]) put(world, nameOf('r1', revision), { ...world.made[0], revision })
    expect(await callsFor()).toBe(2)
  })

  it('has the digests of sidecars under its Merkle root', async () => {
    const world = await worldWith('r1')
    const [disk] = world.made[0]?.disks ?? expect.unreachable()
    const layer = { layerId: 'r1/os', lengthBytes: 200, footerBytes: 164, digest: '1'.repeat(64) }
    const sidecar = { sidecarId: 'r1/os', lengthBytes: 200, footerBytes: 164, digest: '2'.repeat(64) }
    const disks = [{ ...disk, stack: [layer], sidecar }] as RecoveryPoint['disks']
    const root = digestHex(Buffer.from('1'.repeat(64) + '2'.repeat(64), 'hex'))
    expect(merkleRootOf(disks)).toBe(root)
    put(world, nameOf('r1'), { ...world.made[0], disks, merkleRoot: root })
    expect((await latestRecoveryPoint(world.vault, vmKey))?.recoveryPoint.disks).toEqual(disks)
    const forged = [{ ...disk, stack: [layer], sidecar: { ...sidecar, digest: '3'.repeat(64) } }]
    put(world, nameOf('r1'), { ...world.made[0], disks: forged, merkleRoot: root })
    await expect(latestRecoveryPoint(world.vault, vmKey)).rejects.toMatchObject({ fault: { code: 'digest-mismatch' } })
  })

  it('is not made on a layer that is gone or is another one', async () => {
    const world = await worldWith()
    const bytes = Buffer.alloc(8192, 'data')
    const ranges = [{ offsetBytes: 0, lengthBytes: 8192, kind: 'data' as const }]
    const disks = [{ disk: 'os', bytes, ranges }]
    const base = await backUp(world, { recoveryPointId: 'r1', base: null, disks })
    const layer = world.vault.objects.get('layers/r1/os') ?? expect.unreachable()
    const next = { recoveryPointId: 'r2', base, disks }
    world.vault.objects.delete('layers/r1/os')
    await expect(backUp(world, next)).rejects.toMatchObject({ fault: { code: 'object-missing', name: 'layers/r1/os' } })
    expect(world.vault.objects.has(nameOf('r2'))).toBe(false)
    const other = Buffer.from(layer.bytes)
    other[other.length - 44] = (other[other.length - 44] ?? 0) ^ 1
    world.vault.objects.set('layers/r1/os', { bytes: other, etag: 'put' })
    await expect(backUp(world, next)).rejects.toMatchObject({
      fault: { code: 'digest-mismatch', name: 'layers/r1/os' },
    })
    world.vault.objects.set('layers/r1/os', layer)
    const committed = await backUp(world, next)
    expect(committed.disks[0]?.stack).toHaveLength(2)
    world.vault.objects.delete('layers/r1/os')
    expect(await commitRecoveryPoint(world, draftOf(committed))).toMatchObject({ kind: 'committed' })
    put(world, nameOf('r3'), { format: 1, aborted: true, recoveryPointId: 'r3', revision: 1, vmKey })
    const late = { ...draftOf(committed), recoveryPointId: 'r3' }
    expect(await commitRecoveryPoint(world, late)).toEqual({ kind: 'aborted' })
  })

  it.each([
    ['of another version', { format: 2 }, 'unsupported-version'],
    ['of version 0', { format: 0 }, 'unsupported-version'],
    ['of another recovery point', { recoveryPointId: 'r9' }, 'wrong-birth'],
    ['of another VM', { vmKey: 'other' }, 'wrong-birth'],
    ['of another revision', { revision: 2 }, 'wrong-birth'],
    ['without its disks', { disks: undefined }, 'malformed'],
    ['with a negative size', { disks: [{ sizeBytes: -1 }] }, 'malformed'],
    ['with a Merkle root that is none', { merkleRoot: 'abc' }, 'malformed'],
    ['with another Merkle root', { merkleRoot: '0'.repeat(64) }, 'digest-mismatch'],
  ])('is refused when it is %s', async (_, change, code) => {
    const world = await worldWith('r1')
    put(world, nameOf('r1'), { ...world.made[0], ...change })
    const refused = readRecoveryPoint(world.vault, { vmKey, recoveryPointId: 'r1' })
    await expect(refused).rejects.toMatchObject({ name: 'VaultError', fault: { code, name: nameOf('r1') } })
  })

  it.each(['../os', 'r1/..', 'r1', 'r1/os/x', 'R1/os'])('is refused when it names the layer %s', async (layerId) => {
    const world = await worldWith('r1')
    const [disk] = world.made[0]?.disks ?? []
    const stack = [{ layerId, lengthBytes: 200, footerBytes: 164, digest: '0'.repeat(64) }]
    put(world, nameOf('r1'), { ...world.made[0], disks: [{ ...disk, stack }] })
    await expect(latestRecoveryPoint(world.vault, vmKey)).rejects.toMatchObject({
      fault: { code: 'malformed', detail: expect.stringContaining('layer id') },
    })
  })

  it('is refused when it is no record at all', async () => {
    for (const text of ['', '{}', 'null', '{"sha256":"']) {
      const world = await worldWith('r1')
      world.vault.objects.set(nameOf('r1'), { bytes: Buffer.from(text), etag: 'put' })
      await expect(latestRecoveryPoint(world.vault, vmKey)).rejects.toMatchObject({ fault: { code: 'malformed' } })
    }
  })

  it('is not there for a VM that has none', async () => {
    const world = await worldWith()
    expect(await latestRecoveryPoint(world.vault, vmKey)).toBeNull()
    expect(await readRecoveryPoint(world.vault, { vmKey, recoveryPointId: 'r1' })).toBeNull()
  })
})

describe('an intent', () => {
  it('is there while a backup runs and gone after its commit', async () => {
    const control = createMemoryBlobStore()
    const intent = { kind: 'backup' as const, id: 'r1', vmKey, dependsOn: ['r0'] }
    await writeIntent(control, intent)
    await writeIntent(control, intent)
    expect([...control.objects.keys()]).toEqual(['intents/r1.json'])
    await dropIntent(control, 'r1')
    await dropIntent(control, 'r1')
    expect(control.objects.size).toBe(0)
  })
})
