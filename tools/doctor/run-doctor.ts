import type { Config } from '../../shared/config.ts'
import type { Clock } from '../../shared/ports/clock.ts'
import { checkCompute, checkPolicies, readerHint } from './check-compute.ts'
import { checkHub, hubHint } from './check-hub.ts'
import { checkIdentity } from './check-identity.ts'
import { checkDataKeys, checkWrappingKey, keyHint } from './check-keys.ts'
import { checkClock, checkControlContainer, checkVaultContainer } from './check-storage.ts'
import { checkVm, collectionOf, type VmTrial } from './check-vm.ts'
import { connect } from './connect.ts'
import { type Check, type Finding, type Found, findingsOf, type TokenOf, vaultStorageHint } from './finding.ts'
import { checkSettings, type Environment } from './settings.ts'

export interface DoctorOptions {
  readonly environment: Environment
  /** Null: without the deeper part. */
  readonly trial: VmTrial | null
  /** Takes a line of the report. */
  readonly say: (line: string) => void
  /** The machine's clock where absent. */
  readonly clock?: Clock
}

/** Runs all checks and tells what they find. Changes nothing but what it makes and removes itself, and says that before.
 * @returns the exit code: 0, or 1 where there is a problem */
export const runDoctor = async ({ environment, trial, say, clock }: DoctorOptions): Promise<0 | 1> => {
  const { config, found } = checkSettings(environment)
  let problems = 0
  const tell = (finding: Finding): void => {
    if (finding.kind === 'problem') problems += 1
    for (const line of linesOf(finding)) say(line)
  }
  for (const one of found) tell({ ...one, check: 'settings' })
  if (config === null) tell({ kind: 'notChecked', check: 'all else', reason: 'The settings must be right first.' })
  else {
    for (const line of announcement(config, trial)) say(line)
    const lacking = new Set<TokenOf>()
    const checks = checksOf(config, environment, trial, clock, lacking)
    for await (const finding of findingsOf(checks, lacking)) tell(finding)
  }
  say('')
  say(problems === 0 ? 'No problem was found.' : `${problems} problem${problems === 1 ? ' was' : 's were'} found.`)
  for (const line of deeperProof) say(line)
  return problems === 0 ? 0 : 1
}

const checksOf = (
  config: Config,
  environment: Environment,
  trial: VmTrial | null,
  clock: Clock | undefined,
  lacking: Set<TokenOf>,
): readonly Check[] => {
  const connected = connect(config, clock)
  const check = (
    name: string,
    hint: string,
    run: () => AsyncIterable<Found>,
    needs: readonly TokenOf[] = [],
  ): Check => ({ name, hint, run, needs })
  const arm: readonly TokenOf[] = ['Azure Resource Manager']
  const storage: readonly TokenOf[] = config.storage.connection.kind === 'identity' ? ['Azure Storage'] : []
  // A Key Vault is reached as the same identity as Resource Manager.
  const key = config.keys.wrapWith === 'key-vault' ? arm : []
  const hub = environment.AzureWebJobsStorage?.trim() ? [] : arm
  const hint = keyHint(config.keys.wrapWith)
  return [
    check('identity', 'Sign in, or enable the managed identity.', () => checkIdentity(connected, lacking)),
    check('clock', vaultStorageHint, () => checkClock(connected)),
    check('vault', vaultStorageHint, () => checkVaultContainer(connected), storage),
    check('control', vaultStorageHint, () => checkControlContainer(connected), storage),
    check('wrapping key', hint, () => checkWrappingKey(connected), key),
    check('data keys', hint, () => checkDataKeys(connected), [...storage, ...key]),
    check('policies', vaultStorageHint, () => checkPolicies(connected), storage),
    check('compute', readerHint, () => checkCompute(connected), [...arm, ...storage]),
    { name: 'durable', hint: hubHint, storageHint: hubHint, needs: hub, run: () => checkHub(environment) },
    ...(trial === null ? [] : [check('vm', readerHint, () => checkVm(connected, trial), arm)]),
  ]
}

const announcement = ({ storage }: Config, trial: VmTrial | null): readonly string[] => [
  '',
  `The doctor makes and removes one object below doctor/ in the containers ${storage.vaultContainer} and ${storage.controlContainer}.`,
  ...(trial === null
    ? []
    : [
        `It also takes two restore points of ${trial.vmId}`,
        `in a collection of their own, ${collectionOf(trial)}, opens access to them, and removes all of it.`,
      ]),
  'Who is signed in here is who is checked; the identity of the function app may have other roles.',
  '',
]

const words = { ok: 'ok', problem: 'PROBLEM', notChecked: 'not checked' } as const

const linesOf = (finding: Finding): readonly string[] => {
  const start = `${words[finding.kind].padEnd(12)} ${finding.check.padEnd(13)}`
  if (finding.kind === 'notChecked') return [`${start} ${finding.reason}`]
  const line = `${start} ${finding.message}`
  return finding.kind === 'ok' ? [line] : [line, `${' '.repeat(26)} -> ${finding.hint}`]
}

const deeperProof = [
  '',
  'The deeper proof are the contract tests, which use real services when these variables name some:',
  '  DELTAVAULT_TEST_BLOB_SERVICE_URI   test/contract/blob-store-azure.test.ts',
  '  DELTAVAULT_TEST_KEY_VAULT_URI      test/contract/key-wrapper-azure.test.ts',
  '  DELTAVAULT_TEST_VM_ID              test/contract/compute-azure.test.ts',
  'npx vitest run --project contract azure.test',
]
