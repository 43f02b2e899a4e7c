import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createKeyFileWrapper } from '../../shared/azure/key-file-wrapper.ts'
import { explainWrapperFailure, type WrapperFailure } from '../../shared/ports/key-wrapper.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'key-file-'))
})
afterAll(() => rm(folder, { recursive: true }))

const wrapperOf = async (text: string) => {
  const path = join(folder, randomBytes(8).toString('hex'))
  await writeFile(path, text)
  return createKeyFileWrapper(path)
}

describe('a key file', () => {
  it('wraps as RFC 3394 says (its example 4.6)', async () => {
    const wrapper = await wrapperOf('000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F\n')
    const dataKey = Buffer.from('00112233445566778899AABBCCDDEEFF000102030405060708090A0B0C0D0E0F', 'hex')
    expect(await wrapper.wrap(dataKey)).toEqual({
      kind: 'wrapped',
      wrapping: {
        kind: 'key-file',
        key: '630dcd2966c43366',
        algorithm: 'A256KW',
        wrapped: Buffer.from(
          '28C9F404C4B810F4CBCCB35CFB87F8263F5786E2D80ED326CBC7F0E71A99F43BFB988B9B7A02DD21',
          'hex',
        ).toString('base64'),
      },
    })
  })

  it.each([
    ['is empty', ''],
    ['is too short', 'ab'.repeat(31)],
    ['is no hex', 'zz'.repeat(32)],
    ['has a bad line below a good one', `${'ab'.repeat(32)}\nextra\n`],
    ['has an empty line', `${'ab'.repeat(32)}\n\n${'cd'.repeat(32)}\n`],
    ['ends with an empty line', `${'ab'.repeat(32)}\n\n`],
    ['has a space at an end', `${'ab'.repeat(32)} \n`],
    ['has more than 100 lines', `${'ab'.repeat(32)}\n`.repeat(101)],
  ])('is told to hold something else than keys where it %s', async (_, text) => {
    const wrapper = await wrapperOf(text)
    const wrapping = { kind: 'key-file', key: '630dcd2966c43366', algorithm: 'A256KW', wrapped: 'AAAA' } as const
    for (const outcome of [await wrapper.wrap(randomBytes(32)), await wrapper.unwrap(wrapping)]) {
      expect(outcome).toEqual({ kind: 'file-malformed', key: expect.stringContaining(folder) })
      expect(explainWrapperFailure(outcome as WrapperFailure)).toMatch(
        /^the key file \/\S+ holds something else than keys/,
      )
    }
  })

  it('takes a file without a line feed at its end, and with Windows line ends', async () => {
    const text = 'ab'.repeat(32)
    expect((await (await wrapperOf(text)).wrap(randomBytes(32))).kind).toBe('wrapped')
    expect((await (await wrapperOf(`${text}\r\n${'cd'.repeat(32)}\r\n`)).wrap(randomBytes(32))).kind).toBe('wrapped')
  })

  it('never shows what the file holds', async () => {
    const secret = 'ab'.repeat(31)
    const outcome = await (await wrapperOf(secret)).wrap(randomBytes(32))
    expect(JSON.stringify(outcome)).not.toContain(secret.slice(0, 16))
  })
})
