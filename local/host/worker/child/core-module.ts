import Module from 'node:module'
import type { LogLevel } from '../../log.ts'
import {
  type CoreFunctionMetadata,
  type FunctionCallback,
  type HookCallback,
  type HookName,
  hookNames,
  type LoadedApp,
  type ProgrammingModel,
} from './core-api.ts'

/** The version of the real Node worker whose module this one stands in for. */
const workerVersion = '3.9.1'

/** Marks errors that are the platform's rather than the app's; `@azure/functions` tests for the field. */
const systemError = <E extends Error>(error: E): E => Object.assign(error, { isAzureFunctionsSystemError: true })

const disposable = (dispose: () => void) => ({ dispose })

const registerFunction =
  (app: LoadedApp) =>
  (metadata: CoreFunctionMetadata, callback: FunctionCallback): { dispose(): void } => {
    if (!app.registrationOpen) throw systemError(new Error('A function can only be registered during app startup.'))
    const key = (metadata.functionId ?? metadata.name).toLowerCase()
    if (app.functions.has(key)) {
      throw systemError(new Error(`A function named "${metadata.name}" has already been registered.`))
    }
    app.functions.set(key, { metadata, callback })
    return disposable(() => app.functions.delete(key))
  }

const registerHook =
  (app: LoadedApp) =>
  (name: string, callback: HookCallback): { dispose(): void } => {
    const known = hookNames.find((hookName): hookName is HookName => hookName === name)
    if (known === undefined) throw systemError(new RangeError(`This host has no hook "${name}".`))
    const hooks = app.hooks[known]
    hooks.push(callback)
    return disposable(() => {
      const index = hooks.indexOf(callback)
      if (index >= 0) hooks.splice(index, 1)
    })
  }

/**
 * Supplies the module `@azure/functions-core`, which exists only inside a worker: `require` of that name, from any
 * module of the process, answers with an interface that fills `app`. `@azure/functions` is a CommonJS module, so this
 * reaches it in ESM apps too. Call once, before any file of the app is loaded.
 */
export const installCoreModule = (
  app: LoadedApp,
  log: (level: LogLevel, category: string, message: string) => void,
): void => {
  const coreModule = {
    version: workerVersion,
    hostVersion: '4.0.0',
    registerFunction: registerFunction(app),
    registerHook: registerHook(app),
    setProgrammingModel: (model: ProgrammingModel) => {
      app.programmingModel = model
    },
    getProgrammingModel: () => app.programmingModel,
    log,
  }
  Module.prototype.require = new Proxy(Module.prototype.require, {
    apply: (require, thisModule, parameters: [string]) =>
      parameters[0] === '@azure/functions-core' ? coreModule : Reflect.apply(require, thisModule, parameters),
  })
}
