import { execFileSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { changedBytesBetween, compareImages } from '../../../../local/demo/compare-images.ts'
import { randomBytesOf } from '../../../../local/fleet/sample-bytes.ts'

const chunkBytes = 4 * 1024 * 1024

describe('two images', () => {
  let folder = ''
  const write = async (name: string, content: Buffer): Promise<string> => {
    const path = join(folder, name)
    await writeFile(path, content)
    return path
  }

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'compare-'))
  })
  afterEach(() => rm(folder, { recursive: true }))

  it('are the same when every byte is', async () => {
    const content = randomBytesOf('same', chunkBytes + 8192)
    expect(await compareImages(await write('a', content), await write('b', content))).toEqual({ kind: 'same' })
  })

  it.each([0, chunkBytes - 1, chunkBytes, chunkBytes + 8191])(
    'differ at the first byte that differs: %i',
    async (at) => {
      const content = randomBytesOf('differ', chunkBytes + 8192)
      const changed = Buffer.from(content)
      changed[at] = changed[at]! ^ 1
      changed[content.length - 1] = content[content.length - 1]! ^ 1
      expect(await compareImages(await write('a', content), await write('b', changed))).toEqual({
        kind: 'different',
        atByte: at,
      })
    },
  )

  it('differ at the end of the shorter one', async () => {
    const content = randomBytesOf('short', 8192)
    const shorter = await write('b', content.subarray(0, 8191))
    expect(await compareImages(await write('a', content), shorter)).toEqual({ kind: 'different', atByte: 8191 })
  })

  it('have as many changed pages as cmp finds', async () => {
    const before = randomBytesOf('count', chunkBytes + 65_536)
    const after = Buffer.from(before)
    for (const at of [0, 4095, 4096, chunkBytes - 1, chunkBytes, chunkBytes + 40_000]) after[at] = after[at]! ^ 0xff
    const paths = [await write('a', before), await write('b', after)] as const
    const listed = execFileSync('sh', ['-c', 'cmp -l "$1" "$2" || true', 'sh', ...paths], { encoding: 'utf8' })
    const pages = new Set(
      listed
        .trim()
        .split('\n')
        .map((line) => Math.floor((Number.parseInt(line, 10) - 1) / 4096)),
    )
    expect(pages.size).toBe(5)
    expect(await changedBytesBetween(...paths)).toBe(pages.size * 4096)
  })
})
