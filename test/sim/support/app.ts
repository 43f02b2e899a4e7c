import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { vi } from 'vitest'
import type { Services } from '../../../functions/services.ts'
import type { FunctionMetadata, InvocationRequest, InvocationResult } from '../../../local/host/invocation.ts'
import { emptyApp } from '../../../local/host/worker/child/core-api.ts'
import { installCoreModule } from '../../../local/host/worker/child/core-module.ts'
import { runInvocation } from '../../../local/host/worker/child/run-invocation.ts'
import { type Scope, scopes } from './scope.ts'

/** The only memory that invocations of a worker share. Workers that die here leave their process behind, so each life has its own. */
vi.mock('../../../functions/transfer-slots.ts', async (original) => ({
  ...(await original<object>()),
  transferSlots: <Result>(task: () => Promise<Result>, slots?: number) => scopes.getStore()!.slots(task, slots),
  restoreSlots: <Result>(task: () => Promise<Result>) => scopes.getStore()!.slots(task, Number.MAX_SAFE_INTEGER),
  leanly: <Result>(task: () => Promise<Result>) => task(),
}))

/** The whole app, loaded into this process: all its triggers, orchestrators and activities on the real libraries. */
export interface App {
  readonly functions: readonly FunctionMetadata[]
  invoke(request: InvocationRequest, scope: Scope): Promise<InvocationResult>
}

const functionsFolder = join(import.meta.dirname, '../../../functions')

/** Each service is looked up when it is used, in the scope of the invocation that uses it. */
const serviceNames: readonly (keyof Services)[] = [
  'access',
  'attemptsMax',
  'clock',
  'control',
  'inventory',
  'keys',
  'limits',
  'newToken',
  'openReader',
  'openWriter',
  'restoreDisks',
  'snapshots',
  'subscriptionIds',
  'vault',
  'windowHours',
]

/** Loads the app as a worker does, with services by scope. Once in a process. */
export const loadApp = async (): Promise<App> => {
  const registered = emptyApp()
  installCoreModule(registered, () => undefined)
  for (const folder of ['triggers', 'orchestrators', 'activities'])
    for (const file of readdirSync(join(functionsFolder, folder)).sort())
      await import(join(functionsFolder, folder, file))
  const { provideServices } = await import('../../../functions/services.ts')
  const scoped = {}
  for (const name of serviceNames)
    Object.defineProperty(scoped, name, { enumerable: true, get: () => scopes.getStore()!.services[name] })
  provideServices(scoped as Services)
  return {
    functions: [...registered.functions.values()].map(({ metadata }) => ({
      name: metadata.name,
      bindings: Object.entries(metadata.bindings).map(([name, binding]) => ({ ...binding, name })),
    })),
    invoke: (request, scope) =>
      scopes.run(scope, () => runInvocation(registered, request, ({ message }) => scope.log(message))),
  }
}
