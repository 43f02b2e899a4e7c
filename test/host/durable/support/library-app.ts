import { createRequire } from 'node:module'
import vm from 'node:vm'
import type { FunctionMetadata, InvocationRequest, InvocationResult } from '../../../../local/host/invocation.ts'
import { emptyApp, type LoadedApp } from '../../../../local/host/worker/child/core-api.ts'
import { installCoreModule } from '../../../../local/host/worker/child/core-module.ts'
import { runInvocation } from '../../../../local/host/worker/child/run-invocation.ts'

/** An app of the real `durable-functions` library, loaded into this process. */
export interface LibraryApp {
  readonly functions: readonly FunctionMetadata[]
  /** What the app sees as `globalThis`. */
  readonly globals: Record<string, unknown>
  invoke(request: InvocationRequest): Promise<InvocationResult>
}

// The library finds its host by one global module, so all apps of a process register in one place, one after the other.
const registry: LoadedApp = emptyApp()
installCoreModule(registry, () => {})
const requireHere = createRequire(import.meta.url)

/** Loads an app written as one CommonJS text; what an app before it registered is forgotten.
 * @param sleepScale factor on what the app's own code waits with setTimeout
 * @param globals what the app sees as `globalThis` */
export function loadLibraryApp(source: string, sleepScale = 1, globals: Record<string, unknown> = {}): LibraryApp {
  registry.functions.clear()
  for (const hooks of Object.values(registry.hooks)) hooks.length = 0
  const wholeSource = source
    .split(/^\/\/ ---- .*$/m)
    .map((part) => `{\n${part}\n}`)
    .join('\n')
  const scaledTimeout = (next: () => void, ms: number) => setTimeout(next, ms * sleepScale)
  vm.compileFunction(wholeSource, ['require', 'globalThis', 'setTimeout'])(requireHere, globals, scaledTimeout)
  const app: LoadedApp = { ...registry, functions: new Map(registry.functions) }
  return {
    globals,
    functions: [...app.functions.values()].map(({ metadata }) => ({
      name: metadata.name,
      bindings: Object.entries(metadata.bindings).map(([name, binding]) => ({ ...binding, name })),
    })),
    invoke: (request) => runInvocation(app, request, () => {}),
  }
}
