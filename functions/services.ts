/** The composition root: the only place that knows adapters and configuration. */
import { randomUUID } from 'node:crypto'
import type { InvocationContext } from '@azure/functions'
import * as df from 'durable-functions'
import { createArmClients } from '../shared/azure/arm-clients.ts'
import { createArmDiskAccess } from '../shared/azure/arm-disk-access.ts'
import { createArmDiskSnapshots } from '../shared/azure/arm-disk-snapshots.ts'
import { createArmRestoreDisks } from '../shared/azure/arm-restore-disks.ts'
import { createArmRestorePoints } from '../shared/azure/arm-restore-points.ts'
import { createArmVmInventory } from '../shared/azure/arm-vm-inventory.ts'
import { connectKeys } from '../shared/azure/connect-keys.ts'
import { createCredential } from '../shared/azure/credential.ts'
import { createSasDiskReader } from '../shared/azure/sas-disk-reader.ts'
import { createSasDiskWriter } from '../shared/azure/sas-disk-writer.ts'
import { createSasSockets } from '../shared/azure/sas-request.ts'
import { connectStorage } from '../shared/azure/storage-connection.ts'
import { createTransferThreads } from '../shared/azure/transfer-threads.ts'
import { type Config, type ConfigProblem, loadConfig } from '../shared/config.ts'
import type { JobDeps } from '../shared/jobs/job-deps.ts'
import { safeMessage, stepFailure } from '../shared/jobs/step-failure.ts'
import { systemClock } from '../shared/system-clock.ts'
import { createVaultKeys } from '../shared/vault/vault-keys.ts'
import type { Activity } from './contracts.ts'
import { type Events, eventsIn, jobFacts } from './told-events.ts'

/** What triggers and activities work with. */
export interface Services extends JobDeps {
  readonly subscriptionIds: readonly string[]
  readonly windowHours: number
  /** Days that the record of a job which has ended is kept; absent: 400. */
  readonly jobDays?: number
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

/** Makes the app work with these services instead of those of its settings: a simulation gives it ports in memory. */
export const provideServices = (given: Services): void => {
  built = given
}

/** Writes every problem of the app's settings to the console, which is all there is when the app starts. Names no values. */
export const tellConfigurationProblems = (): void => {
  const loaded = loadConfig(process.env)
  if (loaded.kind === 'ok') return
  const settings = loaded.problems.map(({ setting }) => setting).join(', ')
  eventsIn({ log: console.log, warn: console.warn, error: console.error }).configurationRefused({
    settings,
    problems: loaded.problems.length,
  })
  for (const { setting, problem, fix } of loaded.problems) console.error(`Setting ${setting} ${problem}. ${fix}`)
}

const build = (): Services => {
  const loaded = loadConfig(process.env)
  if (loaded.kind === 'problems') throw new ConfigurationError(loaded.problems)
  return compose(loaded.config)
}

const compose = (config: Config): Services => {
  const { vault, control, tokens } = connectStorage(config.storage)
  const credential = createCredential(config.identityClientId)
  const clients = createArmClients({ credential, endpoint: config.armEndpoint })
  const access = createArmDiskAccess(clients)
  const sockets = createSasSockets()
  const threads = createTransferThreads({ storage: config.storage, tokens })
  return {
    clock: systemClock,
    newToken: randomUUID,
    vault,
    control,
    keys: createVaultKeys({ vault, control, wrappers: connectKeys(config.keys, credential), clock: systemClock }),
    inventory: createArmVmInventory(clients),
    snapshots: {
      restorePoints: createArmRestorePoints({ clients, access }),
      diskSnapshots: createArmDiskSnapshots({ clients, access }),
    },
    access,
    restoreDisks: createArmRestoreDisks({ clients, accessSeconds: config.accessSeconds }),
    openReader: (sasUrl, baseSasUrl) => createSasDiskReader({ sasUrl, baseSasUrl, sockets }),
    openWriter: (sasUrl, sizeBytes) => createSasDiskWriter({ sasUrl, sizeBytes, sockets }),
    moveSlice: threads.move,
    restoreLanes: threads.restoreLanes,
    limits: { sliceBytes: config.sliceBytes, lanesMax: config.lanesMax, accessSeconds: config.accessSeconds },
    subscriptionIds: config.subscriptionIds,
    windowHours: config.windowHours,
    jobDays: config.jobDays,
    attemptsMax,
  }
}

/** What an activity tells of a step that has ended. */
export interface Told<Input, Outcome> {
  readonly input: Input
  readonly outcome: Outcome
  readonly facts: ReturnType<typeof jobFacts>
}

/** Registers a step of a job under its contract's name, as `registerStep` does.
 * @param tell writes the business event of the step's outcome */
export const registerActivity = <Input extends object, Outcome extends { readonly kind: string }>(
  activity: Activity<Input, Outcome>,
  step: (deps: Services, input: Input) => Promise<Outcome>,
  tell: (events: Events, told: Told<Input, Outcome>) => void = () => undefined,
): void =>
  registerStep(activity, step, (context, input, outcome) => {
    const events = eventsIn(context)
    const facts = jobFacts(refIn(input), context.triggerMetadata?.instanceId)
    if ('retryAfterSeconds' in outcome)
      events.platformThrottled({ ...facts, step: activity.name, retryAfterSeconds: Number(outcome.retryAfterSeconds) })
    tell(events, { input, outcome, facts })
  })

/** Registers a step under its contract's name. What another try cannot cure becomes the outcome `failed`; all else is thrown for the
 * retry policy, with a message that may be stored in the history. Outside a Functions host this does nothing.
 * @param tell is called with every outcome but thrown ones */
export const registerStep = <Input extends object, Outcome extends { readonly kind: string }>(
  activity: Activity<Input, Outcome>,
  step: (deps: Services, input: Input) => Promise<Outcome>,
  tell: (context: InvocationContext, input: Input, outcome: Outcome) => void,
): void => {
  df.app.activity(activity.name, {
    handler: async (input: Input, context) => {
      try {
        const outcome = await step(services(), input)
        tell(context, input, outcome)
        return outcome
      } catch (error) {
        const failure = stepFailure(error)
        if (failure !== null) return failure
        context.error(`${activity.name} is to be tried again: ${safeMessage(error)}`)
        throw new Error(safeMessage(error))
      }
    },
  })
}

/** The job that an activity's input names: a reference to it, or the job itself. */
const refIn = (input: object): { readonly jobId: string; readonly vmKey: string } => {
  const named = 'job' in input ? input.job : input
  return named as { readonly jobId: string; readonly vmKey: string }
}
