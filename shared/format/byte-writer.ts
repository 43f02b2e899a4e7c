import assert from 'node:assert/strict'

/** Grows as it is written to. Integers are little-endian and unsigned (docs/format.md, section 1). */
export interface ByteWriter {
  readonly lengthBytes: number
  u8(value: number): void
  u16(value: number): void
  u32(value: number): void
  u64(value: number): void
  varint(value: number): void
  text(value: string): void
  raw(bytes: Uint8Array): void
  zeros(count: number): void
  /** A view of what was written; further writes may move it. */
  view(): Buffer
  /** A copy of what was written. */
  finish(): Buffer
  /** Starts over, keeping the memory. */
  clear(): void
}

/** @param capacityBytes to begin with; doubled when it is used up */
export const createByteWriter = (capacityBytes = 1024): ByteWriter => {
  let buffer = Buffer.allocUnsafeSlow(capacityBytes)
  let length = 0
  const room = (count: number): number => {
    if (length + count > buffer.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(buffer.length * 2, length + count))
      buffer.copy(larger, 0, 0, length)
      buffer = larger
    }
    const at = length
    length += count
    return at
  }
  const raw = (bytes: Uint8Array): void => {
    const at = room(bytes.length)
    buffer.set(bytes, at)
  }
  const u16 = (value: number): void => {
    const at = room(2)
    buffer.writeUInt16LE(value, at)
  }
  const u32 = (value: number): void => {
    const at = room(4)
    buffer.writeUInt32LE(value, at)
  }
  return {
    get lengthBytes() {
      return length
    },
    u8: (value) => {
      const at = room(1)
      buffer.writeUInt8(value, at)
    },
    u16,
    u32,
    u64: (value) => {
      assert(Number.isSafeInteger(value) && value >= 0)
      u32(value % 2 ** 32)
      u32(Math.floor(value / 2 ** 32))
    },
    varint: (value) => {
      assert(Number.isSafeInteger(value) && value >= 0)
      let rest = value
      while (rest >= 128) {
        const at = room(1)
        buffer[at] = (rest % 128) + 128
        rest = Math.floor(rest / 128)
      }
      const at = room(1)
      buffer[at] = rest
    },
    text: (value) => {
      const bytes = Buffer.from(value, 'ascii')
      assert(bytes.toString('latin1') === value, 'texts of the format are ASCII')
      u16(bytes.length)
      raw(bytes)
    },
    raw,
    zeros: (count) => {
      const at = room(count)
      buffer.fill(0, at, at + count)
    },
    view: () => buffer.subarray(0, length),
    finish: () => Buffer.from(buffer.subarray(0, length)),
    clear: () => {
      length = 0
    },
  }
}
