import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { projectFolder } from '../support/documents.ts'
import { wrappingKeyText } from '../support/golden-keys.ts'
import { seededRandom } from '../support/seeded-random.ts'
import { vmKey } from '../support/vault-world.ts'
import { readerIsMissing, runReader } from './support/python-reader.ts'

const vectors = join(projectFolder, 'test/golden/vectors/v1')
const missing = readerIsMissing()
if (missing !== null) console.warn(missing)

describe.skipIf(missing !== null)('the second reader on the golden vaults', () => {
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'reader-'))
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  it('restores every disk of every recovery point', async () => {
    const kinds = await readdir(vectors)
    expect(kinds.length).toBeGreaterThan(2)
    for (const kind of kinds) {
      const vault = join(vectors, kind)
      const images: Record<string, Record<string, string>> = JSON.parse(
        await readFile(join(vault, 'images.json'), 'utf8'),
      )
      const listed = await runReader(['list', vault])
      const expected = Object.entries(images).flatMap(([point, disks]) =>
        Object.keys(disks).map((disk) => [point, disk]),
      )
      const shown = lines(listed.output).map((line) => line.split('\t'))
      expect(shown.map(([, , point, , disk]) => [point, disk])).toEqual(expected)
      for (const [point = '', disk = ''] of expected) {
        const target = join(folder, `${kind}-${point}-${disk}`)
        const run = await runReader(['restore', vault, vmKey, point, disk, '--to', target, ...keyOptions(vault)])
        expect(run, `${kind} ${point} ${disk}`).toEqual({ code: 0, output: '', complaints: [] })
        const digest = createHash('sha256')
          .update(await readFile(target))
          .digest('hex')
        expect(digest, `${kind} ${point} ${disk}`).toBe(images[point]?.[disk])
      }
    }
  })

  it('checks them without a key, and opens their frames with one', async () => {
    for (const kind of await readdir(vectors))
      for (const keys of [[], keyOptions(join(vectors, kind))]) {
        const isOpened = keys.length > 0 || !kind.startsWith('encrypted')
        const run = await runReader(['check', join(vectors, kind), ...keys])
        expect(run.complaints).toEqual([])
        const frames = Number(/(\d+) frames/.exec(run.output)?.[1])
        expect(frames).toBeGreaterThan(10)
        const [opened, byDigest] = isOpened ? [frames, 0] : [0, frames]
        const told = `${frames} needed by restores, 0 by none, ${opened} opened, ${byDigest} proven by digest alone`
        const damaged = '0 places damaged that restores need, 0 that none needs'
        expect(run.output).toMatch(
          new RegExp(`^3 recovery points, 5 layers; ${frames} frames of \\d+ bytes: ${told}; ${damaged}\n$`),
        )
        expect(run.code).toBe(0)
      }
  })

  it('says in one line why it cannot restore, and leaves nothing behind', async () => {
    const encrypted = join(vectors, 'encrypted')
    const other = join(folder, 'other-key')
    await writeFile(other, `${seededRandom(7).bytes(32).toString('hex')}\n`)
    const target = join(folder, 'none')
    const restore = ['restore', encrypted, vmKey, 'r2', 'os', '--to', target]
    const locked = (why: string): readonly string[] => [
      `deltavault_reader: keys/${'0a'.repeat(16)}/0002.json: ${why}; it is wrapped with the key file whose SHA-256 begins with ${fingerprint} (--key-file) [key-locked]`,
    ]
    expect(await runReader(restore)).toEqual({ code: 2, output: '', complaints: locked('no key was given') })
    const run = await runReader([...restore, '--key-file', other])
    expect(run).toEqual({ code: 2, output: '', complaints: locked('none of the keys given opens it') })
    const asks: readonly (readonly [readonly string[], RegExp])[] = [
      [[vmKey, 'r4', 'os'], /r4\/0002\.json: this recovery point has expired/],
      [
        [vmKey, 'r9', 'os'],
        /r9: the VM vm-000000000000 has no such recovery point; list shows what there is \[not-found\]/,
      ],
      [['vm-1', 'r1', 'os'], /r1: the vault has no VM vm-1; list shows what there is \[not-found\]/],
      [[vmKey, 'r2', 'lun-7'], /there is no disk lun-7; there are: os, lun-0/],
      [['../..', 'r2', 'os'], /is no name of a recovery point/],
    ]
    for (const [of, why] of asks) {
      const run = await runReader(['restore', encrypted, ...of, '--to', target])
      expect([run.code, run.complaints.length]).toEqual([2, 1])
      expect(run.complaints[0]).toMatch(why)
    }
    expect((await readdir(folder)).filter((name) => name.startsWith('none'))).toEqual([])
  })

  it('says of a folder that it is no vault', async () => {
    const empty = await mkdtemp(join(folder, 'empty-'))
    const restore = ['restore', empty, vmKey, 'r1', 'os', '--to', join(empty, 'os.img')]
    for (const command of [['list', empty], ['check', empty], restore]) {
      const run = await runReader(command)
      expect(run).toEqual({
        code: 2,
        output: '',
        complaints: [expect.stringContaining(`${empty}: holds no recovery point`)],
      })
    }
  })

  it('says what is wrong with the command line, by a code of its own', async () => {
    for (const [args, why] of [
      [[], 'the following arguments are required: command'],
      [['restore', 'vault', vmKey], 'the following arguments are required: point, disk, --to'],
      [['check'], 'the following arguments are required: vault'],
    ] as const) {
      const run = await runReader(args)
      expect([run.code, run.output, run.complaints.at(-1)]).toEqual([1, '', `deltavault_reader: ${why}`])
    }
  })

  it('says what to install where a package is missing', async () => {
    const hidden = await mkdtemp(join(folder, 'hidden-'))
    await writeFile(join(hidden, 'zstandard.py'), "raise ImportError('not here', name='zstandard')\n")
    const run = await runReader(['list', join(vectors, 'raw')], { PYTHONPATH: hidden })
    expect([run.code, run.output, run.complaints.length]).toEqual([3, '', 1])
    expect(run.complaints[0]).toMatch(
      /cannot import zstandard\. .* apt-get install python3-zstandard python3-cryptography/,
    )
  })

  it('names the file of keys that it cannot use', async () => {
    const check = ['check', join(vectors, 'encrypted'), '--key-file']
    const absent = join(folder, 'absent-key')
    const garbage = join(folder, 'garbage-key')
    await writeFile(garbage, 'no key\n')
    for (const [file, why] of Object.entries({
      [absent]: 'No such file or directory',
      [garbage]: 'does not hold 64 hex',
    })) {
      const run = await runReader([...check, file])
      expect(run).toEqual({ code: 2, output: '', complaints: [expect.stringContaining(`key file ${file}: ${why}`)] })
    }
  })

  it('makes holes of zeros, and writes over no file', async () => {
    const target = join(folder, 'sparse')
    const restore = ['restore', join(vectors, 'raw'), vmKey, 'r1', 'os', '--to', target]
    expect((await runReader(restore)).code).toBe(0)
    const { size, blocks } = await stat(target)
    expect(size).toBe(256 * 1024)
    expect(blocks * 512).toBeLessThan(size / 2)
    const again = await runReader(restore)
    expect([again.code, again.complaints.length]).toEqual([2, 1])
  })

  it('has no line of the app and no dependency but two', async () => {
    const modules = new Set<string>()
    for (const name of await readdir(join(projectFolder, 'reader/deltavault')))
      for (const [, module] of (await readFile(join(projectFolder, 'reader/deltavault', name), 'utf8')).matchAll(
        /^(?:from|import) ([a-z_0-9]+)/gm,
      ))
        modules.add(module ?? '')
    const known = 'import sys; print("\\n".join(sys.stdlib_module_names))'
    const standard = new Set(lines(execFileSync('/usr/bin/python3', ['-c', known], { encoding: 'utf8' })))
    expect([...modules].filter((module) => !standard.has(module)).sort()).toEqual(['cryptography', 'zstandard'])
  })
})

const fingerprint = createHash('sha256').update(Buffer.from(wrappingKeyText.trim(), 'hex')).digest('hex').slice(0, 16)

const lines = (text: string): readonly string[] => text.split('\n').filter((line) => line !== '')

const keyOptions = (vault: string): readonly string[] => {
  const keyFile = join(vault, 'key-file.txt')
  return existsSync(keyFile) ? ['--key-file', keyFile] : []
}
