import { digestHex } from './digest.ts'
import { VaultError } from './vault-error.ts'

const head = '{"sha256":"'
const middle = '","record":'
const tail = '}\n'
/** Refuses what is no UTF-8 instead of putting something in its place. */
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const recordAt = head.length + 64 + middle.length

/** JSON that carries the digest of its own bytes (docs/format.md, section 7). */
export const encodeSealedJson = (record: unknown): Buffer => {
  const text = Buffer.from(JSON.stringify(record), 'utf8')
  return Buffer.concat([Buffer.from(`${head}${digestHex(text)}${middle}`), text, Buffer.from(tail)])
}

/** The record inside, proven to be the bytes that were written; its shape is the caller's to parse. */
export const decodeSealedJson = (bytes: Uint8Array, name: string): unknown => {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const shell = `${buffer.toString('latin1', 0, head.length)}${buffer.toString('latin1', head.length + 64, recordAt)}${buffer.toString('latin1', Math.max(recordAt, buffer.length - tail.length))}`
  if (shell !== `${head}${middle}${tail}`)
    throw new VaultError({ code: 'malformed', name, place: 0, detail: 'it is not a sealed record' })
  const text = buffer.subarray(recordAt, buffer.length - tail.length)
  const expected = buffer.toString('latin1', head.length, head.length + 64)
  const actual = digestHex(text)
  if (actual !== expected) throw new VaultError({ code: 'digest-mismatch', name, place: recordAt, expected, actual })
  try {
    return JSON.parse(utf8.decode(text))
  } catch (cause) {
    throw new VaultError({ code: 'malformed', name, place: recordAt, detail: 'the record is not JSON' }, { cause })
  }
}
