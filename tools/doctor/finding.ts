import { ArmError } from '../../shared/azure/arm-error.ts'
import { VaultError } from '../../shared/format/vault-error.ts'
import { safeMessage, safeText } from '../../shared/jobs/step-failure.ts'
import { StorageError } from '../../shared/ports/blob-store.ts'
import { SourceError } from '../../shared/ports/disk-reader.ts'
import { KeyServiceError } from '../../shared/ports/key-wrapper.ts'

/** What one check came to, in words for an operator. Holds no secret. */
export type Finding =
  | { readonly kind: 'ok'; readonly check: string; readonly message: string }
  | {
      readonly kind: 'problem'
      readonly check: string
      readonly message: string
      /** What to do next. */
      readonly hint: string
    }
  | { readonly kind: 'notChecked'; readonly check: string; readonly reason: string }

/** What a token is for. */
export type TokenOf = 'Azure Resource Manager' | 'Azure Storage'

/** A check may find several things, and is left by its first fault: that is what the hint is for. */
export interface Check {
  readonly name: string
  readonly hint: string
  /** For faults of the storage, which most checks read from; absent: that of the vault's account. */
  readonly storageHint?: string
  /** Tokens without which nothing can be checked. */
  readonly needs?: readonly TokenOf[]
  readonly run: () => AsyncIterable<Found>
}

/** A finding of the check that finds it. */
export type Found =
  | { readonly kind: 'ok'; readonly message: string }
  | { readonly kind: 'problem'; readonly message: string; readonly hint: string }
  | { readonly kind: 'notChecked'; readonly reason: string }

export const ok = (message: string): Found => ({ kind: 'ok', message })
export const problem = (message: string, hint: string): Found => ({ kind: 'problem', message, hint })
export const notChecked = (reason: string): Found => ({ kind: 'notChecked', reason })

/** Runs checks one after another; a fault of one is its finding.
 * @param lacking tokens that an earlier check found missing: whatever needs one is not checked, as its faults would only mislead */
export async function* findingsOf(
  checks: readonly Check[],
  lacking: ReadonlySet<TokenOf> = new Set(),
): AsyncGenerator<Finding> {
  for (const { name, hint, storageHint, needs = [], run } of checks)
    try {
      const missing = needs.find((token) => lacking.has(token))
      if (missing !== undefined) {
        yield { ...notChecked(`There is no token for ${missing}.`), check: name }
        continue
      }
      for await (const found of run()) yield { ...found, check: name }
    } catch (error) {
      yield {
        ...problemOf(error, error instanceof StorageError ? (storageHint ?? vaultStorageHint) : hint),
        check: name,
      }
    }
}

export const vaultStorageHint =
  'See that the containers and the account are the right ones, that their firewall lets this machine in, and that the identity has the role Storage Blob Data Contributor. A shared access signature must be one of the account, for containers and objects.'

/** The words of these faults say already what is to be done. */
const again = 'Then run the doctor again.'

/** Faults of the adapters are in plain words and name what to do; of all others no more is shown than is surely no secret. */
export const problemOf = (error: unknown, hint: string): Found => {
  if (error instanceof ArmError && error.fault.code === 'refused' && error.fault.reason === 'not-authorized')
    return problem('Azure Resource Manager refused a request: the identity lacks a role.', hint)
  if (error instanceof ArmError && error.fault.code === 'refused')
    return problem(`Azure Resource Manager refused a request (${error.fault.reason}).`, error.fault.hint)
  if (error instanceof ArmError) return problem(safeText(error.message), again)
  if (error instanceof VaultError) return problem(safeText(error.message), error.hint)
  const isOurs = [StorageError, SourceError, KeyServiceError].some((kind) => error instanceof kind)
  return problem(isOurs && error instanceof Error ? safeText(error.message) : safeMessage(error), hint)
}
