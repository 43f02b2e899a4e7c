/** What is wrong with stored bytes, or with what was asked of the vault. `name` is the object, `place` the byte in it. */
export type VaultFault =
  | { readonly code: 'object-missing'; readonly name: string }
  | { readonly code: 'short'; readonly name: string; readonly place: number }
  | { readonly code: 'malformed'; readonly name: string; readonly place: number; readonly detail: string }
  | { readonly code: 'unsupported-version'; readonly name: string; readonly version: number }
  | {
      readonly code: 'digest-mismatch'
      readonly name: string
      readonly place: number
      readonly expected: string
      readonly actual: string
    }
  | {
      readonly code: 'wrong-birth'
      readonly name: string
      readonly place: number
      readonly expected: string
      readonly actual: string
    }
  | { readonly code: 'twin-differs'; readonly name: string }
  | { readonly code: 'bad-ranges'; readonly name: string; readonly detail: string }
  | { readonly code: 'numbers-exhausted'; readonly name: string; readonly limit: number }
  /** `name` is the object that should hold the data key. */
  | { readonly code: 'key-missing'; readonly name: string; readonly keyId: string }
  /** The wrapping key that would open the data key refuses or is gone. `detail` holds no secret. */
  | { readonly code: 'key-locked'; readonly name: string; readonly keyId: string; readonly detail: string }
  /** The stored bytes are proven and the key does not open them. */
  | { readonly code: 'wrong-key'; readonly name: string; readonly place: number; readonly keyId: string }

/** Thrown instead of ever returning bytes that are not proven. Another try does not cure it. */
export class VaultError extends Error {
  override readonly name = 'VaultError'
  readonly fault: VaultFault
  constructor(fault: VaultFault, options?: ErrorOptions) {
    super(explain(fault), options)
    this.fault = fault
  }
  /** What the operator can do next. */
  get hint(): string {
    return hintOf(this.fault)
  }
}

/** For `catch`: what is damaged or of a later format counts as not there. Anything else is thrown on. */
export const nullIfUnreadable = (error: unknown): null => {
  if (error instanceof VaultError) return null
  throw error
}

/** Whether bytes are missing or wrong. A later format is no damage: who wrote it can read it. */
export const isDamage = (error: unknown): error is VaultError =>
  error instanceof VaultError && error.fault.code !== 'unsupported-version'

/** For `catch`: what is damaged counts as not there. Anything else, a later format too, is thrown on. */
export const nullIfDamaged = (error: unknown): null => {
  if (isDamage(error)) return null
  throw error
}

/** For `catch`: the error as a value. Anything but a VaultError is thrown on. */
export const vaultErrorOnly = (error: unknown): VaultError => {
  if (error instanceof VaultError) return error
  throw error
}

const explain = (fault: VaultFault): string => {
  switch (fault.code) {
    case 'object-missing':
      return `The vault has no object ${fault.name}.`
    case 'short':
      return `The object ${fault.name} ends before byte ${fault.place}.`
    case 'malformed':
      return `The object ${fault.name} is malformed at byte ${fault.place}: ${fault.detail}.`
    case 'unsupported-version':
      return `The object ${fault.name} has format version ${fault.version}, which this program does not know.`
    case 'digest-mismatch':
      return `The bytes of ${fault.name} at ${fault.place} do not have the digest ${fault.expected} but ${fault.actual}.`
    case 'wrong-birth':
      return `The object ${fault.name} at byte ${fault.place} is ${fault.actual} where ${fault.expected} belongs.`
    case 'twin-differs':
      return `The object ${fault.name} exists already with other content than this step makes.`
    case 'bad-ranges':
      return `The list of changed ranges of ${fault.name} cannot be used: ${fault.detail}.`
    case 'numbers-exhausted':
      return `All ${fault.limit} numbers below ${fault.name} are taken.`
    case 'key-missing':
      return `The data key ${fault.keyId} is not at hand: ${fault.name} would hold it.`
    case 'key-locked':
      return `The data key ${fault.keyId} in ${fault.name} cannot be unwrapped: ${fault.detail}.`
    case 'wrong-key':
      return `The bytes of ${fault.name} at ${fault.place} are whole, but the data key ${fault.keyId} does not open them.`
    default:
      return fault satisfies never
  }
}

const damagedHint =
  'The stored object is damaged or gone. Look for it among soft-deleted or earlier versions in the storage account, or restore another recovery point.'

const curableHint =
  'The stored object is damaged or gone. First run POST maintenance with {"recheck": true}: a lost index is rebuilt from its segments. Then back the VM up: the next backup stores damaged data again. If this very recovery point is needed, look for the object among soft-deleted or earlier versions in the storage account; else restore another one.'

const keyHint =
  'What names or holds a data key is damaged. Look for the object among earlier versions in the storage account. POST keys/rotate with {"what": "wrapping-key"} makes the record of a data key whole again while an earlier revision of it is. Where nothing helps, give new backups another key by {"what": "data-key", "evenIfLocked": true} and run POST maintenance: the next backups store anew what they cannot read.'

const jobHint =
  'What this job has noted in the control container is damaged or gone. Start a new one. Check that nothing but the function app changes or removes objects there.'

const controlHint =
  'The object of the control container cannot be read. Bring it back from an earlier version; or, once no job and no maintenance pass is running, remove it and run POST maintenance.'

const hintOf = (fault: VaultFault): string => {
  switch (fault.code) {
    case 'unsupported-version':
      return 'Read this vault with a newer release.'
    case 'bad-ranges':
      return 'Start a new backup; report it if it happens again.'
    case 'numbers-exhausted':
      return 'Cancel this job and start a new backup.'
    case 'key-missing':
      return 'Configure the key that this vault is encrypted under. If the object of the data key is gone from the vault, look for it among soft-deleted or earlier versions in the storage account. Where it cannot be brought back, give new backups another one by POST keys/rotate with {"what": "data-key", "evenIfLocked": true} and run POST maintenance: the next backups store anew what they cannot read.'
    case 'key-locked':
      return 'Name the wrapping key in the settings, or put its line back into the key file; let the identity of this program unwrap with it (Key Vault: role Key Vault Crypto Service Encryption User), and see that it is enabled and not deleted; a deleted one can be recovered while it is soft-deleted.'
    case 'wrong-key':
      return 'Another key than the one this was written under goes by the same id. Configure the wrapping key of this very vault.'
    default:
      if (fault.name.startsWith('keys/')) return keyHint
      if (/^(attempts|plans)\//.test(fault.name)) return jobHint
      if (/^(condemned|intents)\//.test(fault.name)) return controlHint
      return /^(layers|segments)\//.test(fault.name) ? curableHint : damagedHint
  }
}
