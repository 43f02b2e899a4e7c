import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { openStore } from '../../../../local/host/durable/store.ts'

const mebibyte = 2 ** 20
let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'durable-store-'))
})
afterEach(() => rm(folder, { recursive: true }))

/** Writes so much history, as many turns would. @returns the bytes of the log that a checkpoint brings into the tables */
const logBytesAfter = async (writtenBytes: number): Promise<number> => {
  const store = openStore(join(folder, 'hub.sqlite'))
  const rows = [{ received: 0, event: 'x'.repeat(100_000) }]
  for (let at = 0; at * 100_000 < writtenBytes; at += 1)
    store.transaction(() => store.appendHistory(`execution-${at}`, 0, rows))
  const { size } = await stat(join(folder, 'hub.sqlite-wal'))
  store.close()
  return size
}

it('the log of the task hub takes 16 MiB of turns before they are brought into the tables', async () => {
  expect(await logBytesAfter(12 * mebibyte)).toBeGreaterThan(12 * mebibyte)
})

it('the log of the task hub stays below 20 MiB, however much is written', async () => {
  expect(await logBytesAfter(60 * mebibyte)).toBeLessThan(20 * mebibyte)
})
