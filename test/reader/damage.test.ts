import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { noKeys } from '../../shared/format/data-key.ts'
import { projectFolder } from '../support/documents.ts'
import { goldenKinds, loadGoldenVault } from '../support/golden-vault.ts'
import { seedOf } from '../support/seed-of.ts'
import { type SeededRandom, seededRandom } from '../support/seeded-random.ts'
import { vmKey } from '../support/vault-world.ts'
import { recordOf, sealRecord } from './support/objects.ts'
import { restoreOurs } from './support/our-reader.ts'
import { type ReaderBatch, readerIsMissing, startReaderBatch } from './support/python-reader.ts'

/** A check without keys finds every change of an object that a recovery point reaches. FUZZ_SEED replays. */
const seed = seedOf('FUZZ_SEED', 20_261_122)
const changesOfEach = 4
const missing = readerIsMissing()
if (missing !== null) console.warn(missing)

describe.skipIf(missing !== null)('a check by the second reader', () => {
  let batch: ReaderBatch
  beforeAll(() => {
    batch = startReaderBatch()
    console.log(`FUZZ_SEED=${seed}`)
  })
  afterAll(async () => {
    await batch.finish()
  })

  it('names the object of which a bit was flipped or an end was lost, and none that is whole', async () => {
    const random = seededRandom(seed)
    for (const kind of goldenKinds) {
      const folder = join(projectFolder, 'test/golden/vectors/v1', kind)
      batch.load(kind, folder)
      const check = (name: string, bytes: Buffer | null) =>
        batch.ask({ ...nothing, base: kind, objects: new Map([[name, bytes]]), check: true })
      const { vault } = await loadGoldenVault(folder)
      const reached = [...vault.objects].filter(([name]) => isReached(name))
      expect(reached.length).toBeGreaterThan(10)
      for (const [name, { bytes }] of reached)
        for (let change = 0; change < changesOfEach; change += 1) {
          const [what, changed] = damaged(random, Buffer.from(bytes))
          const told = `FUZZ_SEED=${seed} ${kind} ${what} of ${name}`
          const answer = await check(name, changed)
          const lines = answer.outcome === 'checked' ? answer.damaged : []
          expect(answer.outcome, told).toBe('checked')
          expect(lines.length, told).toBeGreaterThan(0)
          expect(
            lines.filter((line) => !line.startsWith(name)),
            told,
          ).toEqual([])
        }
      expect(await check('slices/none', null)).toMatchObject({ outcome: 'checked', damaged: [] })
    }
  })

  it('tells of a first revision that is damaged, which keeps no later one from being restored', async () => {
    const kind = 'raw'
    const folder = join(projectFolder, 'test/golden/vectors/v1', kind)
    batch.load(kind, folder)
    const { vault } = await loadGoldenVault(folder)
    const name = `recovery-points/${vmKey}/r3/0001.json`
    const of = { ...nothing, base: kind, recoveryPointId: 'r3' }
    const whole = await batch.ask({ ...of, objects: new Map() })
    const digest = whole.outcome === 'restored' ? whole.digest : expect.unreachable()
    const [, bytes] = damaged(seededRandom(1), Buffer.from(vault.objects.get(name)?.bytes ?? []))
    const restored = await batch.ask({ ...of, objects: new Map([[name, bytes]]) })
    expect(restored).toMatchObject({ outcome: 'restored', digest })
    const checked = await batch.ask({ ...of, objects: new Map([[name, bytes]]), check: true })
    expect(checked).toMatchObject({ outcome: 'checked', damaged: [expect.stringContaining(name)] })
  })

  it('passes over what lies under names that the format does not know', async () => {
    batch.load('raw', join(projectFolder, 'test/golden/vectors/v1/raw'))
    const names = ['keys/x/0001.json', `keys/${'0'.repeat(32)}/0001.json`, `recovery-points/${vmKey}/-r/0001.json`]
    names.push(`keys/${'0a'.repeat(16)}/0000.json`, `recovery-points/${vmKey}/r1/0000.json`)
    const objects = new Map(names.map((name) => [name, Buffer.from('x')]))
    const answer = await batch.ask({ ...nothing, base: 'raw', objects, check: true })
    expect(answer).toMatchObject({ outcome: 'checked', damaged: [] })
  })

  it('names a missing object by what needs it', async () => {
    const kind = 'encrypted'
    const folder = join(projectFolder, 'test/golden/vectors/v1', kind)
    batch.load(kind, folder)
    const { vault } = await loadGoldenVault(folder)
    const needed = [...vault.objects.keys()].filter((name) => /^(segments|layers)\//.test(name) && isReached(name))
    for (const name of needed) {
      const answer = await batch.ask({ ...nothing, base: kind, objects: new Map([[name, null]]), check: true })
      expect(answer).toMatchObject({
        outcome: 'checked',
        damaged: [`${name}: there is no such object [object-missing]`],
      })
    }
  })
})

describe.skipIf(missing !== null)('a record whose digest is right', () => {
  const breaks: readonly [string, (record: Record<string, unknown>) => unknown][] = [
    ['without the field previous', ({ previous: _, ...rest }) => rest],
    ['without the field keyId', ({ keyId: _, ...rest }) => rest],
    ['with true for its revision', (record) => ({ ...record, revision: true })],
    ['of another format', (record) => ({ ...record, format: 2 })],
  ]
  it.each(breaks)('is refused by both readers %s', async (_, change) => {
    const batch = startReaderBatch()
    const folder = join(projectFolder, 'test/golden/vectors/v1/raw')
    batch.load('raw', folder)
    const { vault } = await loadGoldenVault(folder)
    const name = `recovery-points/${vmKey}/r1/0001.json`
    const record = JSON.parse(recordOf(Buffer.from(vault.objects.get(name)?.bytes ?? [])))
    const bytes = sealRecord(JSON.stringify(change(record)))
    vault.objects.set(name, { bytes, etag: 'other' })
    const of = { vmKey, recoveryPointId: 'r1', disk: 'os' }
    expect(await restoreOurs(vault, async () => noKeys, of)).toMatchObject({ outcome: 'refused', name })
    const theirs = await batch.ask({ ...nothing, ...of, base: 'raw', objects: new Map([[name, bytes]]) })
    expect(theirs).toMatchObject({ outcome: 'refused', name })
    await batch.finish()
  })

  const misplaced: readonly [string, string, object][] = [
    ['an end in the place of the first revision', '0001', { expired: true, revision: 1 }],
    ['a fence in the place of a later one', '0002', { aborted: true, revision: 2 }],
  ]
  it.each(misplaced)('is malformed to both readers as %s', async (_, revision, said) => {
    const batch = startReaderBatch()
    const folder = join(projectFolder, 'test/golden/vectors/v1/raw')
    batch.load('raw', folder)
    const { vault } = await loadGoldenVault(folder)
    const of = { vmKey, recoveryPointId: 'r1', disk: 'os' }
    const name = `recovery-points/${vmKey}/r1/${revision}.json`
    const bytes = sealRecord(JSON.stringify({ format: 1, recoveryPointId: 'r1', vmKey, ...said }))
    vault.objects.set(name, { bytes, etag: 'other' })
    const refused = { outcome: 'refused', code: 'malformed', name }
    expect(await restoreOurs(vault, async () => noKeys, of)).toEqual(refused)
    const theirs = await batch.ask({ ...nothing, ...of, base: 'raw', objects: new Map([[name, bytes]]) })
    expect(theirs).toMatchObject(refused)
    await batch.finish()
  })
})

describe.skipIf(missing !== null)('a disk smaller than the one that its layers are of', () => {
  it('shows nothing behind its end, in both readers', async () => {
    const batch = startReaderBatch()
    const folder = join(projectFolder, 'test/golden/vectors/v1/raw')
    batch.load('raw', folder)
    const { vault } = await loadGoldenVault(folder)
    const name = `recovery-points/${vmKey}/r2/0001.json`
    for (const sizeBytes of [512 * 12, 512 * 204, 512 * 410]) {
      const record = JSON.parse(recordOf(Buffer.from(vault.objects.get(name)?.bytes ?? [])))
      record.disks[0].sizeBytes = sizeBytes
      const bytes = sealRecord(JSON.stringify(record))
      const of = { vmKey, recoveryPointId: 'r2', disk: 'os' }
      vault.objects.set(name, { bytes, etag: 'smaller' })
      const ours = await restoreOurs(vault, async () => noKeys, of)
      const theirs = await batch.ask({ ...nothing, ...of, base: 'raw', objects: new Map([[name, bytes]]) })
      expect(ours.outcome).toBe('restored')
      expect(theirs).toMatchObject(ours)
    }
    await batch.finish()
  })
})

const nothing = { vmKey, recoveryPointId: 'r1', disk: 'os', keyFile: null }

/** Slice indexes are not needed once a layer is sealed; the layer of `r3` was folded into another. */
const isReached = (name: string): boolean => !name.startsWith('slices/') && name !== 'layers/r3/os'

const damaged = (random: SeededRandom, bytes: Buffer): [string, Buffer] => {
  const at = random.below(bytes.length)
  if (random.below(4) === 0) return [`a cut at ${at}`, bytes.subarray(0, at)]
  const bit = random.below(8)
  bytes[at] = (bytes[at] ?? 0) ^ (1 << bit)
  return [`bit ${bit} of byte ${at}`, bytes]
}
