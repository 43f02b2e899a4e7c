import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { RecoveryPoint } from '../../shared/domain/recovery-point.ts'
import type { DataKey, KeyRing } from '../../shared/format/data-key.ts'
import { digestHex } from '../../shared/format/digest.ts'
import { recoveryPointName } from '../../shared/format/names.ts'
import { encodeSealedJson } from '../../shared/format/sealed-json.ts'
import { parseVaultName } from '../../shared/format/vault-name.ts'
import { merkleRootOf } from '../../shared/vault/recovery-point-schema.ts'
import { readRecoveryPoint } from '../../shared/vault/recovery-points.ts'
import { applyWrites, type DiskWrite } from './disk-history.ts'
import { foldStack } from './fold-stack.ts'
import { goldenKeyRecords, goldenKeys, wrappingKeyText } from './golden-keys.ts'
import { createMemoryBlobStore, type MemoryBlobStore } from './memory-blob-store.ts'
import { seededRandom } from './seeded-random.ts'
import { backUp, type DiskAtBackup, type Stores, vmKey } from './vault-world.ts'
import { virtualClock } from './virtual-clock.ts'

/** The vaults whose bytes are kept for ever. `raw` and `encrypted` hold bytes that do not compress, so all of their objects come out the
 * same whatever zstd does; the others are only ever read, as another zstd may compress differently. */
export const goldenKinds = ['raw', 'zstd', 'encrypted', 'encrypted-zstd'] as const
export type GoldenKind = (typeof goldenKinds)[number]

export interface GoldenVault {
  readonly vault: MemoryBlobStore
  readonly control: MemoryBlobStore
  /** SHA-256 of each whole disk at each recovery point that can be restored. */
  readonly images: Readonly<Record<string, Readonly<Record<string, string>>>>
}

const limits = { rangesPerSlice: 3, tuning: { frameCapacityBytes: 8192, segmentBytes: 20_000, shardFramesMax: 2 } }

/** What happens to the VM, told in test/golden/vectors/README.md. */
export const makeGoldenVault = async (kind: GoldenKind): Promise<GoldenVault> => {
  const random = seededRandom(2026)
  const data = (sector: number, sectors: number): DiskWrite => {
    const count = sectors * 512
    const isText = kind === 'zstd' || kind === 'encrypted-zstd'
    const bytes = isText ? Buffer.alloc(count, `page ${random.below(1000)} `) : random.bytes(count)
    return { kind: 'data', offsetBytes: sector * 512, bytes }
  }
  const clear = (sector: number, sectors: number): DiskWrite => ({
    kind: 'clear',
    offsetBytes: sector * 512,
    lengthBytes: sectors * 512,
  })
  const stores = { vault: createMemoryBlobStore(), control: createMemoryBlobStore(), clock: virtualClock() }
  const step = backUpSteps(stores, kind)
  const zeroed: DiskWrite = { kind: 'data', offsetBytes: 64 * 512, bytes: Buffer.alloc(8192) }
  const empty = { os: Buffer.alloc(256 * 1024), 'lun-0': Buffer.alloc(64 * 1024) }
  const full = await step('r1', null, empty, {
    os: [data(0, 40), zeroed, data(80, 8), data(200, 1), data(300, 16)],
    'lun-0': [data(10, 3)],
  })
  const second = await step('r2', full.recoveryPoint, full.disks, {
    os: [data(8, 8), clear(16, 16), data(203, 1), data(400, 24)],
    'lun-0': [],
  })
  const third = await step('r3', second.recoveryPoint, second.disks, {
    os: [data(10, 2), data(30, 4), data(411, 1)],
    'lun-0': [clear(8, 8), data(100, 28)],
  })
  const fourth = await step('r4', third.recoveryPoint, third.disks, { os: [data(500, 8)], 'lun-0': [] })
  await repoint(stores.vault, third.recoveryPoint.recoveryPointId)
  await expire(stores, fourth.recoveryPoint)
  if (isEncrypted(kind)) for (const [name, bytes] of goldenKeyRecords()) await stores.vault.create(name, [bytes])
  const images = { r1: digestsOf(full.disks), r2: digestsOf(second.disks), r3: digestsOf(third.disks) }
  return { vault: stores.vault, control: stores.control, images }
}

interface Disks {
  readonly os: Buffer
  readonly 'lun-0': Buffer
}

const isEncrypted = (kind: GoldenKind): boolean => kind === 'encrypted' || kind === 'encrypted-zstd'

/** One backup of both disks after some writes. Where there are keys, the first recovery point is under another one than the rest. */
const backUpSteps = (stores: Stores, kind: GoldenKind) => {
  let drawn = 0
  const drawNonce = (): Buffer => {
    drawn += 1
    return Buffer.alloc(8, drawn)
  }
  const encodingOf = (key: DataKey) =>
    isEncrypted(kind) ? { encoding: { compression: 'zstd' as const, key }, drawNonce } : {}
  return async (
    recoveryPointId: string,
    base: RecoveryPoint | null,
    before: Disks,
    writes: Readonly<Record<keyof Disks, readonly DiskWrite[]>>,
  ): Promise<{ readonly recoveryPoint: RecoveryPoint; readonly disks: Disks }> => {
    const os = applyWrites(before.os, writes.os)
    const data = applyWrites(before['lun-0'], writes['lun-0'])
    const disks: DiskAtBackup[] = [
      { disk: 'os', ...os },
      { disk: 'lun-0', ...data },
    ]
    const encoding = encodingOf(base === null ? goldenKeys.first : goldenKeys.current)
    const recoveryPoint = await backUp(stores, { recoveryPointId, base, disks, ...limits, ...encoding })
    return { recoveryPoint, disks: { os: os.bytes, 'lun-0': data.bytes } }
  }
}

/** Revision 2 of the recovery point as it is read, its OS disk on one folded layer: the same bytes at every offset. */
const repoint = async (vault: MemoryBlobStore, recoveryPointId: string): Promise<void> => {
  const found = await readRecoveryPoint(vault, { vmKey, recoveryPointId })
  if (found === null) throw new Error(`${recoveryPointId} is not there`)
  const { recoveryPoint } = found
  const disks = await Promise.all(
    recoveryPoint.disks.map(async (disk) =>
      disk.disk === 'os' ? { ...disk, stack: [await foldStack(vault, disk)] } : disk,
    ),
  )
  const record = { ...recoveryPoint, revision: 2, merkleRoot: merkleRootOf(disks), disks }
  await vault.create(recoveryPointName(vmKey, recoveryPoint.recoveryPointId, 2), [encodeSealedJson(record)])
}

/** Ends the recovery point, and removes its objects as a collection would. */
const expire = async ({ vault }: Stores, { recoveryPointId }: RecoveryPoint): Promise<void> => {
  const record = { format: 1, expired: true, recoveryPointId, revision: 2, vmKey }
  await vault.create(recoveryPointName(vmKey, recoveryPointId, 2), [encodeSealedJson(record)])
  for await (const { name } of vault.list('')) {
    const parsed = parseVaultName(name)
    if ('id' in parsed && parsed.id === recoveryPointId) await vault.remove(name)
  }
}

const digestsOf = (disks: Disks): Record<string, string> => ({
  os: digestHex(disks.os),
  'lun-0': digestHex(disks['lun-0']),
})

/** The data keys of the encrypted golden vault; none are needed for the others. */
export const goldenKeyRing: KeyRing = {
  current: goldenKeys.current,
  find: (keyId) => {
    const key = Object.values(goldenKeys).find((candidate) => candidate.keyId === keyId)
    if (key === undefined) throw new Error(`the golden vaults know no key ${keyId}`)
    return key
  },
}

/** Writes the vault's objects as files; never over a file that exists. */
export const saveGoldenVault = async (folder: string, kind: GoldenKind, golden: GoldenVault): Promise<void> => {
  const save = async (path: string, bytes: Uint8Array): Promise<void> => {
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, bytes, { flag: 'wx' })
  }
  for (const [container, store] of [['vault', golden.vault] as const, ['control', golden.control] as const])
    for (const [name, { bytes }] of store.objects) await save(join(folder, container, name), bytes)
  await save(join(folder, 'images.json'), Buffer.from(`${JSON.stringify(golden.images, null, 2)}\n`))
  if (isEncrypted(kind)) await save(join(folder, 'key-file.txt'), Buffer.from(wrappingKeyText))
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
