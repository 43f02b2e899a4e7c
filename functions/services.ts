/** The composition root: the only place that knows adapters and configuration. */
import { randomUUID } from 'node:crypto'
import * as df from 'durable-functions'
import { createArmClients } from '../shared/azure/arm-clients.ts'
import { createArmDiskAccess } from '../shared/azure/arm-disk-access.ts'
import { createArmDiskSnapshots } from '../shared/azure/arm-disk-snapshots.ts'
import { createArmRestoreDisks } from '../shared/azure/arm-restore-disks.ts'
import { createArmRestorePoints } from '../shared/azure/arm-restore-points.ts'
import { createArmVmInventory } from '../shared/azure/arm-vm-inventory.ts'
import { createCredential } from '../shared/azure/credential.ts'
import { createSasDiskReader } from '../shared/azure/sas-disk-reader.ts'
import { createSasDiskWriter } from '../shared/azure/sas-disk-writer.ts'
import { connectStorage } from '../shared/azure/storage-connection.ts'
import { type Config, type ConfigProblem, loadConfig } from '../shared/config.ts'
import type { JobDeps } from '../shared/jobs/job-deps.ts'
import { safeMessage, stepFailure } from '../shared/jobs/step-failure.ts'
import type { Activity } from './contracts.ts'
import { systemClock } from './system-clock.ts'

/** What triggers and activities work with. */
export interface Services extends JobDeps {
  readonly subscriptionIds: readonly string[]
  readonly windowHours: number
  readonly attemptsMax: number
}

/** Instances that one job may use up before it counts as failed. */
const attemptsMax = 5

/** The app's settings are not usable. Holds every problem; no values. */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError'
  readonly problems: readonly ConfigProblem[]
  constructor(problems: readonly ConfigProblem[]) {
    super(problems.map(({ setting, problem, fix }) => `${setting} ${problem}. ${fix}`).join(' '))
    this.problems = problems
  }
}

let built: Services | null = null

/** Builds everything on first use, then keeps it.
 * @throws ConfigurationError while the settings are not usable; they are read again at each try */
export const services = (): Services => (built ??= build())

/** Every problem of the app's settings; empty when all is well. */
export const configurationProblems = (): readonly ConfigProblem[] => {
  const loaded = loadConfig(process.env)
  return loaded.kind === 'problems' ? loaded.problems : []
}

const build = (): Services => {
  const loaded = loadConfig(process.env)
  if (loaded.kind === 'problems') throw new ConfigurationError(loaded.problems)
  return compose(loaded.config)
}

const compose = (config: Config): Services => {
  const { vault, control } = connectStorage(config.storage)
  const credential = createCredential(config.identityClientId)
  const clients = createArmClients({ credential, endpoint: config.armEndpoint })
  const access = createArmDiskAccess(clients)
  return {
    clock: systemClock,
    newToken: randomUUID,
    vault,
    control,
    inventory: createArmVmInventory(clients),
    snapshots: {
      restorePoints: createArmRestorePoints({ clients, access }),
      diskSnapshots: createArmDiskSnapshots({ clients, access }),
    },
    access,
    restoreDisks: createArmRestoreDisks({ clients, accessSeconds: config.accessSeconds }),
    openReader: (sasUrl, baseSasUrl) => createSasDiskReader({ sasUrl, baseSasUrl }),
    openWriter: (sasUrl, sizeBytes) => createSasDiskWriter({ sasUrl, sizeBytes }),
    limits: { sliceBytes: config.sliceBytes, lanesMax: config.lanesMax, accessSeconds: config.accessSeconds },
    subscriptionIds: config.subscriptionIds,
    windowHours: config.windowHours,
    attemptsMax,
  }
}

/** Registers a step under its contract's name. What another try cannot cure becomes the outcome `failed`; all else is thrown for the
 * retry policy, with a message that may be stored in the history. Outside a Functions host this does nothing. */
export const registerActivity = <Input, Outcome>(
  activity: Activity<Input, Outcome>,
  step: (deps: Services, input: Input) => Promise<Outcome>,
): void => {
  df.app.activity(activity.name, {
    handler: async (input: Input, context) => {
      try {
        return await step(services(), input)
      } catch (error) {
        const failure = stepFailure(error)
        if (failure !== null) return failure
        context.error(`${activity.name} is to be tried again: ${safeMessage(error)}`)
        throw new Error(safeMessage(error))
      }
    },
  })
}
