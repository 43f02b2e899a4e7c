import { mkdir, rm } from 'node:fs/promises'
import { createKeyFileWrapper } from '../../shared/azure/key-file-wrapper.ts'
import { connectStorage } from '../../shared/azure/storage-connection.ts'
import type { BlobReader } from '../../shared/ports/blob-store.ts'
import { createVaultKeys, type VaultKeys } from '../../shared/vault/vault-keys.ts'
import { changeSampleFleet } from '../fleet/change-sample-fleet.ts'
import type { SampleFleet } from '../fleet/make-sample-fleet.ts'
import { appApi } from './app-api.ts'
import { type RunParts, runBackups } from './backup-run.ts'
import { checkRecoveryPoint } from './check-vault.ts'
import type { Console } from './console.ts'
import { keepImages } from './fleet-disks.ts'
import { type FleetPolicy, withNextDueTime } from './policies.ts'
import { type PreparedFleet, sampleSeed } from './prepare-fleet.ts'
import type { LocalAzure } from './processes.ts'
import { deltaVerdict, runTable, type VmResult } from './report.ts'
import { restoreAndCompare } from './restore-run.ts'
import { counted, formatBytes } from './units.ts'

/** The main job in front of the user, on a local Azure that is up.
 * @param local `keyFile`: path of the file that wraps the app's data keys
 * @returns what went wrong, in words; empty when all is well */
export const tellStory = async (
  { azure, keyFile }: { readonly azure: LocalAzure; readonly keyFile: string },
  prepared: PreparedFleet,
  console: Console,
): Promise<readonly string[]> => {
  const { vault, control } = connectStorage({
    connection: { kind: 'connectionString', connectionString: azure.storageConnectionString },
    vaultContainer: 'vault',
    controlContainer: 'control',
  })
  const wrappers = { wrapWith: null, unwrapWith: [createKeyFileWrapper(keyFile)] }
  const keys = createVaultKeys({ vault, control, wrappers, clock: { now: () => new Date() } })
  const parts = { api: appApi(azure.hostOrigin), control, hostOrigin: azure.hostOrigin, fleet: prepared.fleet, console }
  return prepared.sample === null
    ? tellOwnFleet({ ...parts, vault, keys }, prepared.policies)
    : tellSampleFleet({ ...parts, vault, keys, azure }, prepared.policies, prepared.sample)
}

type StoryParts = RunParts & { readonly vault: BlobReader; readonly keys: VaultKeys }

/** The user's fleet is backed up by its own policies, once; everything else is left to the HTTP API. */
const tellOwnFleet = async (parts: StoryParts, policies: readonly FleetPolicy[]): Promise<readonly string[]> => {
  const { console } = parts
  const vms = counted(parts.fleet.virtualMachines.length, 'virtual machine')
  if (policies.length === 0) {
    console.say(
      `The fleet file has ${vms} and no policy, so nothing was due: a backup is made when the HTTP API is asked for one.`,
    )
    return []
  }
  console.title('Backup by the policies of the fleet file')
  const results = await runBackups(parts, policies, null)
  if (results.length === 0) {
    console.say('No policy has a backup due that was not made already. Start one over HTTP.')
    return []
  }
  const wrong = failuresOf(results)
  if (wrong.length === 0) wrong.push(...(await checkVault(parts, results)))
  showTable(console, 'The run', results)
  return wrong
}

/** Back up, change files, back up again, restore, compare. */
const tellSampleFleet = async (
  parts: StoryParts & { readonly azure: LocalAzure },
  policies: readonly FleetPolicy[],
  sample: { readonly folder: string; readonly fleet: SampleFleet },
): Promise<readonly string[]> => {
  const { console, control } = parts
  const dueAgain = () => Promise.all(policies.map((policy) => withNextDueTime(control, policy, new Date())))

  console.title('1. The policy is due: the first run')
  const first = await runBackups(parts, await dueAgain(), null)
  if (failuresOf(first).length > 0) return ended(console, [['Run 1', first]])

  console.title('2. Files on the disks change')
  const copiesFolder = `${sample.folder}/before`
  await mkdir(copiesFolder, { recursive: true })
  const copies = await keepImages(parts.fleet, copiesFolder)
  const { lines } = await changeSampleFleet(sample.folder, sample.fleet, sampleSeed)
  for (const line of lines) console.say(line)

  console.title('3. The policy is due again: the second run moves what has changed')
  const moved = await dueAgain()
  console.say(`The policy's time is moved to ${timesOf(moved)} UTC so that it is due again.`)
  const second = await runBackups(parts, moved, copies)
  await rm(copiesFolder, { recursive: true })
  const runs: Runs = [
    ['Run 1', first],
    ['Run 2', second],
  ]
  if (failuresOf(second).length > 0) return ended(console, runs)

  const wrong = [...(await restoreFirst(parts, second)), ...(await checkVault(parts, second))]
  return [...wrong, ...ended(console, runs)]
}

type Runs = readonly (readonly [string, readonly VmResult[]])[]

const restoreFirst = async (
  parts: StoryParts & { readonly azure: LocalAzure },
  results: readonly VmResult[],
): Promise<readonly string[]> => {
  const vm = parts.fleet.virtualMachines[0]
  const result = results.find((one) => one.vm === vm?.name)
  if (result === undefined || vm === undefined || result.outcome.kind !== 'completed')
    return ['Nothing was there to restore.']
  parts.console.title(`4. The disks of ${vm.name} are restored and compared byte for byte`)
  const { recoveryPointId } = result.outcome
  return restoreAndCompare({ ...parts, compute: parts.azure.compute }, vm, { vmKey: result.vmKey, recoveryPointId })
}

const checkVault = async (
  { vault, keys, console }: StoryParts,
  results: readonly VmResult[],
): Promise<readonly string[]> => {
  console.title('The vault is checked: every byte of the newest recovery points is read, all digests verified')
  const wrong: string[] = []
  const ring = await keys.ring()
  for (const { vm, vmKey, outcome } of results) {
    if (outcome.kind !== 'completed') continue
    try {
      const checkedBytes = await checkRecoveryPoint(vault, { vmKey, recoveryPointId: outcome.recoveryPointId }, ring)
      console.say(`${vm} ${outcome.recoveryPointId}: ${formatBytes(checkedBytes)} are sound.`)
    } catch (error) {
      wrong.push(
        `The vault does not hold ${vm} ${outcome.recoveryPointId}: ${error instanceof Error ? error.message : error}`,
      )
    }
  }
  return wrong
}

/** Shows the tables of the runs and says what they show to be wrong. */
const ended = (console: Console, runs: Runs): readonly string[] => {
  const wrong: string[] = []
  for (const [title, results] of runs) {
    showTable(console, title, results)
    wrong.push(...failuresOf(results))
    if (deltaVerdict(results)?.isGood === false)
      wrong.push(`${title} stored more than 1.05 x the changed bytes and 1 MiB.`)
  }
  return wrong
}

const showTable = (console: Console, title: string, results: readonly VmResult[]): void => {
  console.title(title)
  for (const line of runTable(results)) console.say(line)
  const verdict = deltaVerdict(results)
  if (verdict !== null) console.say(`\n${verdict.line}`)
}

const failuresOf = (results: readonly VmResult[]): string[] =>
  results.flatMap(({ vm, outcome }) =>
    outcome.kind === 'completed' ? [] : [`The backup of ${vm} ended ${outcome.kind}.`],
  )

const timesOf = (policies: readonly FleetPolicy[]): string =>
  policies.flatMap(({ policy }) => (policy.schedule.kind === 'hourly' ? [] : policy.schedule.times)).join(', ')
