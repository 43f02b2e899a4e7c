import assert from 'node:assert/strict'
import { createCipheriv, createDecipheriv, createSecretKey, hkdfSync, type KeyObject, randomBytes } from 'node:crypto'
import { keepLatest } from '../domain/keep-latest.ts'
import { createByteWriter } from './byte-writer.ts'
import type { DataKey } from './data-key.ts'
import type { SliceKey } from './names.ts'

/** One attempt at a slice: each has a frame key of its own. */
export interface AttemptKey extends SliceKey {
  readonly attempt: number
}

/** Encrypts the frames of one run of one attempt (docs/format.md, section 3). */
export interface FrameCipher {
  readonly keyId: string
  /** 12 bytes: what was drawn for this run, then the ordinal. */
  nonceOf(ordinal: number): Buffer
  /** @param ordinal given once only
   * @param header the frame header before its tag, which is thereby bound to the payload */
  sealPayload(
    payload: Uint8Array,
    ordinal: number,
    header: Uint8Array,
  ): { readonly payload: Buffer; readonly tag: Buffer }
}

const algorithm = 'aes-256-gcm'
/** Names a data key; drawn at random. */
export const keyIdBytes = 16
/** What AES-GCM takes without hashing it first (NIST SP 800-38D, 7.1). */
export const nonceBytes = 12
/** The whole tag of AES-GCM. */
export const tagBytes = 16
const drawnBytes = 8

/** @param drawn 8 random bytes of this run alone: two runs that should ever share an attempt number still share no nonce */
export const createFrameCipher = (
  key: DataKey,
  attempt: AttemptKey,
  drawn: Uint8Array = randomBytes(drawnBytes),
): FrameCipher => {
  assert(drawn.length === drawnBytes)
  const frameKey = frameKeyOf(key, attempt)
  const nonceOf = (ordinal: number): Buffer => {
    const nonce = Buffer.alloc(nonceBytes)
    nonce.set(drawn)
    nonce.writeUInt32LE(ordinal, drawnBytes)
    return nonce
  }
  return {
    keyId: key.keyId,
    nonceOf,
    sealPayload: (payload, ordinal, header) => {
      const cipher = createCipheriv(algorithm, frameKey, nonceOf(ordinal), { authTagLength: tagBytes })
      cipher.setAAD(header)
      const sealed = cipher.update(payload)
      cipher.final()
      return { payload: sealed, tag: cipher.getAuthTag() }
    },
  }
}

/** The payload before encryption, or null where the tag does not fit: another key, or bytes that were not sealed with this header. */
export const openPayload = (
  sealed: {
    readonly payload: Uint8Array
    readonly nonce: Uint8Array
    readonly tag: Uint8Array
    readonly header: Uint8Array
  },
  key: DataKey,
  attempt: AttemptKey,
): Buffer | null => {
  const decipher = createDecipheriv(algorithm, keptFrameKey(key, attempt), sealed.nonce, { authTagLength: tagBytes })
  decipher.setAAD(sealed.header)
  decipher.setAuthTag(sealed.tag)
  const payload = decipher.update(sealed.payload)
  try {
    decipher.final()
    return payload
  } catch {
    return null
  }
}

const infoHead = Buffer.from('deltavault frame v1\0', 'latin1')

const frameKeyOf = (key: DataKey, attempt: AttemptKey): KeyObject => {
  assert(key.bytes.length === 32, 'a data key has 32 bytes')
  const info = createByteWriter(256)
  info.raw(infoHead)
  info.text(attempt.recoveryPointId)
  info.text(attempt.disk)
  info.u32(attempt.slice)
  info.u32(attempt.attempt)
  return createSecretKey(Buffer.from(hkdfSync('sha256', key.bytes, Buffer.alloc(0), info.view(), 32)))
}

/** A read goes through the frames of a few attempts at a time, one for each layer of a stack. */
const keptFrameKeysMax = 256
const kept = new WeakMap<DataKey, Map<string, KeyObject>>()

const keptFrameKey = (key: DataKey, attempt: AttemptKey): KeyObject => {
  const known = kept.get(key) ?? new Map<string, KeyObject>()
  kept.set(key, known)
  const name = `${attempt.recoveryPointId}/${attempt.disk}/${attempt.slice}/${attempt.attempt}`
  const frameKey = known.get(name) ?? frameKeyOf(key, attempt)
  keepLatest(known, name, frameKey, keptFrameKeysMax)
  return frameKey
}
