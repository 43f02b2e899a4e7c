import { randomBytes } from 'node:crypto'
import type { Config } from '../../shared/config.ts'
import { VaultError } from '../../shared/format/vault-error.ts'
import { safeText } from '../../shared/jobs/step-failure.ts'
import { explainWrapperFailure, type KeyWrapper, type WrapperFailure } from '../../shared/ports/key-wrapper.ts'
import { listDataKeys } from '../../shared/vault/stored-keys.ts'
import type { Connected } from './connect.ts'
import { type Found, notChecked, ok, problem, problemOf } from './finding.ts'

const keyVaultHint =
  'Name an RSA key that is enabled and valid, and give the identity the role Key Vault Crypto Service Encryption User on it.'
const keyFileHint = 'See that KEY_FILE names the key file, and that it can be read and holds 64 hex digits a line.'

/** What to do about a wrapping key of this kind. */
export const keyHint = (wrapWith: Config['keys']['wrapWith']): string =>
  wrapWith === 'file' ? keyFileHint : keyVaultHint

/** Whether the wrapping key of the settings wraps and unwraps, with 32 random bytes that are stored nowhere. */
export async function* checkWrappingKey({ config, wrappers }: Connected): AsyncGenerator<Found> {
  if (wrappers.wrapWith === null)
    return yield notChecked('VAULT_KEY names no key: new recovery points are not encrypted.')
  yield await wrapAndUnwrap(wrappers.wrapWith, keyHint(config.keys.wrapWith))
}

const wrapAndUnwrap = async (wrapper: KeyWrapper, hint: string): Promise<Found> => {
  const sample = randomBytes(32)
  const wrapped = await wrapper.wrap(sample)
  if (wrapped.kind !== 'wrapped') return failed('wrap', wrapped, hint)
  const unwrapped = await wrapper.unwrap(wrapped.wrapping)
  if (unwrapped.kind !== 'unwrapped') return failed('unwrap', unwrapped, hint)
  if (Buffer.compare(unwrapped.dataKey, sample) === 0)
    return ok(`The key ${wrapped.wrapping.key} (${wrapped.wrapping.kind}) wraps and unwraps.`)
  return problem(`The key ${wrapped.wrapping.key} unwraps other bytes than it wrapped.`, hint)
}

const failed = (what: string, failure: WrapperFailure, hint: string): Found =>
  problem(`The wrapping key does not ${what}: ${safeText(explainWrapperFailure(failure))}.`, hint)

/** Whether the data keys of the vault open with the keys of the settings: a wrong wrapping key shows here alone. */
export async function* checkDataKeys({ config, survey, vault, keys }: Connected): AsyncGenerator<Found> {
  const { vaultContainer } = config.storage
  if ((await survey.container(vaultContainer)).kind === 'absent')
    return yield notChecked(`There is no container ${vaultContainer}.`)
  const stored = await listDataKeys(vault)
  if (stored.length === 0) return yield ok('The vault has no data key yet; the first encrypted backup makes one.')
  let opened = 0
  for (const { keyId } of stored)
    try {
      await keys.find(keyId)
      opened += 1
    } catch (error) {
      yield notOpened(error, config.keys)
    }
  if (opened === stored.length) yield ok(`All data keys of the vault open (${opened}).`)
}

/** Whoever has a key file alone gets no advice on a Key Vault. */
const notOpened = (error: unknown, { keyFile, keyVaultKeyUrls }: Config['keys']): Found =>
  error instanceof VaultError && keyFile !== null && keyVaultKeyUrls.length === 0
    ? problem(
        safeText(error.message),
        'Name the key file of this very vault by KEY_FILE; an earlier key goes on a line below the first.',
      )
    : problemOf(error, 'Name the wrapping key of this very vault; an earlier one goes behind the first.')
