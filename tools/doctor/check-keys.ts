import { randomBytes } from 'node:crypto'
import { safeText } from '../../shared/jobs/step-failure.ts'
import { explainWrapperFailure, type KeyWrapper, type WrapperFailure } from '../../shared/ports/key-wrapper.ts'
import { listDataKeys } from '../../shared/vault/stored-keys.ts'
import type { Connected } from './connect.ts'
import { type Found, notChecked, ok, problem, problemOf } from './finding.ts'

export const keyHint =
  'Name an RSA key that is enabled and valid, and give the identity the role Key Vault Crypto Service Encryption User on it; for a key file, see that it can be read and holds 64 hex digits a line.'

/** Whether the wrapping key of the settings wraps and unwraps, with 32 random bytes that are stored nowhere. */
export async function* checkWrappingKey({ wrappers }: Connected): AsyncGenerator<Found> {
  if (wrappers.wrapWith === null)
    return yield notChecked('VAULT_KEY names no key: new recovery points are not encrypted.')
  yield await wrapAndUnwrap(wrappers.wrapWith)
}

const wrapAndUnwrap = async (wrapper: KeyWrapper): Promise<Found> => {
  const sample = randomBytes(32)
  const wrapped = await wrapper.wrap(sample)
  if (wrapped.kind !== 'wrapped') return failed('wrap', wrapped)
  const unwrapped = await wrapper.unwrap(wrapped.wrapping)
  if (unwrapped.kind !== 'unwrapped') return failed('unwrap', unwrapped)
  if (Buffer.compare(unwrapped.dataKey, sample) === 0)
    return ok(`The key ${wrapped.wrapping.key} (${wrapped.wrapping.kind}) wraps and unwraps.`)
  return problem(`The key ${wrapped.wrapping.key} unwraps other bytes than it wrapped.`, keyHint)
}

const failed = (what: string, failure: WrapperFailure): Found =>
  problem(`The wrapping key does not ${what}: ${safeText(explainWrapperFailure(failure))}.`, keyHint)

/** Whether the data keys of the vault open with the keys of the settings: a wrong wrapping key shows here alone. */
export async function* checkDataKeys({ vault, keys }: Connected): AsyncGenerator<Found> {
  const stored = await listDataKeys(vault)
  if (stored.length === 0) return yield ok('The vault has no data key yet; the first encrypted backup makes one.')
  let opened = 0
  for (const { keyId } of stored)
    try {
      await keys.find(keyId)
      opened += 1
    } catch (error) {
      yield problemOf(error, 'Name the wrapping key of this very vault; an earlier one goes behind the first.')
    }
  if (opened === stored.length) yield ok(`All data keys of the vault open (${opened}).`)
}
