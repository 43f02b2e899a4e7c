import os from 'node:os'
import path from 'node:path'
import * as v from 'valibot'
import { readJsonIfPresent, resolveSettings, schemaProblem } from './app-settings.ts'
import { parseTimeSpan } from './time-span.ts'

const concurrency = v.optional(v.pipe(v.number(), v.integer(), v.minValue(1)))

const hostFile = v.looseObject({
  version: v.literal('2.0'),
  functionTimeout: v.optional(v.string()),
  extensions: v.optional(
    v.looseObject({
      http: v.optional(v.looseObject({ routePrefix: v.optional(v.string()) })),
      durableTask: v.optional(
        v.looseObject({
          hubName: v.optional(v.string()),
          maxConcurrentActivityFunctions: concurrency,
          maxConcurrentOrchestratorFunctions: concurrency,
        }),
      ),
    }),
  ),
})

/** What this host takes from host.json; keys that it does not know are left alone. */
export interface HostSettings {
  /** Without slashes at either end; may be empty. */
  readonly routePrefix: string
  /** null: functions may run for ever. */
  readonly functionTimeoutSeconds: number | null
  readonly hubName: string
  readonly maxConcurrentActivityFunctions: number
  readonly maxConcurrentOrchestratorFunctions: number
}

/** Default of host.json on plans other than Consumption. Source: host.json reference, functionTimeout. */
const defaultFunctionTimeout = '00:30:00'
/** Name of the task hub where none is set and no site name is known. Source: Durable Task extension, DurableTaskOptions. */
const defaultHubName = 'TestHubName'

const timeoutSeconds = (text: string): number | null => {
  if (text === '-1') return null
  const milliseconds = parseTimeSpan(text)
  if (milliseconds !== null && milliseconds > 0) return milliseconds / 1000
  throw new Error(`host.json: functionTimeout: "${text}" is neither "-1" nor a time span such as "00:30:00".`)
}

/** Reads host.json of an app, with the defaults of the real host; a missing file is all defaults. */
export const readHostJson = async (appFolder: string, settings: NodeJS.ProcessEnv): Promise<HostSettings> => {
  const content = (await readJsonIfPresent(path.join(appFolder, 'host.json'))) ?? { version: '2.0' }
  const parsed = v.safeParse(hostFile, content)
  if (!parsed.success) throw schemaProblem('host.json', parsed.issues)
  const { extensions, functionTimeout } = parsed.output
  const durable = extensions?.durableTask
  // Default of the Durable Task extension: ten times the processors.
  const concurrencyDefault = 10 * os.availableParallelism()
  return {
    routePrefix: (extensions?.http?.routePrefix ?? 'api').replace(/^\/+|\/+$/g, ''),
    functionTimeoutSeconds: timeoutSeconds(functionTimeout ?? defaultFunctionTimeout),
    hubName: resolveSettings(durable?.hubName ?? defaultHubName, settings),
    maxConcurrentActivityFunctions: durable?.maxConcurrentActivityFunctions ?? concurrencyDefault,
    maxConcurrentOrchestratorFunctions: durable?.maxConcurrentOrchestratorFunctions ?? concurrencyDefault,
  }
}
