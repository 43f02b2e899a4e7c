import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { VaultError } from '../../shared/format/vault-error.ts'
import { parseKeyRecord } from '../../shared/vault/key-record.ts'
import { projectFolder } from '../support/documents.ts'
import { goldenKeys } from '../support/golden-keys.ts'
import { loadGoldenVault } from '../support/golden-vault.ts'
import { seededRandom } from '../support/seeded-random.ts'
import { vmKey } from '../support/vault-world.ts'
import { recordOf, sealRecord } from './support/objects.ts'
import {
  type ReaderBatch,
  type ReaderFindings,
  readerIsMissing,
  runReader,
  startReaderBatch,
} from './support/python-reader.ts'

const vault = join(projectFolder, 'test/golden/vectors/v1/encrypted')
const keyFile = join(vault, 'key-file.txt')
const { first, current } = goldenKeys
const [earlierName, rewrappedName] = [1, 2].map((revision) => `keys/${first.keyId}/000${revision}.json`) as [
  string,
  string,
]
const currentName = `keys/${current.keyId}/0001.json`
/** The key file that the golden vault's first data key was wrapped with before it was wrapped anew. */
const formerKeyText = `${Buffer.from(Uint8Array.from({ length: 32 }, (_, index) => 0x40 + index)).toString('hex')}\n`
const everyDisk = ['r1', 'r2', 'r3'].flatMap((point) => ['os', 'lun-0'].map((disk) => `${vmKey} ${point} ${disk}`))
const missing = readerIsMissing()
if (missing !== null) console.warn(missing)

describe.skipIf(missing !== null)('the second reader and keys that do not open a vault', () => {
  let folder: string
  let batch: ReaderBatch
  let formerKeyFile: string
  let stored: (name: string) => Buffer

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'reader-'))
    batch = startReaderBatch()
    batch.load('encrypted', vault)
    formerKeyFile = join(folder, 'former-key')
    await writeFile(formerKeyFile, formerKeyText)
    const { objects } = (await loadGoldenVault(vault)).vault
    stored = (name) => Buffer.from(objects.get(name)?.bytes ?? [])
  })

  afterAll(async () => {
    await batch.finish()
    await rm(folder, { recursive: true, force: true })
  })

  const check = async (key: string | null, changes: Record<string, Buffer | null> = {}): Promise<ReaderFindings> => {
    const of = { base: 'encrypted', vmKey, recoveryPointId: 'r1', disk: 'os', keyFile: key }
    const answer = await batch.ask({ ...of, objects: new Map(Object.entries(changes)), check: true })
    return answer.outcome === 'checked' ? answer : expect.unreachable(JSON.stringify(answer))
  }

  it('tells a wrong key apart from damage, and names all disks that are under a key it does not open', async () => {
    const other = join(folder, 'other-key')
    await writeFile(other, `${seededRandom(7).bytes(32).toString('hex')}\n`)
    const run = await runReader(['check', vault, '--key-file', other])
    expect(run.code).toBe(2)
    expect(run.output).toMatch(
      / 0 opened, \d+ proven by digest alone; 0 places damaged that restores need, 0 that none needs\n$/,
    )
    const told = (line: string) => `deltavault_reader: ${line}`
    const locked = [rewrappedName, currentName].map((name) =>
      expect.stringMatching(
        `^deltavault_reader: not opened, no key: ${name}: none of the keys given opens it; it is wrapped with .* \\[key-locked\\]$`,
      ),
    )
    const touched = everyDisk.map((disk) => told(`touched: ${disk}, not opened`))
    expect([...run.complaints].sort()).toEqual([...locked, ...touched.sort()])
  })

  it('opens with a former key file what an earlier revision of the key holds', async () => {
    const target = join(folder, 'r1-os')
    const restore = ['restore', vault, vmKey, 'r1', 'os', '--to', target, '--key-file', formerKeyFile]
    expect(await runReader(restore)).toEqual({ code: 0, output: '', complaints: [] })
    const found = await check(formerKeyFile)
    expect(found.damaged).toEqual([])
    expect(found.locked).toEqual([expect.stringContaining(currentName)])
    expect(found.opened).toBeGreaterThan(0)
    expect(found.opened).toBeLessThan(found.frames)
  })

  it('takes no data key from an earlier revision but the one that the highest is about', async () => {
    const record = JSON.parse(recordOf(stored(rewrappedName)))
    record.check = JSON.parse(recordOf(stored(currentName))).check
    const found = await check(formerKeyFile, { [rewrappedName]: sealRecord(JSON.stringify(record)) })
    expect(found.opened).toBe(0)
    expect(found.locked).toHaveLength(2)
  })

  it('names all disks that show something under a key that the vault has lost, with a key file and without one', async () => {
    /** All that r3 shows of lun-0 is under the later key. */
    const hidden = `${vmKey} r3 lun-0`
    for (const key of [null, keyFile]) {
      const found = await check(key, { [earlierName]: null, [rewrappedName]: null })
      expect(found.damaged).toEqual([`keys/${first.keyId}: the vault has no such key [key-missing]`])
      expect(found.touched).toEqual(everyDisk.filter((disk) => disk !== hidden))
      expect(found.locked).toEqual([])
    }
    const objects = new Map([earlierName, rewrappedName].map((name) => [name, null]))
    const of = { base: 'encrypted', vmKey, recoveryPointId: 'r3', objects, keyFile }
    expect(await batch.ask({ ...of, disk: 'lun-0' })).toMatchObject({ outcome: 'restored' })
    expect(await batch.ask({ ...of, disk: 'os' })).toMatchObject({ outcome: 'refused', code: 'key-missing' })
  })

  it('opens the frames of a lost key with the data key itself, and is not told of damage by a wrong one', async () => {
    const copy = await mkdtemp(join(folder, 'copy-'))
    await cp(vault, copy, { recursive: true })
    await rm(join(copy, 'vault/keys', first.keyId), { recursive: true })
    const dataKeyFile = join(folder, 'data-key')
    for (const [bytes, opened] of [
      [first.bytes, / [1-9]\d* opened/],
      [seededRandom(7).bytes(32), / 0 opened/],
    ] as const) {
      await writeFile(dataKeyFile, Buffer.from(bytes).toString('hex'))
      const run = await runReader(['check', copy, '--data-key-file', dataKeyFile])
      expect(run.output).toMatch(opened)
      expect(run.output).toMatch(/; 1 places damaged that restores need, 0 that none needs\n$/)
      expect(run.complaints.filter((line) => line.includes('damaged: '))).toEqual([
        `deltavault_reader: damaged: keys/${first.keyId}: the vault has no such key [key-missing]`,
      ])
    }
  })

  it('refuses the record of a key whose fields are not of their lengths, as the app does', async () => {
    const record = JSON.parse(recordOf(stored(currentName)))
    const [wrapping] = record.wrappings
    const tooLong = Buffer.alloc(8192).toString('base64')
    const changed: readonly object[] = [
      { ...record, check: Buffer.alloc(15).toString('base64') },
      { ...record, wrappings: [{ ...wrapping, key: `${wrapping.key}0` }] },
      { ...record, wrappings: [{ ...wrapping, wrapped: tooLong }] },
      {
        ...record,
        wrappings: [{ kind: 'key-vault', key: 'k'.repeat(1025), algorithm: 'RSA-OAEP-256', wrapped: 'AAAA' }],
      },
    ]
    for (const one of changed) {
      const bytes = sealRecord(JSON.stringify(one))
      expect(() => parseKeyRecord(bytes, { keyId: current.keyId, revision: 1 })).toThrow(VaultError)
      const found = await check(keyFile, { [currentName]: bytes })
      expect(found.damaged).toEqual([expect.stringMatching(`^${currentName}, .*\\[malformed\\]$`)])
    }
  })

  it('does not call a disk touched whose key has a whole revision left', async () => {
    const found = await check(keyFile, { [earlierName]: Buffer.from('x') })
    expect(found.damaged).toEqual([expect.stringContaining(earlierName)])
    expect(found.touched).toEqual([])
    expect(found.opened).toBe(found.frames)
  })
})

describe.skipIf(missing !== null)('a frame that several layers name', () => {
  it('touches the disks of all of them', async () => {
    const batch = startReaderBatch()
    const raw = join(projectFolder, 'test/golden/vectors/v1/raw')
    batch.load('raw', raw)
    const { objects } = (await loadGoldenVault(raw)).vault
    const name = [...objects.keys()].find((one) => one.startsWith('segments/r1/os/')) ?? ''
    const bytes = Buffer.from(objects.get(name)?.bytes ?? [])
    bytes[200] = (bytes[200] ?? 0) ^ 1
    const of = { base: 'raw', vmKey, recoveryPointId: 'r1', disk: 'os', keyFile: null }
    const found = await batch.ask({ ...of, objects: new Map([[name, bytes]]), check: true })
    expect(found).toMatchObject({ damaged: [expect.stringContaining(name)] })
    expect(found).toMatchObject({ touched: ['r1', 'r2', 'r3'].map((point) => `${vmKey} ${point} os`) })
    await batch.finish()
  })
})
