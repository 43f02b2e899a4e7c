import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { projectFolder } from '../support/documents.ts'
import { loadGoldenVault } from '../support/golden-vault.ts'
import { seedOf } from '../support/seed-of.ts'
import { seededRandom } from '../support/seeded-random.ts'
import { vmKey } from '../support/vault-world.ts'
import { type Changes, framesOf, recordOf, sealRecord } from './support/objects.ts'
import { type ReaderBatch, type ReaderFindings, readerIsMissing, startReaderBatch } from './support/python-reader.ts'

/** What a check says of damage is held against restores: it is needed where one of them is refused, and touches the disks that are. The golden
 * vault, as it is and with recovery points ended, so that frames are hidden. FUZZ_SEED replays. */
const seed = seedOf('FUZZ_SEED', 20_261_122)
const damages = Number(process.env.FUZZ_RUNS ?? (process.env.SOAK ? 2000 : 60))
const missing = readerIsMissing()
if (missing !== null) console.warn(missing)

const recordName = (point: string, revision: number): string => `recovery-points/${vmKey}/${point}/000${revision}.json`
const ended = (point: string, revision: number): [string, Buffer] => [
  recordName(point, revision),
  sealRecord(JSON.stringify({ format: 1, expired: true, recoveryPointId: point, revision, vmKey })),
]

interface World {
  readonly what: string
  readonly points: readonly string[]
  readonly changes: ReadonlyMap<string, Buffer | null>
  readonly hidesFrames: boolean
}

const unfolded = recordName('r3', 2)
const worlds: readonly World[] = [
  { what: 'all recovery points', points: ['r1', 'r2', 'r3'], changes: new Map(), hidesFrames: false },
  {
    what: 'one, on a folded layer',
    points: ['r3'],
    changes: new Map([ended('r1', 2), ended('r2', 2)]),
    hidesFrames: true,
  },
  {
    what: 'one, on layers of ended ones',
    points: ['r3'],
    changes: new Map<string, Buffer | null>([ended('r1', 2), ended('r2', 2), [unfolded, null]]),
    hidesFrames: true,
  },
  {
    what: 'the middle one',
    points: ['r2'],
    changes: new Map([ended('r1', 2), ended('r3', 3)]),
    hidesFrames: true,
  },
  {
    what: 'the first and the last',
    points: ['r1', 'r3'],
    changes: new Map<string, Buffer | null>([ended('r2', 2), [unfolded, null]]),
    hidesFrames: false,
  },
]

const folder = (kind: string): string => join(projectFolder, 'test/golden/vectors/v1', kind)

/** The first recovery point's disk is smaller than that of the last, which lies on its layer. */
const smallerFirst = (kind: string): World => {
  const record = JSON.parse(recordOf(readFileSync(join(folder(kind), 'vault', recordName('r1', 1)))))
  record.disks[0].sizeBytes = 512 * 12
  const smaller: [string, Buffer] = [recordName('r1', 1), sealRecord(JSON.stringify(record))]
  return {
    what: 'the first, of a smaller disk, and the last',
    points: ['r1', 'r3'],
    changes: new Map<string, Buffer | null>([smaller, ended('r2', 2), [unfolded, null]]),
    hidesFrames: true,
  }
}

describe.skipIf(missing !== null)('damage and what restores need', () => {
  let batch: ReaderBatch
  beforeAll(() => {
    batch = startReaderBatch()
    console.log(`FUZZ_SEED=${seed}`)
  })
  afterAll(async () => {
    await batch.finish()
  })

  /** What a check says, and which disks no restore can show. */
  const ask = async (kind: string, world: World, changes: Changes) => {
    const keyFile = kind === 'encrypted' ? join(folder(kind), 'key-file.txt') : null
    const of = { base: kind, vmKey, keyFile, objects: new Map([...world.changes, ...changes]) }
    const found = await batch.ask({ ...of, recoveryPointId: '', disk: '', check: true })
    const refused: string[] = []
    for (const recoveryPointId of world.points)
      for (const disk of ['os', 'lun-0']) {
        const answer = await batch.ask({ ...of, recoveryPointId, disk })
        if (answer.outcome !== 'restored') refused.push(`${vmKey} ${recoveryPointId} ${disk}`)
      }
    return { found: found.outcome === 'checked' ? found : expect.unreachable(JSON.stringify(found)), refused }
  }

  /** A recovery point whose record is damaged is touched as a whole. */
  const disksOf = ({ touched }: ReaderFindings): readonly string[] =>
    touched
      .map((what) => what.replace(/, not opened$/, ''))
      .flatMap((what) => (what.split(' ').length === 3 ? [what] : [`${what} os`, `${what} lun-0`]))

  for (const kind of ['raw', 'encrypted'] as const)
    it.each([...worlds, smallerFirst(kind)])(`are held against each other: ${kind}, $what`, async (world) => {
      batch.load(kind, folder(kind))
      const { vault } = await loadGoldenVault(folder(kind))
      const objects = [...vault.objects].filter(
        ([name]) => !world.changes.has(name) && !name.startsWith('slices/') && !isOfEnded(world, name),
      )
      const whole = await ask(kind, world, new Map())
      expect(whole).toMatchObject({ found: { damaged: [], needed: [], touched: [] }, refused: [] })
      expect(whole.found.framesNeeded < whole.found.frames).toBe(world.hidesFrames)
      const judge = async (name: string, bytes: Buffer | null, what: string): Promise<boolean> => {
        const { found, refused } = await ask(kind, world, new Map([[name, bytes]]))
        const told = `FUZZ_SEED=${seed} ${kind} ${world.what}: ${what} of ${name}: ${found.damaged.join('; ')}`
        expect(disksOf(found), told).toEqual(refused)
        expect(found.needed.length > 0, told).toBe(refused.length > 0)
        return refused.length > 0
      }
      let needed = 0
      for (const [name, { bytes }] of objects.filter(([name]) => name.startsWith('segments/')))
        for (const { place, storedLength } of framesOfSegment(Buffer.from(bytes)))
          if (await judge(name, flipped(Buffer.from(bytes), place + storedLength - 1, 0), `the frame at ${place}`))
            needed += 1
      expect(needed).toBe(whole.found.framesNeeded)
      const random = seededRandom(seed)
      for (let count = 0; count < damages; count += 1) {
        const [name, { bytes }] = objects[random.below(objects.length)] ?? expect.unreachable()
        const at = random.below(bytes.length)
        const way = random.below(6)
        if (way === 0 && isNamed(name)) await judge(name, null, 'the loss')
        else if (way === 1) await judge(name, Buffer.from(bytes).subarray(0, at), `a cut at ${at}`)
        else await judge(name, flipped(Buffer.from(bytes), at, way), `a bit of byte ${at}`)
      }
    })
})

/** By another object: revisions of records and keys are found by a listing, and one that is lost was never there. */
const isNamed = (name: string): boolean => /^(segments|layers|sidecars)\//.test(name)

/** Whether a record that is damaged was that of an ended recovery point cannot be known. */
const isOfEnded = ({ points }: World, name: string): boolean =>
  name.startsWith('recovery-points/') && !points.includes(name.split('/')[2] ?? '')

/** The frames of its directory. */
const framesOfSegment = (segment: Buffer) => framesOf(segment, segment.readUInt32LE(segment.length - 68 + 16))

const flipped = (bytes: Buffer, at: number, bit: number): Buffer => {
  bytes.writeUInt8((bytes[at] ?? 0) ^ (1 << bit), at)
  return bytes
}
