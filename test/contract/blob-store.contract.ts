import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type ControlStore, StorageError, type VaultStore } from '../../shared/ports/blob-store.ts'

/** A store to test and what to do with it afterwards. Each suite gets a store whose names nobody else uses. */
export interface StoreUnderTest {
  readonly store: ControlStore & VaultStore
  close(): Promise<void>
}

const text = (value: string): Uint8Array => Buffer.from(value)
const namesOf = async (store: ControlStore, prefix: string): Promise<string[]> => {
  const names: string[] = []
  for await (const entry of store.list(prefix)) names.push(entry.name)
  return names
}
const etagOf = async (store: ControlStore, name: string): Promise<string> => {
  const content = await store.read(name)
  if (content === null) throw new Error(`${name} is not there`)
  return content.etag
}

/** What shared/ports/blob-store.ts promises. Every implementation passes it, the one in memory included: that is why the other tests
 * may use that one. */
export const blobStoreContract = (title: string, open: () => Promise<StoreUnderTest>): void => {
  describe(title, () => {
    let under: StoreUnderTest
    let store: ControlStore & VaultStore
    beforeAll(async () => {
      under = await open()
      store = under.store
    })
    afterAll(async () => under?.close())

    describe('create', () => {
      it('makes an object of its parts, one after another', async () => {
        expect(await store.create('create/parts', [text('ab'), text(''), text('cde')])).toBe('created')
        expect(Buffer.from((await store.read('create/parts'))?.bytes ?? []).toString()).toBe('abcde')
      })
      it('leaves an object that exists as it is', async () => {
        await store.create('create/once', [text('first')])
        expect(await store.create('create/once', [text('second')])).toBe('exists')
        expect(Buffer.from((await store.read('create/once'))?.bytes ?? []).toString()).toBe('first')
      })
      it('lets exactly one of many creators at the same moment win', async () => {
        const outcomes = await Promise.all(
          Array.from({ length: 8 }, (_, index) => store.create('create/race', [text(`creator ${index}`)])),
        )
        expect(outcomes.filter((outcome) => outcome === 'created')).toHaveLength(1)
      })
      it('makes an empty object', async () => {
        expect(await store.create('create/empty', [])).toBe('created')
        expect((await store.read('create/empty'))?.bytes.length).toBe(0)
      })
      it('keeps bytes of every value and several MiB', async () => {
        const bytes = Buffer.from(Array.from({ length: 3 * 1024 * 1024 + 17 }, (_, index) => (index * 7) % 256))
        await store.create('create/large', [bytes.subarray(0, 1_000_001), bytes.subarray(1_000_001)])
        expect(Buffer.from((await store.read('create/large'))?.bytes ?? []).equals(bytes)).toBe(true)
      })
      it('does not keep a hold on the caller’s memory', async () => {
        const bytes = Buffer.from('before')
        await store.create('create/copy', [bytes])
        bytes.fill(0)
        expect(Buffer.from((await store.read('create/copy'))?.bytes ?? []).toString()).toBe('before')
      })
    })

    describe('createFromStream', () => {
      const parts = async function* (...values: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
        for (const value of values) yield value
      }
      it('makes one object of all parts', async () => {
        const large = Buffer.alloc(5 * 1024 * 1024, 'x')
        expect(await store.createFromStream('stream/parts', parts(large, text('yz')))).toBe('created')
        const read = Buffer.from((await store.read('stream/parts'))?.bytes ?? [])
        expect(read.equals(Buffer.concat([large, text('yz')]))).toBe(true)
      })
      it('leaves an object that exists as it is', async () => {
        await store.create('stream/once', [text('first')])
        expect(await store.createFromStream('stream/once', parts(text('second'), text('third')))).toBe('exists')
        expect(Buffer.from((await store.read('stream/once'))?.bytes ?? []).toString()).toBe('first')
      })
      it('shows nothing of a stream that fails', async () => {
        const failing = async function* (): AsyncGenerator<Uint8Array> {
          yield text('some')
          throw new Error('the source broke')
        }
        await expect(store.createFromStream('stream/broken', failing())).rejects.toThrow('the source broke')
        expect(await store.read('stream/broken')).toBeNull()
        expect(await namesOf(store, 'stream/broken')).toEqual([])
      })
      it('makes an empty object of no parts', async () => {
        expect(await store.createFromStream('stream/empty', parts())).toBe('created')
        expect((await store.read('stream/empty'))?.bytes.length).toBe(0)
      })
    })

    describe('read', () => {
      it('tells null where there is no object', async () => {
        expect(await store.read('read/absent')).toBeNull()
      })
      it('refuses an object that is larger than asked for', async () => {
        await store.create('read/limit', [text('0123456789')])
        expect((await store.read('read/limit', { lengthBytesMax: 10 }))?.bytes.length).toBe(10)
        const refused = store.read('read/limit', { lengthBytesMax: 9 })
        await expect(refused).rejects.toMatchObject({ name: 'StorageError', fault: { code: 'too-large' } })
      })
      it('rejects when the signal is aborted already', async () => {
        await store.create('read/signal', [text('x')])
        await expect(store.read('read/signal', { signal: AbortSignal.abort() })).rejects.toThrow()
      })
    })

    describe('readRange', () => {
      it('reads exactly the bytes asked for', async () => {
        await store.create('range/object', [text('0123456789')])
        for (const [offset, length, expected] of [
          [0, 10, '0123456789'],
          [0, 1, '0'],
          [3, 4, '3456'],
          [9, 1, '9'],
        ] as const)
          expect(Buffer.from((await store.readRange('range/object', offset, length)) ?? []).toString()).toBe(expected)
      })
      it('tells null where there is no object', async () => {
        expect(await store.readRange('range/absent', 0, 1)).toBeNull()
      })
      it.each([
        ['across the end', 8, 3],
        ['from the end on', 10, 1],
        ['far behind the end', 1000, 5],
      ])('throws short-object for a range %s', async (_, offset, length) => {
        await store.create('range/short', [text('0123456789')])
        const error = await store.readRange('range/short', offset, length).catch((caught: unknown) => caught)
        expect(error).toBeInstanceOf(StorageError)
        expect((error as StorageError).fault.code).toBe('short-object')
        expect((error as StorageError).isRetryable).toBe(false)
      })
    })

    describe('list', () => {
      it('gives names of the prefix only, sorted by their bytes, with their lengths', async () => {
        const names = ['list/a', 'list/a-b', 'list/a.b', 'list/a/b', 'list/a0', 'list/b/000010', 'list/b/000009']
        for (const name of [...names].reverse()) await store.create(name, [text(name)])
        await store.create('list2/other', [text('x')])
        const found: string[] = []
        for await (const entry of store.list('list/')) {
          found.push(entry.name)
          expect(entry.lengthBytes).toBe(entry.name.length)
        }
        expect(found).toEqual([...names].sort())
        expect(await namesOf(store, 'list/a')).toEqual(['list/a', 'list/a-b', 'list/a.b', 'list/a/b', 'list/a0'])
        expect(await namesOf(store, 'list/b/00001')).toEqual(['list/b/000010'])
      })
      it('gives nothing for a prefix that nothing has', async () => {
        expect(await namesOf(store, 'list/nothing/')).toEqual([])
      })
      it('goes on over as many pages as there are', async () => {
        const names = Array.from({ length: 40 }, (_, index) => `pages/${String(index).padStart(4, '0')}`)
        await Promise.all(names.map((name) => store.create(name, [text('x')])))
        expect(await namesOf(store, 'pages/')).toEqual(names)
      })
      it('tells when an object was made, where it tells it at all', async () => {
        await store.create('age/object', [text('x')])
        for await (const { createdAt } of store.list('age/'))
          expect(Math.abs((createdAt ?? new Date()).getTime() - Date.now())).toBeLessThan(600_000)
      })
      it('may be left before its end', async () => {
        for await (const entry of store.list('pages/')) {
          expect(entry.name).toBe('pages/0000')
          break
        }
      })
    })

    describe('replace', () => {
      it('replaces the object whose ETag it names, and gives the new one', async () => {
        await store.create('replace/fresh', [text('1')])
        const replaced = await store.replace('replace/fresh', text('2'), await etagOf(store, 'replace/fresh'))
        expect(replaced).toEqual({ kind: 'replaced', etag: await etagOf(store, 'replace/fresh') })
        expect(Buffer.from((await store.read('replace/fresh'))?.bytes ?? []).toString()).toBe('2')
      })
      it('leaves an object whose ETag has moved on', async () => {
        await store.create('replace/stale', [text('1')])
        const stale = await etagOf(store, 'replace/stale')
        await store.replace('replace/stale', text('2'), stale)
        expect(await store.replace('replace/stale', text('3'), stale)).toEqual({ kind: 'changed' })
        expect(Buffer.from((await store.read('replace/stale'))?.bytes ?? []).toString()).toBe('2')
      })
      it('changes nothing where the object is gone', async () => {
        await store.create('replace/gone', [text('1')])
        const etag = await etagOf(store, 'replace/gone')
        await store.remove('replace/gone')
        expect(await store.replace('replace/gone', text('2'), etag)).toEqual({ kind: 'changed' })
        expect(await store.read('replace/gone')).toBeNull()
      })
      it('lets exactly one of many replacers of one ETag win', async () => {
        await store.create('replace/race', [text('0')])
        const etag = await etagOf(store, 'replace/race')
        const outcomes = await Promise.all(
          Array.from({ length: 6 }, (_, index) => store.replace('replace/race', text(`${index}`), etag)),
        )
        expect(outcomes.filter(({ kind }) => kind === 'replaced')).toHaveLength(1)
      })
    })

    describe('put', () => {
      it('writes whatever was there before', async () => {
        await store.put('put/object', text('one'))
        await store.put('put/object', text('second'))
        expect(Buffer.from((await store.read('put/object'))?.bytes ?? []).toString()).toBe('second')
      })
      it('changes the ETag', async () => {
        await store.put('put/etag', text('same'))
        const before = await etagOf(store, 'put/etag')
        await store.put('put/etag', text('same'))
        expect(await etagOf(store, 'put/etag')).not.toBe(before)
      })
    })

    describe('remove', () => {
      it('removes, and tells when there is nothing to remove', async () => {
        await store.create('remove/object', [text('x')])
        expect(await store.remove('remove/object')).toBe('removed')
        expect(await store.read('remove/object')).toBeNull()
        expect(await store.remove('remove/object')).toBe('absent')
      })
      it('leaves an object whose ETag has moved on', async () => {
        await store.create('remove/stale', [text('1')])
        const stale = await etagOf(store, 'remove/stale')
        await store.put('remove/stale', text('2'))
        expect(await store.remove('remove/stale', stale)).toBe('changed')
        expect(await store.remove('remove/stale', await etagOf(store, 'remove/stale'))).toBe('removed')
      })
      it('makes room for a new object of the name', async () => {
        await store.create('remove/again', [text('old')])
        await store.remove('remove/again')
        expect(await store.create('remove/again', [text('new')])).toBe('created')
        expect(Buffer.from((await store.read('remove/again'))?.bytes ?? []).toString()).toBe('new')
      })
      it('tells absent also with an ETag', async () => {
        expect(await store.remove('remove/never', '"0x0"')).toBe('absent')
      })
    })

    describe('purge', () => {
      const etagInList = async (name: string): Promise<string> => {
        for await (const entry of store.list(name)) return entry.etag
        throw new Error(`${name} is not listed`)
      }
      it('gives an object up, and tells when there is none', async () => {
        await store.create('purge/object', [text('x')])
        const etag = await etagInList('purge/object')
        expect(etag).toBe(await etagOf(store, 'purge/object'))
        expect(await store.purge('purge/object', etag)).toBe('removed')
        expect(await store.read('purge/object')).toBeNull()
        expect(await namesOf(store, 'purge/')).toEqual([])
        expect(await store.purge('purge/object', etag)).toBe('absent')
      })
      it('leaves an object that was made anew under the name', async () => {
        await store.create('purge/again', [text('old')])
        const etag = await etagInList('purge/again')
        expect(await store.purge('purge/again', etag)).toBe('removed')
        expect(await store.create('purge/again', [text('old')])).toBe('created')
        expect(await store.purge('purge/again', etag)).toBe('changed')
        expect(Buffer.from((await store.read('purge/again'))?.bytes ?? []).toString()).toBe('old')
      })
      it('lets exactly one of many at the same moment have removed it', async () => {
        await store.create('purge/race', [text('x')])
        const etag = await etagInList('purge/race')
        const outcomes = await Promise.all(Array.from({ length: 6 }, () => store.purge('purge/race', etag)))
        expect(outcomes.filter((outcome) => outcome === 'removed')).toHaveLength(1)
        expect(outcomes.filter((outcome) => outcome === 'absent')).toHaveLength(5)
      })
    })
  })
}
