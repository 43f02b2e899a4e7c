import { formatVersion } from './sectors.ts'
import { VaultError } from './vault-error.ts'

/** Which object the bytes came from, and where in it they began: for the faults. */
export interface Origin {
  readonly name: string
  readonly place: number
}

/** Reads what ByteWriter wrote, and faults instead of reading past the end. */
export interface ByteReader {
  readonly at: number
  readonly remaining: number
  u8(): number
  u16(): number
  u32(): number
  u64(): number
  varint(): number
  text(): string
  /** A view, not a copy. */
  raw(count: number): Buffer
  /** Checks bytes that the format calls zero. */
  zeros(count: number): void
  magic(expected: Uint8Array): void
  version(): void
  fail(detail: string): never
}

/** @param bytes not copied: what is read as `raw` is a view of them
 * @param origin where the bytes began, for faults
 * @param from first byte to be read */
export const createByteReader = (bytes: Uint8Array, origin: Origin, from = 0): ByteReader => {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let at = from
  const fail = (detail: string): never => {
    throw new VaultError({ code: 'malformed', name: origin.name, place: origin.place + at, detail })
  }
  const take = (count: number): number => {
    if (at + count > buffer.length) fail(`${count} bytes are wanted and ${buffer.length - at} are left`)
    const start = at
    at += count
    return start
  }
  const raw = (count: number): Buffer => {
    const start = take(count)
    return buffer.subarray(start, start + count)
  }
  return {
    get at() {
      return at
    },
    get remaining() {
      return buffer.length - at
    },
    u8: () => buffer.readUInt8(take(1)),
    u16: () => buffer.readUInt16LE(take(2)),
    u32: () => buffer.readUInt32LE(take(4)),
    u64: () => {
      const start = take(8)
      const value = buffer.readUInt32LE(start) + buffer.readUInt32LE(start + 4) * 2 ** 32
      return Number.isSafeInteger(value) ? value : fail('a number exceeds 2^53')
    },
    varint: () => {
      let value = 0
      let scale = 1
      for (let count = 0; count < 8; count += 1) {
        const byte = buffer[take(1)] ?? 0
        value += (byte & 127) * scale
        if (byte < 128) return Number.isSafeInteger(value) ? value : fail('a varint exceeds 2^53')
        scale *= 128
      }
      return fail('a varint has more than 8 bytes')
    },
    text: () => {
      const length = buffer.readUInt16LE(take(2))
      return raw(length).toString('latin1')
    },
    raw,
    zeros: (count) => {
      if (raw(count).some((byte) => byte !== 0)) fail('bytes that must be zero are not')
    },
    magic: (expected) => {
      if (!raw(expected.length).equals(expected)) fail('the magic is wrong')
    },
    version: () => {
      const version = buffer.readUInt8(take(1))
      if (version !== formatVersion) throw new VaultError({ code: 'unsupported-version', name: origin.name, version })
    },
    fail,
  }
}
