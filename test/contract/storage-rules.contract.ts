import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { VaultStore } from '../../shared/ports/blob-store.ts'

/** A container whose account lies under one of the rules below, or why there is none here. */
export type RuledStore = { readonly store: VaultStore; close(): Promise<void> } | { readonly missing: string }

export interface RuledStores {
  /** Time-based retention that has not run out. */
  readonly immutable: () => Promise<RuledStore>
  /** @param name the object that a legal hold is laid on after it was made */
  readonly held: (name: string) => Promise<RuledStore & { hold?: () => Promise<void> }>
  /** Versioning, or soft delete. */
  readonly hiding: () => Promise<RuledStore>
}

const purge = async (store: VaultStore, name: string) => {
  for await (const { etag } of store.list(name)) return store.purge(name, etag)
  return store.purge(name, '"0x0"')
}

/** What the rules of a storage account may do to a vault, and what may not change by them. */
export const storageRulesContract = (title: string, stores: RuledStores): void => {
  describe(title, () => {
    const opened: RuledStore[] = []
    const open = async <Store extends RuledStore>(make: () => Promise<Store>): Promise<Store> => {
      const store = await make()
      opened.push(store)
      return store
    }
    let immutable: RuledStore
    let hiding: RuledStore
    let held: RuledStore & { hold?: () => Promise<void> }
    beforeAll(async () => {
      immutable = await open(stores.immutable)
      hiding = await open(stores.hiding)
      held = await open(() => stores.held('held/object'))
    })
    afterAll(async () => {
      for (const store of opened) if ('store' in store) await store.close()
    })
    const text = (value: string): Uint8Array => Buffer.from(value)

    it('retains what an immutability policy protects, readable, and lets new objects in', async ({ skip }) => {
      if ('missing' in immutable) return skip(immutable.missing)
      const { store } = immutable
      expect(await store.create('kept/object', [text('x')])).toBe('created')
      expect(await purge(store, 'kept/object')).toBe('retained')
      expect(Buffer.from((await store.read('kept/object'))?.bytes ?? []).toString()).toBe('x')
      expect(await store.create('kept/object', [text('y')])).toBe('exists')
      expect(await purge(store, 'kept/never')).toBe('absent')
    })

    it('retains what a legal hold lies on', async ({ skip }) => {
      if ('missing' in held) return skip(held.missing)
      await held.store.create('held/object', [text('x')])
      await held.hold?.()
      expect(await purge(held.store, 'held/object')).toBe('retained')
      expect(await held.store.read('held/object')).not.toBeNull()
    })

    it('does not show what it only hides, and lets the name be taken again', async ({ skip }) => {
      if ('missing' in hiding) return skip(hiding.missing)
      const { store } = hiding
      await store.create('hidden/object', [text('old')])
      expect(await purge(store, 'hidden/object')).toBe('removed')
      expect(await store.read('hidden/object')).toBeNull()
      for await (const { name } of store.list('hidden/')) expect(name).toBe('nothing')
      expect(await store.create('hidden/object', [text('new')])).toBe('created')
      expect(Buffer.from((await store.read('hidden/object'))?.bytes ?? []).toString()).toBe('new')
    })
  })
}
