import { hkdfSync, timingSafeEqual } from 'node:crypto'
import * as v from 'valibot'
import { dataKeyName } from '../format/names.ts'
import { decodeSealedJson, encodeSealedJson } from '../format/sealed-json.ts'
import type { KeyWrapping } from '../ports/key-wrapper.ts'
import { parseRecord, requireBirth, requireFormat } from './parse-record.ts'

/** `keys/<keyId>/<revision>.json`: one data key, wrapped (docs/format.md, section 9). */
export interface KeyRecord {
  readonly format: 1
  readonly keyId: string
  /** The highest one counts; all revisions hold the same data key. */
  readonly revision: number
  readonly createdAt: string
  readonly wrappings: readonly KeyWrapping[]
  /** Tells a wrong data key before any frame is opened. Base64. */
  readonly check: string
}

/** AES-256. */
export const dataKeyBytes = 32
const checkBytes = 16
/** More wrappings than anybody needs; so that no list is endless. */
const wrappingsMax = 20

const base64 = v.pipe(v.string(), v.maxLength(8192), v.regex(/^[A-Za-z0-9+/]+={0,2}$/))

const wrapping = v.variant('kind', [
  v.object({
    kind: v.literal('key-vault'),
    key: v.pipe(v.string(), v.maxLength(1024)),
    algorithm: v.literal('RSA-OAEP-256'),
    wrapped: base64,
  }),
  v.object({
    kind: v.literal('key-file'),
    key: v.pipe(v.string(), v.regex(/^[0-9a-f]{16}$/)),
    algorithm: v.literal('A256KW'),
    wrapped: base64,
  }),
])

const keyRecord = v.object({
  format: v.literal(1),
  keyId: v.string(),
  revision: v.pipe(v.number(), v.safeInteger(), v.minValue(1)),
  createdAt: v.string(),
  wrappings: v.pipe(v.array(wrapping), v.minLength(1), v.maxLength(wrappingsMax)),
  check: v.pipe(v.string(), v.length(24), v.regex(/^[A-Za-z0-9+/]{22}==$/)),
})

/** All bytes of the object, its digest first (docs/format.md, section 9). Deterministic. */
export const encodeKeyRecord = (record: KeyRecord): Buffer => encodeSealedJson(record)

/** The record, proven and parsed. @throws VaultError where a byte, the shape or the name is wrong */
export const parseKeyRecord = (
  bytes: Uint8Array,
  of: { readonly keyId: string; readonly revision: number },
): KeyRecord => {
  const name = dataKeyName(of.keyId, of.revision)
  const sealed = decodeSealedJson(bytes, name)
  requireFormat(sealed, name)
  const record = parseRecord(keyRecord, sealed, name)
  requireBirth(name, `${of.keyId}/${of.revision}`, `${record.keyId}/${record.revision}`)
  return record
}

const checkInfo = Buffer.from('deltavault key check v1\0', 'latin1')

/** What a record says of its data key without telling it. */
export const keyCheckOf = (dataKey: Uint8Array): string =>
  Buffer.from(hkdfSync('sha256', dataKey, Buffer.alloc(0), checkInfo, checkBytes)).toString('base64')

/** True where these bytes are the data key that the record is about. */
export const isDataKeyOf = (record: KeyRecord, dataKey: Uint8Array): boolean =>
  dataKey.length === dataKeyBytes &&
  timingSafeEqual(Buffer.from(keyCheckOf(dataKey), 'base64'), Buffer.from(record.check, 'base64'))
