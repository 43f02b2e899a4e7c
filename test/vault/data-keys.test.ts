import { beforeEach, describe, expect, it } from 'vitest'
import { VaultError } from '../../shared/format/vault-error.ts'
import { KeyServiceError, WrappingKeyError } from '../../shared/ports/key-wrapper.ts'
import {
  CurrentKeyLockedError,
  type DataKeyDeps,
  rotateDataKey,
  rotateWrappingKey,
} from '../../shared/vault/data-keys.ts'
import { encodeKeyRecord, parseKeyRecord } from '../../shared/vault/key-record.ts'
import { createVaultKeys } from '../../shared/vault/vault-keys.ts'
import { createFakeKeyWrapper, type FakeKeyWrapper, noWrappers, onlyWrapper } from '../support/fake-key-wrapper.ts'
import { createMemoryBlobStore, type MemoryBlobStore, SimulatedCrash } from '../support/memory-blob-store.ts'
import { seededRandom } from '../support/seeded-random.ts'
import { virtualClock } from '../support/virtual-clock.ts'

interface World extends DataKeyDeps {
  readonly vault: MemoryBlobStore
  readonly control: MemoryBlobStore
  readonly clock: ReturnType<typeof virtualClock>
}

let world: World
let wrapper: FakeKeyWrapper
beforeEach(() => {
  wrapper = createFakeKeyWrapper()
  world = {
    vault: createMemoryBlobStore(),
    control: createMemoryBlobStore(),
    clock: virtualClock(),
    wrappers: onlyWrapper(wrapper),
  }
})

/** Another process on the same storage and settings. */
const another = (): World => ({ ...world, vault: world.vault.reopen(), control: world.control.reopen() })
const keysOf = (of: World = another()) => createVaultKeys(of)
const currentOf = async (of: World = another()) => (await keysOf(of).current())!
const recordNames = () => [...world.vault.objects.keys()].sort()
const faultOf = async (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'none',
    (error) => (error instanceof VaultError ? error.fault.code : (error as Error).name),
  )

describe('the current data key', () => {
  it('is made at first use, and is the same ever after', async () => {
    const first = await currentOf()
    expect(first.keyId).toMatch(/^[0-9a-f]{32}$/)
    expect(first.bytes).toHaveLength(32)
    expect(await currentOf()).toEqual(first)
    expect(recordNames()).toEqual([`keys/${first.keyId}/0001.json`])
  })

  it('is one, however many instances use it first at the same time', async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const random = seededRandom(seed)
      world = { ...world, vault: createMemoryBlobStore(), control: createMemoryBlobStore() }
      const instances = Array.from({ length: 6 }, () => {
        const one = another()
        const pause = async () => {
          for (let turns = random.below(8); turns > 0; turns--) await Promise.resolve()
        }
        one.vault.pause = pause
        one.control.pause = pause
        return currentOf(one)
      })
      const ids = new Set((await Promise.all(instances)).map(({ keyId }) => keyId))
      expect([...ids], `seed ${seed}`).toHaveLength(1)
    }
  })

  it('is made once by one instance, however many jobs begin at the same time', async () => {
    const keys = keysOf()
    const asked = await Promise.all(Array.from({ length: 6 }, () => keys.current()))
    expect(new Set(asked).size).toBe(1)
    expect(recordNames()).toHaveLength(1)
  })

  it('is there after a crash at any call, or a lost answer, of its first use', async () => {
    for (const fault of ['crashBefore', 'crashAfter', 'lostAnswer'] as const)
      for (const store of ['vault', 'control'] as const)
        for (let at = 1; at <= 3; at++) {
          world = { ...world, vault: createMemoryBlobStore(), control: createMemoryBlobStore() }
          const dying = another()
          dying[store].fault = ({ number }) => (number === at ? fault : null)
          const before = await currentOf(dying).catch((error) => {
            if (!(error instanceof SimulatedCrash)) throw error
            return null
          })
          const after = await currentOf()
          expect((await keysOf().ring()).find(after.keyId)).toEqual(after)
          if (before !== null) expect(after).toEqual(before)
        }
  })

  it('is none where no wrapping key is configured', async () => {
    const keys = keysOf({ ...world, wrappers: noWrappers })
    expect(keys.isConfigured).toBe(false)
    expect(await keys.current()).toBeNull()
    expect(recordNames()).toEqual([])
  })

  it('is not made where the wrapping key refuses, with a hint', async () => {
    wrapper.failure = { kind: 'key-disabled', key: 'kek' }
    const error = await currentOf().catch((caught: unknown) => caught)
    expect(error).toBeInstanceOf(WrappingKeyError)
    expect((error as WrappingKeyError).message).toBe('No data key can be wrapped: the key kek is disabled.')
    expect(recordNames()).toEqual([])
  })

  it('is not made where what was wrapped cannot be opened again', async () => {
    const { unwrap } = wrapper
    wrapper.unwrap = async () => ({ kind: 'refused', key: 'kek' })
    expect(await faultOf(currentOf())).toBe('WrappingKeyError')
    wrapper.unwrap = async (wrapping) => {
      const opened = await unwrap(wrapping)
      return opened.kind === 'unwrapped' ? { kind: 'unwrapped', dataKey: Buffer.alloc(32) } : opened
    }
    expect(await faultOf(currentOf())).toBe('WrappingKeyError')
    expect(recordNames()).toEqual([])
    expect(world.control.objects.size).toBe(0)
  })

  it('stands nowhere in clear', async () => {
    const { bytes } = await currentOf()
    await rotateDataKey(another())
    wrapper.rotate()
    await rotateWrappingKey(another())
    const stored = [...world.vault.objects, ...world.control.objects].map(([name, content]) =>
      Buffer.concat([Buffer.from(name), content.bytes]),
    )
    for (const needle of [
      Buffer.from(bytes),
      ...(['hex', 'base64', 'base64url'] as const).map((how) => Buffer.from(Buffer.from(bytes).toString(how))),
    ])
      expect(stored.some((text) => text.includes(needle))).toBe(false)
  })
})

describe('rotating the data key', () => {
  it('makes a new current one, and the old one is still found', async () => {
    const old = await currentOf()
    const rotated = await rotateDataKey(another())
    expect(rotated).toMatchObject({ previousKeyId: old.keyId })
    const current = await currentOf()
    expect(current.keyId).toBe(rotated!.keyId)
    expect(current.keyId).not.toBe(old.keyId)
    const ring = await keysOf().ring()
    expect(ring.current).toEqual(current)
    expect(ring.find(old.keyId)).toEqual(old)
  })

  it('is seen by an instance that knew the old one', async () => {
    const instance = keysOf()
    const old = await instance.current()
    const rotated = await rotateDataKey(another())
    expect((await instance.current())?.keyId).toBe(rotated!.keyId)
    expect(await instance.find(old!.keyId)).toBe(old)
  })

  it('comes to one current key, however many rotate at once', async () => {
    await currentOf()
    const rotated = await Promise.all(Array.from({ length: 5 }, () => rotateDataKey(another())))
    const current = await currentOf()
    expect(new Set(rotated.map((one) => one?.keyId))).toEqual(new Set([current.keyId]))
  })

  it('is refused where the current one does not open, unless that is asked for', async () => {
    const { keyId } = await currentOf()
    wrapper.rotate()
    wrapper.forgetOld()
    const refused = await rotateDataKey(another()).catch((caught: unknown) => caught)
    expect(refused).toBeInstanceOf(CurrentKeyLockedError)
    expect((refused as CurrentKeyLockedError).cause.fault).toMatchObject({ code: 'key-locked', keyId })
    expect(recordNames()).toEqual([`keys/${keyId}/0001.json`])
    const rotated = await rotateDataKey(another(), { evenIfLocked: true })
    expect(rotated?.previousKeyId).toBe(keyId)
    expect((await currentOf()).keyId).toBe(rotated?.keyId)
  })

  it('asks the wrapping key anew, whatever this instance has opened before', async () => {
    const instance = keysOf()
    await instance.current()
    wrapper.rotate()
    wrapper.forgetOld()
    expect(await faultOf(instance.rotateDataKey())).toBe('CurrentKeyLockedError')
  })

  it('makes the first key where there is none', async () => {
    expect(await rotateDataKey(another())).toEqual({ keyId: (await currentOf()).keyId, previousKeyId: null })
  })
})

describe('rotating the wrapping key', () => {
  it('adds a revision to every data key, and rewrites nothing', async () => {
    const first = await currentOf()
    await rotateDataKey(another())
    const second = await currentOf()
    const before = new Map(world.vault.objects)
    wrapper.rotate()
    const done = await rotateWrappingKey(another())
    expect(done?.map(({ kind }) => kind)).toEqual(['rewrapped', 'rewrapped'])
    expect(recordNames()).toEqual(
      [first.keyId, second.keyId].sort().flatMap((id) => [`keys/${id}/0001.json`, `keys/${id}/0002.json`]),
    )
    for (const [name, content] of before) expect(world.vault.objects.get(name)).toEqual(content)
    wrapper.forgetOld()
    const ring = await keysOf().ring()
    expect([ring.find(first.keyId), ring.find(second.keyId)]).toEqual([first, second])
  })

  it('leaves what is wrapped under the newest version', async () => {
    await currentOf()
    expect((await rotateWrappingKey(another()))?.map(({ kind }) => kind)).toEqual(['already'])
    wrapper.rotate()
    await rotateWrappingKey(another())
    expect((await rotateWrappingKey(another()))?.map(({ kind }) => kind)).toEqual(['already'])
    expect(recordNames()).toHaveLength(2)
  })

  it('makes one revision, however many rotate at once', async () => {
    await currentOf()
    wrapper.rotate()
    await Promise.all(Array.from({ length: 5 }, () => rotateWrappingKey(another())))
    expect(recordNames()).toHaveLength(2)
  })

  it('goes from a key file to Key Vault where the settings name both', async () => {
    const key = await currentOf()
    const keyVault = createFakeKeyWrapper('key-vault')
    world = { ...world, wrappers: { wrapWith: keyVault, unwrapWith: [keyVault, wrapper] } }
    expect(await currentOf()).toEqual(key)
    await rotateWrappingKey(another())
    world = { ...world, wrappers: onlyWrapper(keyVault) }
    expect(await currentOf()).toEqual(key)
  })

  it('tells the keys that fail, and goes on with the others', async () => {
    const locked = await currentOf()
    wrapper.rotate()
    await rotateDataKey(another())
    wrapper.forgetOld()
    wrapper.rotate()
    const done = (await rotateWrappingKey(another())) ?? []
    expect(done.find(({ keyId }) => keyId === locked.keyId)?.kind).toBe('failed')
    expect(done.filter(({ kind }) => kind === 'rewrapped')).toHaveLength(1)
  })
})

describe('a data key that is looked for', () => {
  it('is missing where the vault has no such key', async () => {
    const id = 'ab'.repeat(16)
    expect(await faultOf(keysOf().find(id))).toBe('key-missing')
    const ring = await keysOf().ring()
    expect(() => ring.find(id)).toThrow(`keys/${id}/0001.json`)
  })

  it('is locked where the wrapping key refuses, is gone, or is not configured; others of the vault are not', async () => {
    const { keyId } = await currentOf()
    for (const kind of ['refused', 'key-missing', 'key-disabled'] as const) {
      wrapper.failure = { kind, key: 'kek' }
      expect(await faultOf(keysOf().find(keyId))).toBe('key-locked')
    }
    wrapper.failure = null
    expect(await faultOf(keysOf({ ...another(), wrappers: noWrappers }).find(keyId))).toBe('key-locked')
    wrapper.rotate()
    wrapper.forgetOld()
    const other = await rotateDataKey(another(), { evenIfLocked: true })
    const ring = await keysOf().ring()
    expect(() => ring.find(keyId)).toThrow(VaultError)
    expect(ring.find(other!.keyId).keyId).toBe(other!.keyId)
  })

  it('is told from a wrong one by the check', async () => {
    const [one, two] = [await currentOf(), await rotateDataKey(another())]
    const nameOf = (id: string) => `keys/${id}/0001.json`
    const recordOf = (keyId: string) =>
      parseKeyRecord(world.vault.objects.get(nameOf(keyId))!.bytes, { keyId, revision: 1 })
    const forged = { ...recordOf(one.keyId), wrappings: recordOf(two!.keyId).wrappings }
    world.vault.objects.set(nameOf(one.keyId), { bytes: encodeKeyRecord(forged), etag: '"1"' })
    expect(await faultOf(keysOf().find(one.keyId))).toBe('wrong-key')
  })

  it('is worth another try where the service of its wrapping key does not answer', async () => {
    const { keyId } = await currentOf()
    const instance = keysOf()
    wrapper.failure = { kind: 'throttled', key: 'kek', retryAfterSeconds: 7 }
    const error = await instance.find(keyId).catch((caught: unknown) => caught)
    expect(error).toBeInstanceOf(KeyServiceError)
    expect((error as KeyServiceError).retryAfterSeconds).toBe(7)
    wrapper.failure = null
    world.clock.advance(15_000)
    expect((await instance.find(keyId)).keyId).toBe(keyId)
  })

  it('is left out for threads where it is locked, and worth another try where its service does not answer', async () => {
    await currentOf()
    const instance = keysOf()
    wrapper.failure = { kind: 'unreachable', key: 'kek' }
    expect(await faultOf(instance.opened())).toBe('KeyServiceError')
    world.clock.advance(15_000)
    wrapper.failure = { kind: 'refused', key: 'kek' }
    expect(await instance.opened()).toEqual([])
    world.clock.advance(15_000)
    wrapper.failure = null
    expect(await instance.opened()).toHaveLength(1)
  })

  it('is opened by an earlier revision where the newest is damaged', async () => {
    const key = await currentOf()
    wrapper.rotate()
    await rotateWrappingKey(another())
    const newest = `keys/${key.keyId}/0002.json`
    const bytes = Buffer.from(world.vault.objects.get(newest)!.bytes)
    bytes[100]! ^= 1
    world.vault.objects.set(newest, { bytes, etag: '"1"' })
    expect(await keysOf().find(key.keyId)).toEqual(key)
  })

  it('is damaged where no revision can be read', async () => {
    const { keyId } = await currentOf()
    const name = `keys/${keyId}/0001.json`
    const whole = world.vault.objects.get(name)!.bytes
    for (let at = 0; at < whole.length; at += 7) {
      const bytes = Buffer.from(whole)
      bytes[at]! ^= 1
      world.vault.objects.set(name, { bytes, etag: '"1"' })
      expect(await faultOf(keysOf().find(keyId)), `byte ${at}`).toMatch(/^(malformed|digest-mismatch)$/)
    }
  })

  it('is opened once in some minutes, and is the same object', async () => {
    const { keyId } = await currentOf()
    const instance = keysOf()
    const [key, twin] = await Promise.all([instance.find(keyId), instance.find(keyId)])
    expect(twin).toBe(key)
    wrapper.calls.length = 0
    world.clock.advance(9 * 60_000)
    expect((await instance.ring()).find(keyId)).toBe(key)
    expect(wrapper.calls).toEqual([])
    world.clock.advance(60_000)
    expect(await instance.find(keyId)).toBe(key)
    expect(wrapper.calls).toEqual(['unwrap'])
  })

  it('is locked soon after its wrapping key was revoked', async () => {
    const { keyId } = await currentOf()
    const instance = keysOf()
    await instance.find(keyId)
    wrapper.failure = { kind: 'key-disabled', key: 'kek' }
    world.clock.advance(10 * 60_000)
    expect(await faultOf(instance.find(keyId))).toBe('key-locked')
  })
})
