import { createHash, createHmac, hkdfSync } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { digestBytes } from '../../shared/format/digest.ts'
import { createPageHasher } from '../../shared/format/page-hash.ts'
import {
  encodeSidecarFooter,
  encodeSidecarGroup,
  openSidecarFooter,
  openSidecarGroup,
  pagesPerGroup,
} from '../../shared/format/sidecar.ts'
import { VaultError } from '../../shared/format/vault-error.ts'
import { fc } from '../support/fast-check.ts'

const origin = { name: 'sidecars/r1/os', place: 0 }
const layerDigest = 'ab'.repeat(32)

/** Groups by number, each with some of its pages. */
const groupsOf = () =>
  fc.dictionary(
    fc.integer({ min: 0, max: 2 ** 24 }).map(String),
    fc.uniqueArray(fc.integer({ min: 0, max: pagesPerGroup - 1 }), { minLength: 1, maxLength: 40 }),
    { minKeys: 1, maxKeys: 6 },
  )

const hashOf = (group: number, page: number): Buffer => digestBytes(Buffer.from(`${group}/${page}`)).subarray(0, 16)

const encode = (groups: Readonly<Record<string, readonly number[]>>, keyId: string | null): Buffer => {
  const numbers = Object.keys(groups).map(Number)
  const sorted = numbers.toSorted((a, b) => a - b)
  const bodies = sorted.map((number) => {
    const pages = (groups[String(number)] ?? []).toSorted((a, b) => a - b)
    return encodeSidecarGroup({ pages, hashes: Buffer.concat(pages.map((page) => hashOf(number, page))) })
  })
  const entries = bodies.map((bytes, index) => ({
    number: sorted[index] ?? 0,
    lengthBytes: bytes.length,
    digest: digestBytes(bytes),
  }))
  return Buffer.concat([...bodies, encodeSidecarFooter({ keyId, layerDigest }, entries)])
}

const open = (object: Buffer) => {
  const footerBytes = object.readUInt32LE(object.length - 12)
  const place = object.length - footerBytes
  const footer = openSidecarFooter(object.subarray(place), { ...origin, place }, object.length)
  const hash = (number: number, page: number): Uint8Array | null => {
    const entry = footer.find(number)
    if (entry === null) return null
    const bytes = object.subarray(entry.placeBytes, entry.placeBytes + entry.lengthBytes)
    return openSidecarGroup(bytes, entry, origin.name).hashOf(page)
  }
  return { footer, hash }
}

describe('a sidecar', () => {
  it('gives back each page hash that was put in, and no other', () => {
    fc.assert(
      fc.property(groupsOf(), fc.constantFrom(null, 'cd'.repeat(16)), (groups, keyId) => {
        const { footer, hash } = open(encode(groups, keyId))
        expect(footer).toMatchObject({ keyId, layerDigest })
        for (const [number, pages] of Object.entries(groups)) {
          for (const page of pages) expect(hash(Number(number), page)).toEqual(hashOf(Number(number), page))
          for (let page = 0; page < pagesPerGroup; page += 97)
            if (!pages.includes(page)) expect(hash(Number(number), page)).toBeNull()
          if (!(String(Number(number) + 1) in groups)) expect(footer.find(Number(number) + 1)).toBeNull()
        }
      }),
      { numRuns: 40 },
    )
  })

  it('is laid out as documented', () => {
    const object = encode({ 3: [0, 9] }, null)
    expect(object.subarray(0, 2)).toEqual(Buffer.from([1, 2]))
    expect(object.subarray(512, 528)).toEqual(hashOf(3, 0))
    const footer = object.subarray(544)
    expect(footer.toString('latin1', 0, 8)).toBe('DVPAGES\0')
    expect(footer[8]).toBe(1)
    expect(footer.readUInt32LE(12)).toBe(1)
    expect(footer.subarray(32, 64).toString('hex')).toBe(layerDigest)
    expect(footer.readBigUInt64LE(64)).toBe(3n)
    expect(footer.readUInt32LE(72)).toBe(544)
    expect(footer.subarray(80, 112)).toEqual(digestBytes(object.subarray(0, 544)))
    expect(footer.subarray(112, 144)).toEqual(digestBytes(footer.subarray(0, 112)))
    expect(footer.readUInt32LE(144)).toBe(footer.length)
    expect(footer.toString('latin1', 148)).toBe('DVPAGEND')
  })

  it('is refused where any of its bytes is another, or where it is cut', () => {
    const object = encode({ 0: [1, 5, 4095], 7: [2] }, 'cd'.repeat(16))
    const readAll = (bytes: Buffer) => {
      const { hash } = open(bytes)
      for (const [number, page] of [
        [0, 1],
        [0, 5],
        [7, 2],
      ] as const)
        hash(number, page)
    }
    readAll(object)
    for (let at = 0; at < object.length; at += 1) {
      const damaged = Buffer.from(object)
      damaged[at] = (damaged[at] ?? 0) ^ 16
      expect(() => readAll(damaged), `at ${at}`).toThrow(Error)
    }
    expect(() => openSidecarFooter(object.subarray(-100), origin, object.length)).toThrow(VaultError)
    expect(() => open(object.subarray(1))).toThrow(VaultError)
  })

  it('hashes a page by SHA-256, or by HMAC with a key that follows from the data key', () => {
    const page = Buffer.alloc(4096, 'page')
    const plain = createHash('sha256').update(page).digest().subarray(0, 16)
    expect(Buffer.from(createPageHasher(null)(page))).toEqual(plain)
    const key = { keyId: '0'.repeat(31).concat('1'), bytes: Buffer.alloc(32, 7) }
    const secret = Buffer.from(hkdfSync('sha256', key.bytes, '', 'deltavault page hash v1\0', 32))
    const keyed = createHmac('sha256', secret).update(page).digest().subarray(0, 16)
    expect(Buffer.from(createPageHasher(key)(page))).toEqual(keyed)
  })
})
