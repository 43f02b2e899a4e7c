import type { Config } from '../../shared/config.ts'
import type { Clock } from '../../shared/ports/clock.ts'
import { checkCompute, checkPolicies, readerHint } from './check-compute.ts'
import { checkHub, hubHint } from './check-hub.ts'
import { checkIdentity } from './check-identity.ts'
import { checkDataKeys, checkWrappingKey, keyHint } from './check-keys.ts'
import { checkClock, checkControlContainer, checkVaultContainer } from './check-storage.ts'
import { checkVm, collectionOf, type VmTrial } from './check-vm.ts'
import { connect } from './connect.ts'
import { type Check, type Finding, type Found, findingsOf, vaultStorageHint } from './finding.ts'
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
    for await (const finding of findingsOf(checksOf(config, environment, trial, clock))) tell(finding)
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
): readonly Check[] => {
  const connected = connect(config, clock)
  const check = (name: string, hint: string, run: () => AsyncIterable<Found>): Check => ({ name, hint, run })
  return [
    check('identity', 'Sign in, or enable the managed identity.', () => checkIdentity(connected)),
    check('clock', vaultStorageHint, () => checkClock(connected)),
    check('vault', vaultStorageHint, () => checkVaultContainer(connected)),
    check('control', vaultStorageHint, () => checkControlContainer(connected)),
    check('wrapping key', keyHint, () => checkWrappingKey(connected)),
    check('data keys', keyHint, () => checkDataKeys(connected)),
    check('policies', vaultStorageHint, () => checkPolicies(connected)),
    check('compute', readerHint, () => checkCompute(connected)),
    { name: 'durable', hint: hubHint, storageHint: hubHint, run: () => checkHub(environment) },
    ...(trial === null ? [] : [check('vm', readerHint, () => checkVm(connected, trial))]),
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
