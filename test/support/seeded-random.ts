/** Random numbers that come again from the same seed (mulberry32). Never for anything but tests. */
export interface SeededRandom {
  /** In [0, 1). */
  next(): number
  /** A whole number in [0, below). */
  below(below: number): number
  /** Bytes that do not compress. */
  bytes(lengthBytes: number): Buffer
}

export const seededRandom = (seed: number): SeededRandom => {
  let state = seed >>> 0
  const word = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return (mixed ^ (mixed >>> 14)) >>> 0
  }
  const next = (): number => word() / 2 ** 32
  return {
    next,
    below: (below) => Math.floor(next() * below),
    bytes: (lengthBytes) => {
      const bytes = Buffer.allocUnsafe(lengthBytes + 4)
      for (let at = 0; at < lengthBytes; at += 4) bytes.writeUInt32LE(word(), at)
      return bytes.subarray(0, lengthBytes)
    },
  }
}
