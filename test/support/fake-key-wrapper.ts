import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import type { KeyWrapper, KeyWrappers, WrapperFailure } from '../../shared/ports/key-wrapper.ts'

/** A wrapping key in memory, with versions and failures at will. */
export interface FakeKeyWrapper extends KeyWrapper {
  /** Wraps and unwraps that were asked for. */
  readonly calls: ('wrap' | 'unwrap')[]
  /** Hex of the data keys that were ever wrapped: secrets to look for. */
  readonly seen: Set<string>
  /** Answered instead of the real thing while it is set. */
  failure: WrapperFailure | null
  /** Puts a newer version in force. */
  rotate(): void
  /** Forgets all versions but the newest. */
  forgetOld(): void
}

const initialValue = Buffer.alloc(8, 0xa6)

export const createFakeKeyWrapper = (kind: KeyWrapper['kind'] = 'key-file'): FakeKeyWrapper => {
  const algorithm = kind === 'key-file' ? 'A256KW' : 'RSA-OAEP-256'
  const versions = new Map<string, Buffer>()
  let newest = ''
  const wrapper: FakeKeyWrapper = {
    kind,
    calls: [],
    seen: new Set(),
    failure: null,
    rotate: () => {
      newest = randomBytes(8).toString('hex')
      versions.set(newest, randomBytes(32))
    },
    forgetOld: () => {
      for (const version of versions.keys()) if (version !== newest) versions.delete(version)
    },
    wrap: async (dataKey) => {
      wrapper.calls.push('wrap')
      wrapper.seen.add(Buffer.from(dataKey).toString('hex'))
      if (wrapper.failure !== null) return wrapper.failure
      const cipher = createCipheriv('id-aes256-wrap', versions.get(newest)!, initialValue)
      const wrapped = Buffer.concat([cipher.update(dataKey), cipher.final()]).toString('base64')
      return { kind: 'wrapped', wrapping: { kind, key: newest, algorithm, wrapped } }
    },
    unwrap: async ({ key, wrapped }) => {
      wrapper.calls.push('unwrap')
      if (wrapper.failure !== null) return wrapper.failure
      const version = versions.get(key)
      if (version === undefined) return { kind: 'unknown-key', key }
      try {
        const decipher = createDecipheriv('id-aes256-wrap', version, initialValue)
        const dataKey = Buffer.concat([decipher.update(Buffer.from(wrapped, 'base64')), decipher.final()])
        return { kind: 'unwrapped', dataKey }
      } catch {
        return { kind: 'bad-wrapping', key }
      }
    },
  }
  wrapper.rotate()
  return wrapper
}

/** Settings in which one key does it all. */
export const onlyWrapper = (wrapper: KeyWrapper): KeyWrappers => ({ wrapWith: wrapper, unwrapWith: [wrapper] })

/** Settings without any key. */
export const noWrappers: KeyWrappers = { wrapWith: null, unwrapWith: [] }
