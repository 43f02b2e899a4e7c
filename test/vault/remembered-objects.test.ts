import { describe, expect, it } from 'vitest'
import { createRemembered, remembering } from '../../shared/vault/remembered-objects.ts'
import { createMemoryBlobStore } from '../support/memory-blob-store.ts'

const bytes = (text: string) => Buffer.from(text)
const accept = () => undefined

describe('what a process remembers of objects that never change', () => {
  it('is not asked for again once it was read', async () => {
    const store = createMemoryBlobStore()
    await store.create('plan', [bytes('first')])
    for (let time = 0; time < 3; time++)
      expect(Buffer.from((await remembering(store, accept).read('plan'))!.bytes)).toEqual(bytes('first'))
    expect(store.calls.filter(({ operation }) => operation === 'read')).toHaveLength(1)
  })

  it('is not asked for once it was created, and is what came first where somebody else created it', async () => {
    const store = createMemoryBlobStore()
    const other = store.reopen()
    expect(await createRemembered(store, 'plan', bytes('first'))).toBe('created')
    expect(await createRemembered(other, 'plan', bytes('second'))).toBe('exists')
    for (const process of [store, other])
      expect(Buffer.from((await remembering(process, accept).read('plan'))!.bytes)).toEqual(bytes('first'))
    expect(store.calls.map(({ operation }) => operation)).toEqual(['create'])
    expect(other.calls.map(({ operation }) => operation)).toEqual(['create', 'read'])
  })

  it('is never that something is absent', async () => {
    const store = createMemoryBlobStore()
    expect(await remembering(store, accept).read('plan')).toBeNull()
    await store.reopen().create('plan', [bytes('by another process')])
    expect(await remembering(store, accept).read('plan')).not.toBeNull()
  })

  it('is never what is damaged: somebody may bring it back', async () => {
    const store = createMemoryBlobStore()
    await store.put('plan', bytes('{"fir'))
    const reader = remembering(store, (read) => JSON.parse(Buffer.from(read).toString()))
    expect(Buffer.from((await reader.read('plan'))!.bytes)).toEqual(bytes('{"fir'))
    await store.put('plan', bytes('{"first":1}'))
    expect(Buffer.from((await reader.read('plan'))!.bytes)).toEqual(bytes('{"first":1}'))
  })

  it('is bounded: what was not used for longest goes first, and large objects are not kept', async () => {
    const store = createMemoryBlobStore()
    const readsOf = (name: string) =>
      store.calls.filter((call) => call.operation === 'read' && call.name === name).length
    await createRemembered(store, 'used', bytes('used'))
    await createRemembered(store, 'unused', bytes('unused'))
    for (let number = 0; number < 64; number++) {
      await createRemembered(store, `many/${number}`, Buffer.alloc(128 * 1024))
      await remembering(store, accept).read('used')
    }
    await createRemembered(store, 'large', Buffer.alloc(1024 * 1024))
    for (const name of ['used', 'unused', 'large']) await remembering(store, accept).read(name)
    expect(['used', 'unused', 'large'].map(readsOf)).toEqual([0, 1, 1])
  })
})
