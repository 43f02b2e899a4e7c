import { type DataKey, type KeyRing, noKeys } from '../format/data-key.ts'
import { decodeFrameHeader, frameHeaderBytesMax } from '../format/frame.ts'
import { dataKeyName } from '../format/names.ts'
import { VaultError } from '../format/vault-error.ts'
import type { BlobReader, CallOptions } from '../ports/blob-store.ts'
import { KeyServiceError, WrappingKeyError } from '../ports/key-wrapper.ts'
import type { FrameUsage } from './frame-usage.ts'
import { inBatches } from './in-batches.ts'
import { readExactly } from './objects.ts'

/** The data keys as far as frames are opened and written anew. */
export interface RegatherKeys {
  /** All data keys of the vault, for reading. */
  ring(): Promise<KeyRing>
  /** The data key for new frames; null where there is none. */
  current(): Promise<DataKey | null>
}

/** For vaults without encryption. */
export const noRegatherKeys: RegatherKeys = { ring: async () => noKeys, current: async () => null }

const readsAtOnce = 8

/** Sees before anything is begun that frames can be opened and, where they are encrypted, encrypted again.
 * @param samples one frame of each attempt
 * @throws VaultError `key-missing`, `key-locked`; WrappingKeyError, KeyServiceError: see `isKeyFault` */
export const requireKeys = async (
  reader: BlobReader,
  keys: RegatherKeys,
  samples: readonly FrameUsage[],
  options: CallOptions,
): Promise<void> => {
  const keyIds = new Set<string>()
  await inBatches(samples, readsAtOnce, async ({ segment, placeBytes: place, storedBytes }) => {
    const range = { offsetBytes: place, lengthBytes: Math.min(storedBytes, frameHeaderBytesMax) }
    const { sealed } = decodeFrameHeader(await readExactly(reader, segment, range, options), { name: segment, place })
    if (sealed !== null) keyIds.add(sealed.keyId)
  })
  const [first] = keyIds
  if (first === undefined) return
  const ring = await keys.ring()
  for (const keyId of keyIds) ring.find(keyId)
  await currentKey(keys, first)
}

/** @param keyId what was encrypted was so under this one
 * @throws VaultError `key-missing` where new frames could not be encrypted */
export const currentKey = async (keys: RegatherKeys, keyId: string): Promise<DataKey> => {
  const current = await keys.current()
  if (current === null) throw new VaultError({ code: 'key-missing', name: dataKeyName(keyId, 1), keyId })
  return current
}

/** True where keys are not at hand: what needs them has to wait, all else goes on. */
export const isKeyFault = (error: unknown): error is Error => {
  if (error instanceof WrappingKeyError || error instanceof KeyServiceError) return true
  return error instanceof VaultError && keyFaults.has(error.fault.code)
}

const keyFaults: ReadonlySet<string> = new Set(['key-missing', 'key-locked', 'wrong-key'])
