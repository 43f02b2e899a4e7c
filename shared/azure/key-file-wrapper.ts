import { createCipheriv, createDecipheriv, createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { KeyWrapper, WrapperFailure } from '../ports/key-wrapper.ts'

/** RFC 3394, section 2.2.3.1: the default initial value, by which unwrapping proves the key. */
const initialValue = Buffer.alloc(8, 0xa6)
/** Earlier keys that a file may keep; far above what rotation leaves. */
const linesMax = 100

/** A key file as wrapping key: one key a line, 64 hex digits. The first line wraps; the lines below it are earlier keys, which only unwrap.
 * The file is read at each call, as it is small and may be exchanged while the app runs.
 * @param path of the file; it is named in outcomes, its content never */
export const createKeyFileWrapper = (path: string): KeyWrapper => ({
  kind: 'key-file',
  wrap: async (dataKey) => {
    const keys = await readKeys(path)
    if ('kind' in keys) return keys
    const [key] = keys
    const cipher = createCipheriv('id-aes256-wrap', key, initialValue)
    const wrapped = Buffer.concat([cipher.update(dataKey), cipher.final()]).toString('base64')
    return {
      kind: 'wrapped',
      wrapping: { kind: 'key-file', key: keyFileFingerprint(key), algorithm: 'A256KW', wrapped },
    }
  },
  unwrap: async (wrapping) => {
    const keys = await readKeys(path)
    if ('kind' in keys) return keys
    const key = keys.find((one) => keyFileFingerprint(one) === wrapping.key)
    if (key === undefined) return { kind: 'unknown-key', key: wrapping.key }
    const dataKey = open(key, Buffer.from(wrapping.wrapped, 'base64'))
    return dataKey === null ? { kind: 'bad-wrapping', key: wrapping.key } : { kind: 'unwrapped', dataKey }
  },
})

/** Names a line of a key file without telling it: the first 16 hex digits of the SHA-256 of its 32 bytes. */
const keyFileFingerprint = (key: Uint8Array): string => createHash('sha256').update(key).digest('hex').slice(0, 16)

const open = (key: Buffer, wrapped: Buffer): Uint8Array | null => {
  try {
    const decipher = createDecipheriv('id-aes256-wrap', key, initialValue)
    return Buffer.concat([decipher.update(wrapped), decipher.final()])
  } catch {
    return null
  }
}

const readKeys = async (path: string): Promise<readonly [Buffer, ...Buffer[]] | WrapperFailure> => {
  try {
    const lines = (await readFile(path, 'latin1')).replace(/\r?\n$/, '').split(/\r?\n/)
    const [first, ...others] = lines.map((line) => Buffer.from(line, 'hex'))
    const areGood = lines.every((line) => /^[0-9a-f]{64}$/i.test(line)) && lines.length <= linesMax
    return first !== undefined && areGood ? [first, ...others] : { kind: 'file-malformed', key: path }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    return { kind: code === 'EACCES' || code === 'EPERM' ? 'refused' : 'key-missing', key: path }
  }
}
