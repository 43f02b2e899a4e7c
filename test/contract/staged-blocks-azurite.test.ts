import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Azurite } from '../../local/azurite.ts'
import { connectStorage } from '../../shared/azure/storage-connection.ts'
import type { BlobCreator } from '../../shared/ports/blob-store.ts'
import { startTestAzurite } from '../support/azurite.ts'

let azurite: Azurite
let store: BlobCreator
beforeAll(async () => {
  azurite = await startTestAzurite()
  const { connectionString } = azurite
  const connection = { kind: 'connectionString', connectionString } as const
  store = connectStorage({ connection, vaultContainer: 'vault', controlContainer: 'control' }).vault
})
afterAll(async () => azurite?.stop())

const blockBytes = 4 * 1024 * 1024
/** Blocks filled with one letter. */
async function* blocksOf(letter: string, count: number) {
  for (let block = 0; block < count; block++) yield Buffer.alloc(blockBytes, letter)
}
/** Three of them; the last is held back, after the others are staged, until it is released. */
const heldBeforeLast = (letter: string) => {
  let release = () => {}
  let arrive = () => {}
  const gate = new Promise<void>((resolve) => {
    release = resolve
  })
  const staged = new Promise<void>((resolve) => {
    arrive = resolve
  })
  const blocks = (async function* () {
    yield* blocksOf(letter, 2)
    arrive()
    await gate
    yield* blocksOf(letter, 1)
  })()
  return { blocks, staged, release: () => release() }
}
const lettersOf = async (name: string): Promise<string> => {
  const bytes = (await store.read(name))?.bytes ?? new Uint8Array()
  return [...new Set(bytes)].map((byte) => String.fromCharCode(byte)).join('')
}

describe('an object of several blocks', () => {
  it('is not replaced by a later stream of the same name', async () => {
    expect(await store.createFromStream('once', blocksOf('a', 2))).toBe('created')
    expect(await store.createFromStream('once', blocksOf('b', 3))).toBe('exists')
    expect(await lettersOf('once')).toBe('a')
    expect((await store.read('once'))?.bytes.byteLength).toBe(2 * blockBytes)
  })

  it('is whole when two writers stage at the same time: the blocks of one, never of both', async () => {
    const [one, other] = [heldBeforeLast('a'), heldBeforeLast('b')]
    const first = store.createFromStream('race', one.blocks)
    await one.staged
    const second = store.createFromStream('race', other.blocks)
    await other.staged
    one.release()
    expect(await first).toBe('created')
    expect(await lettersOf('race')).toBe('a')
    other.release()
    expect(await second).toBe('exists')
    expect(await lettersOf('race')).toBe('a')
  })

  it('is not there while its blocks are being staged', async () => {
    const seen: unknown[] = []
    const watching = async function* () {
      yield Buffer.alloc(blockBytes, 'a')
      yield Buffer.alloc(blockBytes, 'a')
      seen.push(await store.read('hidden'))
      for await (const entry of store.list('hidden')) seen.push(entry)
      yield Buffer.alloc(1, 'a')
    }
    expect(await store.createFromStream('hidden', watching())).toBe('created')
    expect(seen).toEqual([null])
  })
})
