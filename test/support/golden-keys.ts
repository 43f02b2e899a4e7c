import { createCipheriv, hkdfSync } from 'node:crypto'
import type { DataKey } from '../../shared/format/data-key.ts'
import { digestHex } from '../../shared/format/digest.ts'
import { dataKeyName } from '../../shared/format/names.ts'
import { encodeSealedJson } from '../../shared/format/sealed-json.ts'

/** The keys of the encrypted golden vault: known to everybody, so they protect nothing. Made here from docs/format.md, section 9, alone,
 * without the code that makes those of a real vault. */
const bytesFrom = (first: number): Uint8Array => Uint8Array.from({ length: 32 }, (_, index) => first + index)

export const goldenKeys = {
  first: { keyId: '0a'.repeat(16), bytes: bytesFrom(0x00) },
  current: { keyId: '0b'.repeat(16), bytes: bytesFrom(0x20) },
} satisfies Record<string, DataKey>

const earlierWrappingKey = bytesFrom(0x40)
const wrappingKey = bytesFrom(0x60)

/** The key file. */
export const wrappingKeyText = `${Buffer.from(wrappingKey).toString('hex')}\n`

/** Names and bytes of the vault's key objects. The first data key was wrapped anew when the key file was exchanged. */
export const goldenKeyRecords = (): ReadonlyMap<string, Buffer> =>
  new Map([
    recordOf(goldenKeys.first, 1, earlierWrappingKey),
    recordOf(goldenKeys.first, 2, wrappingKey),
    recordOf(goldenKeys.current, 1, wrappingKey),
  ])

const recordOf = ({ keyId, bytes }: DataKey, revision: number, under: Uint8Array): [string, Buffer] => {
  const cipher = createCipheriv('id-aes256-wrap', under, Buffer.alloc(8, 0xa6))
  const wrapped = Buffer.concat([cipher.update(bytes), cipher.final()]).toString('base64')
  const key = digestHex(under).slice(0, 16)
  const check = Buffer.from(hkdfSync('sha256', bytes, '', 'deltavault key check v1\0', 16)).toString('base64')
  const wrappings = [{ kind: 'key-file', key, algorithm: 'A256KW', wrapped }]
  const createdAt = '2026-01-01T00:00:00.000Z'
  const record = { format: 1, keyId, revision, createdAt, wrappings, check }
  return [dataKeyName(keyId, revision), encodeSealedJson(record)]
}
