import type { DataKey } from '../format/data-key.ts'
import { dataKeyName } from '../format/names.ts'
import { VaultError } from '../format/vault-error.ts'
import {
  explainWrapperFailure,
  KeyServiceError,
  type KeyWrapper,
  type KeyWrapping,
  type WrapperFailure,
} from '../ports/key-wrapper.ts'
import { isDataKeyOf, type KeyRecord } from './key-record.ts'

/** Opens a data key by the first wrapping that can be opened.
 * @throws VaultError `key-locked` where no wrapping key may be used, `wrong-key` where what came out is another key; KeyServiceError where
 * another try may help */
export const unwrapDataKey = async (record: KeyRecord, wrappers: readonly KeyWrapper[]): Promise<DataKey> => {
  const failures: WrapperFailure[] = []
  for (const wrapping of record.wrappings) {
    const wrapper = wrappers.find(({ kind }) => kind === wrapping.kind)
    if (wrapper === undefined) continue
    const opened = await wrapper.unwrap(wrapping)
    if (opened.kind !== 'unwrapped') failures.push(opened)
    else if (isDataKeyOf(record, opened.dataKey)) return { keyId: record.keyId, bytes: Uint8Array.from(opened.dataKey) }
    else failures.push({ kind: 'bad-wrapping', key: wrapping.key })
  }
  throw unopened(record, failures)
}

const unopened = ({ keyId, revision, wrappings }: KeyRecord, failures: readonly WrapperFailure[]): Error => {
  const name = dataKeyName(keyId, revision)
  for (const failure of failures)
    if (failure.kind === 'unreachable' || failure.kind === 'throttled') return new KeyServiceError(failure)
  if (failures.length > 0 && failures.every(({ kind }) => kind === 'bad-wrapping'))
    return new VaultError({ code: 'wrong-key', name, place: 0, keyId })
  const detail = failures.map(explainWrapperFailure).join('; ') || notConfigured(wrappings)
  return new VaultError({ code: 'key-locked', name, keyId, detail })
}

const notConfigured = (wrappings: readonly KeyWrapping[]): string =>
  `the settings name no key that could: it is wrapped by ${wrappings.map(({ kind, key }) => `${kind} ${key}`).join(', ')}`
