import { describe, expect, it } from 'vitest'
import { createMemoryBlobStore, type MemoryBlobStore } from '../support/memory-blob-store.ts'
import { createStorageRules, type RulesGiven } from '../support/storage-rules.ts'
import { storageRulesContract } from './storage-rules.contract.ts'

const purge = (store: MemoryBlobStore, name: string) => store.purge(name, store.objects.get(name)?.etag ?? '')

const memoryUnder = async (given: RulesGiven) => ({
  store: createMemoryBlobStore(new Map(), createStorageRules(given)),
  close: async () => undefined,
})

storageRulesContract('the rules of a storage account, in memory', {
  immutable: () => memoryUnder({ immutableDays: 7 }),
  held: async (name) => {
    const { store, close } = await memoryUnder({})
    return { store, close, hold: async () => void store.rules.legalHolds.add(name) }
  },
  hiding: () => memoryUnder({ versioning: true, softDeleteDays: 14 }),
})

/** Azurite answers 501 to these settings; what it does without them is in the contract of the blob store. */
const missing = (what: string) => async () => ({ missing: `Azurite has no ${what}` })
storageRulesContract('the rules of a storage account, in Azurite', {
  immutable: missing('immutability policies'),
  held: missing('legal holds'),
  hiding: missing('versioning and no soft delete'),
})

describe('the rules of a storage account, in memory,', () => {
  it('let an object go once its retention has run out', async () => {
    let now = new Date('2026-01-01')
    const { store } = await memoryUnder({ immutableDays: 7, now: () => now })
    await store.create('a', [Buffer.from('x')])
    now = new Date('2026-01-07')
    expect(await purge(store, 'a')).toBe('retained')
    now = new Date('2026-01-08')
    expect(await purge(store, 'a')).toBe('removed')
  })

  it('bring back what soft delete hides', async () => {
    const { store } = await memoryUnder({ softDeleteDays: 14 })
    await store.create('a', [Buffer.from('x')])
    await purge(store, 'a')
    expect(store.rules.bringBack(store.objects, 'a')).toBe(true)
    expect(await store.read('a')).not.toBeNull()
  })

  it('charge for what leaves a cool tier early', async () => {
    let now = new Date('2026-01-01')
    const { store } = await memoryUnder({ tierOf: (name) => (name === 'cold' ? 'Cold' : 'Cool'), now: () => now })
    for (const name of ['early', 'late', 'cold']) await store.create(name, [Buffer.from('x')])
    await purge(store, 'early')
    now = new Date('2026-02-01')
    await purge(store, 'late')
    await purge(store, 'cold')
    expect(store.rules.chargedEarly).toEqual(['early', 'cold'])
  })
})
