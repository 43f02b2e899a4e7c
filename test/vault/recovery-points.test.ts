import { describe, expect, it } from 'vitest'
import type { RecoveryPoint } from '../../shared/domain/recovery-point.ts'
import { digestHex } from '../../shared/format/digest.ts'
import { encodeSealedJson } from '../../shared/format/sealed-json.ts'
import { commitRecoveryPoint } from '../../shared/vault/commit-recovery-point.ts'
import { dropIntent, writeIntent } from '../../shared/vault/intents.ts'
import { latestRecoveryPoint, listRecoveryPoints, readRecoveryPoint } from '../../shared/vault/recovery-points.ts'
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

  it.each([
    ['of another version', { format: 2 }, 'unsupported-version'],
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
    const stack = [{ layerId, lengthBytes: 1, footerBytes: 1, digest: '0'.repeat(64) }]
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
