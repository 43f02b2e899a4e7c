import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Services } from '../../functions/services.ts'
import { emptyApp, type LoadedApp } from '../../local/host/worker/child/core-api.ts'
import { installCoreModule } from '../../local/host/worker/child/core-module.ts'
import { loadApp } from '../../local/host/worker/child/load-app.ts'
import { runInvocation } from '../../local/host/worker/child/run-invocation.ts'

const projectFolder = join(import.meta.dirname, '../..')

/** A module of the built app. */
const built = (path: string): Promise<unknown> => import(pathToFileURL(join(projectFolder, 'dist', path)).href)

type ServicesModule = Pick<typeof import('../../functions/services.ts'), 'services' | 'provideServices'>

/** The built app in this process, loaded as the Functions worker loads it: every function with its real composition. */
export interface BuiltApp {
  readonly loaded: LoadedApp
  /** @returns what the activity returns. @throws with its message where it fails */
  activity(name: string, input: unknown): Promise<unknown>
}

/** What stands in for the parts that are not measured. */
type Replacing = (real: () => Services) => Partial<Services>

/** Loads the app with the services of its settings, some of them replaced. Once in a process; `use` replaces others later, in services that
 * keep their connections and threads. */
export const loadBuiltApp = async (
  replace: Replacing,
  log: (line: string) => void = () => undefined,
): Promise<{ readonly app: BuiltApp; readonly services: Services; readonly use: (replace: Replacing) => Services }> => {
  const loaded = emptyApp()
  const tell = ({ message }: { readonly message: string }) => log(message)
  installCoreModule(loaded, (_level, _category, message) => log(message))
  await loadApp(loaded, projectFolder)
  const { services: real, provideServices } = (await built('functions/services.js')) as ServicesModule
  const use = (replacing: Replacing): Services => {
    const services = replacing(real) as Services
    provideServices(services)
    return services
  }
  const services = use(replace)
  const activity = async (name: string, input: unknown): Promise<unknown> => {
    const bindings = loaded.functions.get(name.toLowerCase())?.metadata.bindings ?? {}
    const [binding = 'input'] = Object.keys(bindings).filter((key) => bindings[key]?.direction === 'in')
    const result = await runInvocation(
      loaded,
      {
        invocationId: randomUUID(),
        functionName: name,
        inputs: [{ name: binding, value: { json: JSON.stringify(input) } }],
        triggerMetadata: {},
      },
      tell,
    )
    if (result.kind !== 'succeeded') throw new Error(`${name}: ${JSON.stringify(result)}`)
    const { json, string } = result.returnValue ?? {}
    return JSON.parse(json ?? string ?? 'null')
  }
  return { app: { loaded, activity }, services, use }
}
