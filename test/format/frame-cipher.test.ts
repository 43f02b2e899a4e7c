import { createDecipheriv, createHash, createHmac } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { type DataKey, type KeyRing, noKeys } from '../../shared/format/data-key.ts'
import { type Birth, decodeFrameHeader, encodeFrame, type FramePlace, openFrame } from '../../shared/format/frame.ts'
import { createFrameCipher } from '../../shared/format/frame-cipher.ts'
import { VaultError } from '../../shared/format/vault-error.ts'
import { fc } from '../support/fast-check.ts'
import { seededRandom } from '../support/seeded-random.ts'

const random = seededRandom(71)
const keyOf = (digit: string): DataKey => ({ keyId: digit.repeat(32), bytes: random.bytes(32) })
const key = keyOf('a')
const ringOf = (...keys: DataKey[]): KeyRing => ({
  current: keys[0] ?? null,
  find: (keyId) => keys.find((candidate) => candidate.keyId === keyId) ?? noKeys.find(keyId),
})
const birth: Birth = { recoveryPointId: 'r1', disk: 'lun-0', slice: 3, attempt: 2, ordinal: 5 }

const sealed = (plain: Buffer, of: Birth = birth, under: DataKey = key): { stored: Buffer; place: FramePlace } => {
  const frame = { birth: of, compression: 'raw' as const, payload: plain, plainBytes: plain.length }
  const { header, payload, digest } = encodeFrame(frame, createFrameCipher(under, of))
  const stored = Buffer.concat([header, payload])
  const { length } = stored
  return {
    stored,
    place: { segment: 's', placeBytes: 0, storedBytes: length, plainBytes: plain.length, digest, birth: of },
  }
}

/** The payload as any AES-256-GCM opens it, with nothing of this project but the places of section 3. */
const openedWith = (frameKey: Buffer, stored: Buffer): Buffer => {
  const headerBytes = stored.readUInt16LE(12)
  const decipher = createDecipheriv('aes-256-gcm', frameKey, stored.subarray(52, 64))
  decipher.setAAD(stored.subarray(0, headerBytes - 52))
  decipher.setAuthTag(stored.subarray(headerBytes - 52, headerBytes - 36))
  return Buffer.concat([decipher.update(stored.subarray(headerBytes)), decipher.final()])
}

const faultOf = (act: () => unknown): string => {
  try {
    act()
  } catch (error) {
    if (error instanceof VaultError) return error.fault.code
    throw error
  }
  return 'none'
}

describe('an encrypted frame', () => {
  it('gives back the plain bytes to whoever has the key, and does not hold them', () => {
    const content = fc.uint8Array({ minLength: 16, maxLength: 64 }).map((seed) => Buffer.alloc(2048, seed))
    fc.assert(
      fc.property(content, (plain) => {
        const { stored, place } = sealed(plain)
        expect(Buffer.from(openFrame(stored, place, ringOf(key))).equals(plain)).toBe(true)
        expect(stored.includes(plain.subarray(0, 16))).toBe(false)
        expect(decodeFrameHeader(stored, { name: 's', place: 0 }).sealed?.keyId).toBe(key.keyId)
      }),
    )
  })

  it('tells damage without a key, and a wrong key where nothing is damaged', () => {
    const { stored, place } = sealed(random.bytes(1024))
    for (let at = 0; at < stored.length; at += 1) {
      const flipped = Buffer.from(stored)
      flipped[at] = (flipped[at] ?? 0) ^ (1 << (at % 8))
      expect(['malformed', 'digest-mismatch', 'unsupported-version']).toContain(
        faultOf(() => openFrame(flipped, place, noKeys)),
      )
    }
    expect(faultOf(() => openFrame(stored, place, noKeys))).toBe('key-missing')
    const impostor = { ...keyOf('b'), keyId: key.keyId }
    expect(() => openFrame(stored, place, ringOf(impostor))).toThrow(
      expect.objectContaining({ fault: { code: 'wrong-key', name: 's', place: 0, keyId: key.keyId } }),
    )
    expect(faultOf(() => openFrame(stored, place, ringOf(key)))).toBe('none')
  })

  it('cannot be told to be plain, or to be under another key: what says so is digested with the payload', () => {
    const { stored, place } = sealed(random.bytes(1024))
    const end = stored.readUInt16LE(12)
    const forgeries = [
      (bytes: Buffer) => {
        bytes[10] = 0
        bytes.fill(0, 36, 64)
        bytes.fill(0, end - 52, end - 36)
      },
      (bytes: Buffer) => bytes.fill(0x0c, 36, 52),
      (bytes: Buffer) => bytes.fill(0x0c, 52, 64),
    ]
    for (const forge of forgeries)
      for (const hasOwnDigest of [false, true]) {
        const forged = Buffer.from(stored)
        forge(forged)
        const digest = createHash('sha256')
          .update(forged.subarray(0, end - 36))
          .update(forged.subarray(end))
          .digest()
        if (hasOwnDigest) forged.set(digest, end - 36)
        forged.writeUInt32LE(crc32(forged.subarray(0, end - 4)), end - 4)
        expect(faultOf(() => openFrame(forged, place, ringOf(key)))).toBe('digest-mismatch')
      }
  })

  it('opens under each of several keys, by the id that it names', () => {
    const other = keyOf('c')
    const ring = ringOf(key, other)
    for (const under of [key, other]) {
      const plain = random.bytes(512)
      const { stored, place } = sealed(plain, birth, under)
      expect(Buffer.from(openFrame(stored, place, ring)).equals(plain)).toBe(true)
    }
  })

  it('is bound to its birth: a header made for another one does not open the payload', () => {
    const plain = random.bytes(512)
    const { stored } = sealed(plain)
    const { headerBytes } = decodeFrameHeader(stored, { name: 's', place: 0 })
    for (const change of [{ slice: 4 }, { attempt: 3 }, { ordinal: 6 }, { disk: 'lun-1' }, { recoveryPointId: 'r2' }]) {
      const moved = { ...birth, ...change }
      const cipher = {
        keyId: key.keyId,
        nonceOf: () => stored.subarray(52, 64),
        sealPayload: () => ({
          payload: stored.subarray(headerBytes),
          tag: stored.subarray(headerBytes - 52, headerBytes - 36),
        }),
      }
      const frame = { birth: moved, compression: 'raw' as const, payload: plain, plainBytes: 512 }
      const forged = encodeFrame(frame, cipher)
      const bytes = Buffer.concat([forged.header, forged.payload])
      const place = {
        segment: 's',
        placeBytes: 0,
        storedBytes: bytes.length,
        plainBytes: 512,
        digest: forged.digest,
        birth: moved,
      }
      expect(faultOf(() => openFrame(bytes, place, ringOf(key)))).toBe('wrong-key')
    }
  })

  it('has the frame key and the nonce that docs/format.md, section 3, describes', () => {
    const drawn = Buffer.from('0102030405060708', 'hex')
    const cipher = createFrameCipher(key, birth, drawn)
    expect(cipher.nonceOf(0x0a0b0c0d).toString('hex')).toBe('01020304050607080d0c0b0a')
    const info = Buffer.concat([
      Buffer.from('deltavault frame v1\0'),
      Buffer.from('020072310500', 'hex'),
      Buffer.from('lun-0'),
      Buffer.from('0300000002000000', 'hex'),
    ])
    const zeroSalt = Buffer.alloc(32)
    const extracted = createHmac('sha256', zeroSalt).update(key.bytes).digest()
    const expanded = createHmac('sha256', extracted).update(info).update(Uint8Array.of(1)).digest()
    const { stored } = sealed(Buffer.alloc(512, 'x'))
    expect(openedWith(expanded, stored).equals(Buffer.alloc(512, 'x'))).toBe(true)
  })

  it('has other bytes each time it is made: no two runs share a nonce', () => {
    const plain = random.bytes(512)
    const nonces = new Set(Array.from({ length: 50 }, () => sealed(plain).stored.toString('hex', 52, 64)))
    expect(nonces.size).toBe(50)
  })
})
