import { createCipheriv, createHash } from 'node:crypto'

/** Bytes that no compressor can shrink, the same for the same seed: AES-256 in counter mode over zeros, keyed by the seed. */
export const randomBytesOf = (seed: string, lengthBytes: number): Buffer => {
  const key = createHash('sha256').update(seed).digest()
  return createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(lengthBytes))
}

/** Lines of a log, the same for the same seed: they compress about as well as real logs do. */
export const logLinesOf = (seed: string, lengthBytes: number): Buffer => {
  const target = Buffer.alloc(lengthBytes, ' ')
  const noise = randomBytesOf(seed, Math.ceil(lengthBytes / lineLengthMin) * 8)
  let offset = 0
  for (let line = 0; offset < lengthBytes; line += 1) {
    offset += target.write(logLine(noise, line), offset, 'latin1')
  }
  return target
}

/** Every number in `[0, countMax)` at most once, in ascending order; the same for the same seed. */
export const pickNumbers = (seed: string, count: number, countMax: number): readonly number[] => {
  const picked = new Set<number>()
  const noise = randomBytesOf(seed, Math.max(64, count * 16))
  for (let at = 0; picked.size < Math.min(count, countMax) && at + 4 <= noise.length; at += 4) {
    picked.add(noise.readUInt32LE(at) % countMax)
  }
  return [...picked].sort((one, other) => one - other)
}

/** A UUID made from the seed, so that a file system made twice is the same twice (RFC 9562, version 8). */
export const uuidOf = (seed: string): string => {
  const hex = createHash('sha256').update(seed).digest('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}

const lineLengthMin = 40
const paths = [
  '/',
  '/cart',
  '/login',
  '/products/search',
  '/api/orders',
  '/static/app.js',
  '/health',
  '/account',
] as const
const statuses = [200, 200, 200, 204, 304, 404, 500, 200] as const

const logLine = (noise: Buffer, line: number): string => {
  const at = (line * 8) % (noise.length - 7)
  const seconds = String(line % 86_400).padStart(6, '0')
  const path = paths[noise[at]! % paths.length]
  const status = statuses[noise[at + 1]! % statuses.length]
  return `${seconds} GET ${path} ${status} ${noise.readUInt32LE(at + 2)} 10.0.${noise[at + 6]}.${noise[at + 7]}\n`
}
