import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { digestHex } from '../../shared/format/digest.ts'
import { applyWrites, type DiskWrite } from './disk-history.ts'
import { createMemoryBlobStore, type MemoryBlobStore } from './memory-blob-store.ts'
import { seededRandom } from './seeded-random.ts'
import { backUp } from './vault-world.ts'
import { virtualClock } from './virtual-clock.ts'

/** The vaults whose bytes are kept for ever: `raw` holds bytes that do not compress, so all of its objects come out the same whatever
 * zstd does; `zstd` is only ever read, as another zstd may compress differently. */
export type GoldenKind = 'raw' | 'zstd'

export interface GoldenVault {
  readonly vault: MemoryBlobStore
  readonly control: MemoryBlobStore
  /** SHA-256 of the whole disk at each recovery point. */
  readonly images: Readonly<Record<string, string>>
}

const diskBytes = 256 * 1024

/** A full and an increment of one disk: two slices each, several frames, zero pages, a cleared range, a range of one sector. */
export const makeGoldenVault = async (kind: GoldenKind): Promise<GoldenVault> => {
  const random = seededRandom(2026)
  const bytesOf = (count: number): Buffer =>
    kind === 'raw' ? random.bytes(count) : Buffer.alloc(count, `page ${random.below(1000)} `)
  const data = (sector: number, sectors: number): DiskWrite => ({
    kind: 'data',
    offsetBytes: sector * 512,
    bytes: bytesOf(sectors * 512),
  })
  const stores = { vault: createMemoryBlobStore(), control: createMemoryBlobStore(), clock: virtualClock() }
  const limits = { rangesPerSlice: 3, tuning: { frameCapacityBytes: 8192, segmentBytes: 20_000, shardFramesMax: 2 } }
  const full = applyWrites(Buffer.alloc(diskBytes), [
    data(0, 40),
    { kind: 'data', offsetBytes: 64 * 512, bytes: Buffer.alloc(8192) },
    data(80, 8),
    data(200, 1),
    data(300, 16),
  ])
  const base = await backUp(stores, { recoveryPointId: 'r1', base: null, disks: [{ disk: 'os', ...full }], ...limits })
  const later = applyWrites(full.bytes, [
    data(8, 8),
    { kind: 'clear', offsetBytes: 16 * 512, lengthBytes: 8192 },
    data(203, 1),
    data(400, 24),
  ])
  await backUp(stores, { recoveryPointId: 'r2', base, disks: [{ disk: 'os', ...later }], ...limits })
  const { vault, control } = stores
  return { vault, control, images: { r1: digestHex(full.bytes), r2: digestHex(later.bytes) } }
}

/** Writes the vault's objects as files; never over a file that exists. */
export const saveGoldenVault = async (folder: string, golden: GoldenVault): Promise<void> => {
  const save = async (path: string, bytes: Uint8Array): Promise<void> => {
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, bytes, { flag: 'wx' })
  }
  for (const [container, store] of [['vault', golden.vault] as const, ['control', golden.control] as const])
    for (const [name, { bytes }] of store.objects) await save(join(folder, container, name), bytes)
  await save(join(folder, 'images.json'), Buffer.from(`${JSON.stringify(golden.images, null, 2)}\n`))
}

export const loadGoldenVault = async (folder: string): Promise<GoldenVault> => {
  const load = async (container: string): Promise<MemoryBlobStore> => {
    const store = createMemoryBlobStore()
    const root = join(folder, container)
    for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue
      const path = join(entry.parentPath, entry.name)
      const name = path.slice(root.length + 1).replaceAll('\\', '/')
      store.objects.set(name, { bytes: await readFile(path), etag: 'golden' })
    }
    return store
  }
  const images = JSON.parse(await readFile(join(folder, 'images.json'), 'utf8'))
  return { vault: await load('vault'), control: await load('control'), images }
}
