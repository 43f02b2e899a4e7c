import { randomBytesOf } from '../../local/fleet/sample-bytes.ts'

const phraseCount = 512
const phrases: readonly Buffer[] = makePhrases()

/** Rows of a database in text: words that come back, numbers that do not. Compresses to about a quarter; the same for the same seed. */
export const rowsOf = (seed: string, lengthBytes: number): Buffer => {
  const target = Buffer.alloc(lengthBytes)
  const noise = randomBytesOf(seed, Math.ceil(lengthBytes / 3) + 16)
  for (let at = 0, from = 0; at < lengthBytes; from += 4) {
    const phrase = phrases[noise.readUInt16LE(from) % phraseCount]
    if (phrase !== undefined) at += phrase.copy(target, at)
    if (at < lengthBytes) at += target.write(`${noise.readUInt16LE(from + 2).toString(36)}\n`, at, 'latin1')
  }
  return target
}

/** Code and data in the middle between noise and text: compresses to about a half. */
export const binaryOf = (seed: string, lengthBytes: number): Buffer => {
  const target = randomBytesOf(seed, lengthBytes)
  for (let at = 0; at + 16 <= lengthBytes; at += 16) phrases[(at / 16) % 97]?.copy(target, at, 0, 9)
  return target
}

function makePhrases(): readonly Buffer[] {
  const noise = randomBytesOf('phrases', phraseCount * 8)
  const syllables = ['or', 'der', 'cus', 'tom', 'er', 'in', 'voice', 'ship', 'ped', 'pay', 'ment', 'ac', 'count', 'zip']
  return Array.from({ length: phraseCount }, (_, index) => {
    const picked = [...noise.subarray(index * 8, index * 8 + 8)].map((byte) => syllables[byte % syllables.length])
    return Buffer.from(`${picked.slice(0, 4).join('')} ${picked.slice(4, 7).join('')}=`)
  })
}
