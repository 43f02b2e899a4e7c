import { isAbsolute } from 'node:path'
import * as v from 'valibot'
import { jobDaysDefault } from './domain/maintenance.ts'
import type { AccessTier } from './ports/blob-store.ts'

/** Where the two containers are, as plain data: it may cross a thread. The connection string is a secret. */
export interface StorageSettings {
  readonly connection: StorageConnection
  /** Objects are only ever created and expired; may be under an immutability policy. */
  readonly vaultContainer: string
  /** Claims, intents, plans and progress; must be deletable. */
  readonly controlContainer: string
  /** Where segments are kept, nearly all of the vault's bytes. Absent: the account's own tier. Never Archive: restores read at once. */
  readonly segmentTier?: AccessTier
}

/** The convention of Azure Functions for a named connection: one setting with a connection string, or `__blobServiceUri` and an
 * identity (docs: "Identity-based connections" of the Functions reference). */
export type StorageConnection =
  | { readonly kind: 'connectionString'; readonly connectionString: string }
  | { readonly kind: 'identity'; readonly blobServiceUri: string; readonly clientId: string | null }

/** Which keys wrap the vault's data keys, as plain data. Paths and URLs only, no key. */
export interface KeySettings {
  /** What wraps new data keys; `none`: new recovery points are not encrypted, and older ones are read by the keys below. */
  readonly wrapWith: 'none' | 'file' | 'key-vault'
  readonly keyFile: string | null
  /** The first one wraps; may be empty. */
  readonly keyVaultKeyUrls: readonly string[]
}

/** All settings of the app. */
export interface Config {
  readonly subscriptionIds: readonly string[]
  /** Without a trailing slash. */
  readonly armEndpoint: string
  /** Client id of a user-assigned identity; null takes the system-assigned one. */
  readonly identityClientId: string | null
  readonly storage: StorageSettings
  readonly keys: KeySettings
  /** Changed bytes that one slice moves at most. */
  readonly sliceBytes: number
  /** Slices of one disk that are transferred at the same time, at most. */
  readonly lanesMax: number
  /** A backup that is not done by then is stopped and keeps what it transferred. */
  readonly windowHours: number
  /** Days that a job which has ended can be looked at. */
  readonly jobDays: number
  /** Life of a read or write access to a disk. */
  readonly accessSeconds: number
}

/** One setting that is missing or wrong, and what to do. The value itself is not repeated: it may be a secret. */
export interface ConfigProblem {
  readonly setting: string
  readonly problem: string
  readonly fix: string
}

/** Reads the environment. Never throws: every problem is listed at once, so that one round of corrections is enough. */
export const loadConfig = (
  environment: Readonly<Record<string, string | undefined>>,
):
  | { readonly kind: 'ok'; readonly config: Config }
  | { readonly kind: 'problems'; readonly problems: readonly ConfigProblem[] } => {
  const parsed = v.safeParse(settingsSchema, withoutBlanks(environment))
  const connection = connectionOf(environment)
  const problems = [
    ...(parsed.issues ?? []).map(problemOf),
    ...(parsed.success ? keyProblems(parsed.output) : []),
    ...('problem' in connection ? [connection] : []),
    ...(parsed.success && parsed.output.VAULT_CONTAINER === parsed.output.CONTROL_CONTAINER ? [oneContainer] : []),
  ]
  if (!parsed.success || 'problem' in connection || problems.length > 0) return { kind: 'problems', problems }
  return { kind: 'ok', config: configOf(parsed.output, connection) }
}

/** An immutability policy on the vault would keep claims from being released. */
const oneContainer: ConfigProblem = {
  setting: 'CONTROL_CONTAINER',
  problem: 'names the same container as VAULT_CONTAINER',
  fix: 'Give the two containers different names.',
}

const guid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i
/** Azure Storage, "Naming and referencing containers": 3 to 63 lower-case letters, digits and single hyphens. */
const containerName = /^(?=.{3,63}$)[a-z0-9]+(-[a-z0-9]+)*$/

const httpsUrl = (problem: string) =>
  v.pipe(
    v.string(),
    v.check(
      (text) => URL.canParse(text) && new URL(text).protocol === 'https:' && new URL(text).search === '',
      problem,
    ),
    v.transform((text) => text.replace(/\/+$/, '')),
  )

const wholeNumber = (min: number, max: number, fallback: number) =>
  v.optional(
    v.pipe(
      v.string(),
      v.regex(/^\d{1,9}$/, 'is not a whole number'),
      v.transform(Number),
      v.check((number) => number >= min && number <= max, `is not between ${min} and ${max}`),
    ),
    String(fallback),
  )

const container = (fallback: string) =>
  v.optional(v.pipe(v.string(), v.regex(containerName, 'is not a container name')), fallback)

/** Azure Key Vault, "About keys": letters, digits and hyphens name a key; 32 hex digits a version. */
const keyVaultKeyPath = /^\/keys\/[0-9a-z-]{1,127}(\/[0-9a-z]{1,64})?\/?$/i

const isKeyVaultKeyUrl = (text: string): boolean => {
  if (!URL.canParse(text)) return false
  const { protocol, search, hash, username, pathname } = new URL(text)
  return protocol === 'https:' && `${search}${hash}${username}` === '' && keyVaultKeyPath.test(pathname)
}

/** Azure Functions reads a time span as well, which has no space; the form with five fields means other times to other programs. */
const schedule = v.optional(
  v.pipe(
    v.string(),
    v.check((text) => [1, 6].includes(text.split(/\s+/).length), 'does not have six fields'),
  ),
  undefined,
)

const listOf = (text: string): string[] =>
  text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')

const settingsSchema = v.object({
  AZURE_SUBSCRIPTION_IDS: v.pipe(
    v.string('is missing'),
    v.transform(listOf),
    v.check((ids) => ids.length > 0 && ids.every((id) => guid.test(id)), 'is not a list of subscription ids'),
  ),
  AZURE_RESOURCE_MANAGER_ENDPOINT: v.optional(
    httpsUrl('is not an https URL; tokens are never sent over plain http'),
    'https://management.azure.com',
  ),
  AZURE_CLIENT_ID: v.optional(v.pipe(v.string(), v.regex(guid, 'is not a client id')), undefined),
  VAULT_CONTAINER: container('vault'),
  CONTROL_CONTAINER: container('control'),
  VAULT_TIER_SEGMENTS: v.optional(v.picklist(['Hot', 'Cool', 'Cold'], 'is not an access tier'), undefined),
  VAULT_KEY: v.optional(v.picklist(['none', 'file', 'key-vault'], 'is not one of none, file and key-vault'), undefined),
  KEY_FILE: v.optional(v.pipe(v.string(), v.check(isAbsolute, 'is not an absolute path')), undefined),
  KEY_VAULT_KEY_URL: v.optional(
    v.pipe(
      v.string(),
      v.transform(listOf),
      v.check((urls) => urls.length > 0 && urls.every(isKeyVaultKeyUrl), 'is not the URL of a Key Vault key'),
    ),
    undefined,
  ),
  BACKUP_SWEEP_SCHEDULE: schedule,
  MAINTENANCE_SCHEDULE: schedule,
  SLICE_MIB: wholeNumber(16, 16_384, 2048),
  LANES_MAX: wholeNumber(1, 16, 4),
  WINDOW_HOURS: wholeNumber(1, 168, 24),
  JOB_DAYS: wholeNumber(30, 3660, jobDaysDefault),
  ACCESS_SECONDS: wholeNumber(600, 5_184_000, 86_400),
})

const scheduleFix = (usual: string): string =>
  `Give an NCRONTAB expression of six fields: second, minute, hour, day, month, day of week, such as "${usual}".`

const fixes: Readonly<Record<keyof v.InferOutput<typeof settingsSchema>, string>> = {
  AZURE_SUBSCRIPTION_IDS: 'Name the subscriptions whose VMs may be backed up: one or more ids, separated by commas.',
  AZURE_RESOURCE_MANAGER_ENDPOINT:
    'Leave it out for the public cloud, or give the https address of your cloud’s Azure Resource Manager.',
  AZURE_CLIENT_ID:
    'Give the client id (a GUID) of the user-assigned identity, or leave it out for the system-assigned one.',
  VAULT_CONTAINER: 'Use 3 to 63 lower-case letters, digits and single hyphens, or leave it out for "vault".',
  CONTROL_CONTAINER: 'Use 3 to 63 lower-case letters, digits and single hyphens, or leave it out for "control".',
  VAULT_KEY:
    'Say what encrypts new recovery points: "key-vault" with KEY_VAULT_KEY_URL, "file" with KEY_FILE, or "none". With "none" a key that is given still opens older ones.',
  KEY_FILE: 'Give the absolute path of a file with 64 hex digits; "openssl rand -hex 32" makes some.',
  KEY_VAULT_KEY_URL:
    'Give https://<vault>.vault.azure.net/keys/<name>; without a version the newest one wraps. Further URLs, separated by commas, only open what they wrapped.',
  VAULT_TIER_SEGMENTS:
    'Give Hot, Cool or Cold, or leave it out for the account’s own tier. Archive cannot be: restores read at once.',
  BACKUP_SWEEP_SCHEDULE: scheduleFix('0 */5 * * * *'),
  MAINTENANCE_SCHEDULE: scheduleFix('0 30 3 * * *'),
  SLICE_MIB: 'Give a whole number of MiB from 16 to 16384, or leave it out for 2048.',
  LANES_MAX: 'Give a whole number from 1 to 16, or leave it out for 4.',
  WINDOW_HOURS: 'Give a whole number of hours from 1 to 168, or leave it out for 24.',
  JOB_DAYS: `Give a whole number of days from 30 to 3660, or leave it out for ${jobDaysDefault}.`,
  ACCESS_SECONDS: 'Give a whole number of seconds from 600 to 5184000, or leave it out for 86400.',
}

/** A key that is given and not used would let somebody believe that the vault is encrypted. */
const keyProblems = (settings: v.InferOutput<typeof settingsSchema>): readonly ConfigProblem[] => {
  const { VAULT_KEY, KEY_FILE, KEY_VAULT_KEY_URL } = settings
  const missing = (setting: 'VAULT_KEY' | 'KEY_FILE' | 'KEY_VAULT_KEY_URL', problem: string): ConfigProblem[] => [
    { setting, problem, fix: fixes[setting] },
  ]
  if (VAULT_KEY === 'file' && KEY_FILE === undefined) return missing('KEY_FILE', 'is missing, as VAULT_KEY is "file"')
  if (VAULT_KEY === 'key-vault' && KEY_VAULT_KEY_URL === undefined)
    return missing('KEY_VAULT_KEY_URL', 'is missing, as VAULT_KEY is "key-vault"')
  if (VAULT_KEY === undefined && (KEY_FILE ?? KEY_VAULT_KEY_URL) !== undefined)
    return missing('VAULT_KEY', 'is missing, although a key is given')
  return []
}

const problemOf = (issue: v.InferIssue<typeof settingsSchema>): ConfigProblem => {
  const setting = String(issue.path?.[0]?.key ?? 'settings')
  const problem = issue.kind === 'schema' && issue.received === 'undefined' ? 'is missing' : issue.message
  return { setting, problem, fix: fixes[setting as keyof typeof fixes] ?? 'See local.settings.sample.json.' }
}

/** The account that a named connection means.
 * @param setting name of the connection: `VaultStorage`, or `AzureWebJobsStorage` for the account of the Functions host */
export const connectionOf = (
  environment: Readonly<Record<string, string | undefined>>,
  setting = 'VaultStorage',
): StorageConnection | ConfigProblem => {
  const connectionString = environment[setting]?.trim()
  const blobServiceUri = environment[`${setting}__blobServiceUri`]?.trim()
  if (connectionString && blobServiceUri)
    return {
      setting,
      problem: `is given together with ${setting}__blobServiceUri`,
      fix: `Keep one of the two; prefer ${setting}__blobServiceUri with an identity.`,
    }
  if (connectionString) return connectionStringOf(connectionString, setting)
  if (blobServiceUri) return identityOf(blobServiceUri, environment[`${setting}__clientId`]?.trim() || null, setting)
  return {
    setting,
    problem: 'is missing',
    fix: `Set ${setting}__blobServiceUri (https://<account>.blob.core.windows.net) and give the identity the role Storage Blob Data Contributor, or set ${setting} to a connection string.`,
  }
}

const connectionStringOf = (text: string, setting: string): StorageConnection | ConfigProblem => {
  const keys = text.split(';').map((part) => part.split('=')[0]?.trim().toLowerCase())
  const isUsable = keys.includes('accountname') && keys.includes('accountkey')
  if (isUsable || keys.includes('sharedaccesssignature') || keys.includes('usedevelopmentstorage'))
    return { kind: 'connectionString', connectionString: text }
  return {
    setting,
    problem: 'is not a storage connection string',
    fix: 'Copy it from the storage account ("Access keys"); it has AccountName and AccountKey.',
  }
}

const identityOf = (uri: string, clientId: string | null, setting: string): StorageConnection | ConfigProblem => {
  if (!URL.canParse(uri) || new URL(uri).protocol !== 'https:' || new URL(uri).search !== '')
    return {
      setting: `${setting}__blobServiceUri`,
      problem: 'is not a plain https URL',
      fix: 'Give https://<account>.blob.core.windows.net, with nothing behind it.',
    }
  if (clientId !== null && !guid.test(clientId))
    return {
      setting: `${setting}__clientId`,
      problem: 'is not a client id',
      fix: 'Give the client id (a GUID) of the user-assigned identity, or leave it out for the system-assigned one.',
    }
  return { kind: 'identity', blobServiceUri: uri.replace(/\/+$/, ''), clientId }
}

/** A setting that is present but empty counts as absent, as the portal makes such settings easily. */
const withoutBlanks = (environment: Readonly<Record<string, string | undefined>>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(environment).flatMap(([name, text]) => (text?.trim() ? [[name, text.trim()] as const] : [])),
  )

const configOf = (settings: v.InferOutput<typeof settingsSchema>, connection: StorageConnection): Config => ({
  subscriptionIds: settings.AZURE_SUBSCRIPTION_IDS,
  armEndpoint: settings.AZURE_RESOURCE_MANAGER_ENDPOINT,
  identityClientId: settings.AZURE_CLIENT_ID ?? null,
  storage: {
    connection,
    vaultContainer: settings.VAULT_CONTAINER,
    controlContainer: settings.CONTROL_CONTAINER,
    ...(settings.VAULT_TIER_SEGMENTS === undefined ? {} : { segmentTier: settings.VAULT_TIER_SEGMENTS }),
  },
  keys: {
    wrapWith: settings.VAULT_KEY ?? 'none',
    keyFile: settings.KEY_FILE ?? null,
    keyVaultKeyUrls: settings.KEY_VAULT_KEY_URL ?? [],
  },
  sliceBytes: settings.SLICE_MIB * 1024 * 1024,
  lanesMax: settings.LANES_MAX,
  windowHours: settings.WINDOW_HOURS,
  jobDays: settings.JOB_DAYS,
  accessSeconds: settings.ACCESS_SECONDS,
})
