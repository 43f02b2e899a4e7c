import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { CommittedDisk, RecoveryPoint } from '../../shared/domain/recovery-point.ts'
import type { DataKey } from '../../shared/format/data-key.ts'
import type { FrameEncoding } from '../../shared/format/frame.ts'
import { recoveryPointName } from '../../shared/format/names.ts'
import { encodeSealedJson } from '../../shared/format/sealed-json.ts'
import { foldLayers } from '../../shared/vault/fold-layers.ts'
import { merkleRootOf } from '../../shared/vault/recovery-point-schema.ts'
import { applyWrites, randomWrites } from '../support/disk-history.ts'
import { createMemoryBlobStore, type MemoryBlobStore } from '../support/memory-blob-store.ts'
import { seedOf } from '../support/seed-of.ts'
import { type SeededRandom, seededRandom } from '../support/seeded-random.ts'
import { addSidecar } from '../support/sidecar-read-back.ts'
import { backUp, mib, type Stores, vmKey } from '../support/vault-world.ts'
import { virtualClock } from '../support/virtual-clock.ts'
import { readerIsMissing, runReader } from './support/python-reader.ts'

/** Vaults that the app writes, of random disks with random writes; the seed is printed, READER_SEED replays it. */
const seed = seedOf('READER_SEED', 20_261_122)
const points = 4
const missing = readerIsMissing()
if (missing !== null) console.warn(missing)

describe.skipIf(missing !== null)('the second reader on vaults that the app just wrote', () => {
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'reader-'))
    console.log(`READER_SEED=${seed}`)
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  it.each(['zstd', 'none', 'encrypted'] as const)('reads what is stored as %s', async (kind) => {
    const random = seededRandom(seed)
    const key = { keyId: 'c5'.repeat(16), bytes: random.bytes(32) }
    const encoding: FrameEncoding = {
      compression: kind === 'none' ? 'none' : 'zstd',
      key: kind === 'encrypted' ? key : null,
    }
    const { vault, images } = await history(random, encoding)
    const place = join(folder, kind)
    await save(vault, place)
    const keyFile = join(folder, `${kind}-key`)
    await writeFile(keyFile, `${key.bytes.toString('hex')}\n`)
    const keys = kind === 'encrypted' ? ['--data-key-file', keyFile] : []

    const checked = await runReader(['check', place, ...keys])
    /** The history has no object of its data key, which is handed in. */
    const lost =
      kind === 'encrypted' ? [expect.stringContaining(`damaged: keys/${key.keyId}: the vault has no such key`)] : []
    expect(checked.complaints.filter((line) => !line.includes('touched: '))).toEqual(lost)
    expect(checked.output).toMatch(
      new RegExp(
        `^${points} recovery points, .* 0 proven by digest alone; ${lost.length} places damaged that .*, 0 that none needs\n$`,
      ),
    )
    for (const [name, bytes] of images) {
      const [point = '', disk = ''] = name.split('/')
      const target = join(folder, `${kind}-${point}-${disk}`)
      const run = await runReader(['restore', place, vmKey, point, disk, '--to', target, ...keys])
      expect(run, name).toEqual({ code: 0, output: '', complaints: [] })
      expect((await readFile(target)).equals(bytes), `${kind} ${name}`).toBe(true)
    }
  })
})

interface History {
  readonly vault: MemoryBlobStore
  /** By recovery point and disk. */
  readonly images: ReadonlyMap<string, Buffer>
}

/** Three disks, one of which grows and one of which is only ever cleared; the second recovery point is then re-pointed to a folded layer, and has a sidecar. */
const history = async (random: SeededRandom, encoding: FrameEncoding): Promise<History> => {
  const stores = { vault: createMemoryBlobStore(), control: createMemoryBlobStore(), clock: virtualClock() }
  const images = new Map<string, Buffer>()
  const made: RecoveryPoint[] = []
  const cleared = Buffer.alloc(65_536)
  const clearing = { offsetBytes: 4096, lengthBytes: 8192, kind: 'clear' as const }
  let os: Buffer = Buffer.alloc(5 * mib)
  let data: Buffer = Buffer.alloc(mib)
  const tuning = { frameCapacityBytes: 65_536, segmentBytes: 300_000, shardFramesMax: 5 }
  for (let number = 1; number <= points; number += 1) {
    const recoveryPointId = `p${number}`
    const osNext = applyWrites(os, randomWrites(random, os.length, 60))
    const dataNext = applyWrites(data, randomWrites(random, data.length, 10), data.length + (number === 3 ? mib : 0))
    os = osNext.bytes
    data = dataNext.bytes
    const disks = [
      { disk: 'os', ...osNext },
      { disk: 'lun-3', ...dataNext },
      { disk: 'lun-5', bytes: cleared, ranges: number % 2 === 0 ? [clearing] : [] },
    ]
    const base = made.at(-1) ?? null
    made.push(await backUp(stores, { recoveryPointId, base, disks, tuning, encoding }))
    images
      .set(`${recoveryPointId}/os`, os)
      .set(`${recoveryPointId}/lun-3`, data)
      .set(`${recoveryPointId}/lun-5`, cleared)
  }
  await repoint(stores, made[1] as RecoveryPoint, encoding.key)
  return { vault: stores.vault, images }
}

const repoint = async ({ vault }: Stores, point: RecoveryPoint, key: DataKey | null): Promise<void> => {
  const disks: CommittedDisk[] = []
  for (const disk of point.disks) {
    if (disk.stack.length < 2) {
      disks.push(disk)
      continue
    }
    const request = { id: 'fold-0123456789', disk: disk.disk, layers: disk.stack, isLowest: true }
    const layer = await foldLayers(vault, request)
    const of = { recoveryPointId: point.recoveryPointId, disk: disk.disk }
    const sidecar = await addSidecar(vault, of, { layer, sizeBytes: disk.sizeBytes, key })
    disks.push({ ...disk, stack: [layer], sidecar })
  }
  expect(disks.filter(({ sidecar }) => sidecar !== null)).toHaveLength(2)
  const record = { ...point, revision: 2, disks, merkleRoot: merkleRootOf(disks) }
  await vault.create(recoveryPointName(vmKey, point.recoveryPointId, 2), [encodeSealedJson(record)])
}

const save = async (vault: MemoryBlobStore, folder: string): Promise<void> => {
  for (const [name, { bytes }] of vault.objects) {
    const path = join(folder, name)
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, bytes)
  }
}
