import type { TokenCredential } from '@azure/identity'
import type { KeySettings } from '../config.ts'
import type { KeyWrapper, KeyWrappers } from '../ports/key-wrapper.ts'
import { createKeyFileWrapper } from './key-file-wrapper.ts'
import { createKeyVaultWrapper } from './key-vault-wrapper.ts'

/** The wrapping keys of the settings. Reads no file and makes no request. */
export const connectKeys = (settings: KeySettings, credential: TokenCredential): KeyWrappers => {
  const file = settings.keyFile === null ? null : createKeyFileWrapper(settings.keyFile)
  const keyVault = keyVaultOf(settings.keyVaultKeyUrls, credential)
  const wrapWith = { none: null, file, 'key-vault': keyVault }[settings.wrapWith]
  return { wrapWith, unwrapWith: [keyVault, file].filter((wrapper) => wrapper !== null) }
}

const keyVaultOf = ([first, ...others]: readonly string[], credential: TokenCredential): KeyWrapper | null =>
  first === undefined ? null : createKeyVaultWrapper({ credential, keyUrls: [first, ...others] })
