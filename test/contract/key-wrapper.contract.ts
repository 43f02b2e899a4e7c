import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { KeyWrapper, KeyWrapping } from '../../shared/ports/key-wrapper.ts'

/** A wrapping key with what an administrator may do to it. */
export interface WrapperWorld {
  readonly wrapper: KeyWrapper
  /** Puts a newer version of the wrapping key in force. */
  readonly rotate: () => Promise<void>
  /** Takes the wrapping key away with all its versions. */
  readonly remove: () => Promise<void>
  readonly close: () => Promise<void>
}

/** What every wrapper must do. */
export const keyWrapperContract = (name: string, open: () => Promise<WrapperWorld>): void => {
  describe(name, () => {
    let world: WrapperWorld
    beforeAll(async () => {
      world = await open()
    })
    afterAll(() => world.close())
    const dataKey = randomBytes(32)
    const wrap = async (): Promise<KeyWrapping> => {
      const wrapped = await world.wrapper.wrap(dataKey)
      if (wrapped.kind !== 'wrapped') throw new Error(wrapped.kind)
      return wrapped.wrapping
    }
    const unwrap = async (wrapping: KeyWrapping) => {
      const opened = await world.wrapper.unwrap(wrapping)
      return opened.kind === 'unwrapped' ? Buffer.from(opened.dataKey).toString('hex') : opened.kind
    }

    it('opens what it wrapped', async () => {
      expect(await unwrap(await wrap())).toBe(dataKey.toString('hex'))
    })

    it('says its kind, and shows nothing of the data key', async () => {
      const wrapping = await wrap()
      expect(wrapping.kind).toBe(world.wrapper.kind)
      const text = JSON.stringify(wrapping)
      for (const encoding of ['hex', 'base64', 'base64url'] as const)
        expect(text).not.toContain(dataKey.toString(encoding))
    })

    it('tells bytes that it did not wrap', async () => {
      const wrapping = await wrap()
      const bytes = Buffer.from(wrapping.wrapped, 'base64')
      bytes[7]! ^= 1
      expect(await unwrap({ ...wrapping, wrapped: bytes.toString('base64') })).toBe('bad-wrapping')
      expect(await unwrap({ ...wrapping, wrapped: 'AAAA' })).toBe('bad-wrapping')
    })

    it('tells a key that the settings do not name', async () => {
      const wrapping = await wrap()
      const key = world.wrapper.kind === 'key-file' ? '0123456789abcdef' : 'https://other.vault.azure.net/keys/kek/1'
      expect(await unwrap({ ...wrapping, key })).toBe('unknown-key')
    })

    it('wraps under a newer version, and opens what an earlier one wrapped', async () => {
      const before = await wrap()
      await world.rotate()
      const after = await wrap()
      expect(after.key).not.toBe(before.key)
      expect(await unwrap(before)).toBe(dataKey.toString('hex'))
      expect(await unwrap(after)).toBe(dataKey.toString('hex'))
    })

    it('says that the key is missing where it is gone', async () => {
      const wrapping = await wrap()
      await world.remove()
      expect((await world.wrapper.wrap(dataKey)).kind).toBe('key-missing')
      expect(await unwrap(wrapping)).toBe('key-missing')
    })
  })
}
