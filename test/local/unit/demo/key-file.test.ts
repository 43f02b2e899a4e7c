import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { loadOrCreateKeyFile } from '../../../../local/demo/key-file.ts'

const empty = async () => false

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'demo-key-'))
})
afterEach(() => rm(folder, { recursive: true }))

describe('the key file of the local vault', () => {
  it('is made once, for its owner alone', async () => {
    const path = await loadOrCreateKeyFile(join(folder, 'data'), empty)
    const made = await readFile(path, 'utf8')
    expect(made).toMatch(/^[0-9a-f]{64}\n$/)
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect(await loadOrCreateKeyFile(join(folder, 'data'), empty)).toBe(path)
    expect(await readFile(path, 'utf8')).toBe(made)
  })

  it('is never replaced by another, whatever it holds', async () => {
    await writeFile(join(folder, 'wrapping.key'), '')
    await expect(loadOrCreateKeyFile(folder, empty)).rejects.toThrow('Put the right one back')
    expect(await readFile(join(folder, 'wrapping.key'), 'utf8')).toBe('')
  })

  it('is not made anew where the vault has data keys that it would not open', async () => {
    const asked: string[] = []
    const start = loadOrCreateKeyFile(folder, async (dataFolder) => {
      asked.push(dataFolder)
      return true
    })
    const path = join(folder, 'wrapping.key')
    await expect(start).rejects.toThrow(`The key file ${path} is missing`)
    await expect(start).rejects.toThrow(`Bring the file back. If it is lost for good, delete the folder ${folder}`)
    expect(asked).toEqual([folder])
    await expect(stat(path)).rejects.toThrow('ENOENT')
  })
})
