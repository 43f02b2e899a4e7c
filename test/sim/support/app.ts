import { AsyncLocalStorage } from 'node:async_hooks'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Services } from '../../../functions/services.ts'
import type { FunctionMetadata, InvocationRequest, InvocationResult } from '../../../local/host/invocation.ts'
import { emptyApp } from '../../../local/host/worker/child/core-api.ts'
import { installCoreModule } from '../../../local/host/worker/child/core-module.ts'
import { runInvocation } from '../../../local/host/worker/child/run-invocation.ts'

/** What one invocation works with: another world, or another life of the same one, than the next invocation's. */
export interface Scope {
  readonly services: Services
  readonly log: (line: string) => void
}

/** The whole app, loaded into this process: all its triggers, orchestrators and activities on the real libraries. */
export interface App {
  readonly functions: readonly FunctionMetadata[]
  invoke(request: InvocationRequest, scope: Scope): Promise<InvocationResult>
}

const scopes = new AsyncLocalStorage<Scope>()
const functionsFolder = join(import.meta.dirname, '../../../functions')

/** Each service is looked up when it is used, in the scope of the invocation that uses it. */
const serviceNames: readonly (keyof Services)[] = [
  'access',
  'attemptsMax',
  'clock',
  'control',
  'inventory',
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
