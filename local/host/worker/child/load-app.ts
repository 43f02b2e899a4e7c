import { glob, readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { messageOf } from '../../error-text.ts'
import { type LoadedApp, runHooks } from './core-api.ts'

interface PackageJson {
  readonly main?: string
  readonly type?: string
}

const readPackageJson = async (appFolder: string): Promise<PackageJson> => {
  const file = path.join(appFolder, 'package.json')
  try {
    return JSON.parse(await readFile(file, 'utf8')) as PackageJson
  } catch (error) {
    throw new Error(`The app has no readable package.json: ${messageOf(error)}`, { cause: error })
  }
}

const isEsModule = (file: string, packageJson: PackageJson): boolean =>
  file.endsWith('.mjs') || (!file.endsWith('.cjs') && packageJson.type === 'module')

const entryPoints = async (appFolder: string, pattern: string): Promise<readonly string[]> => {
  const files: string[] = []
  for await (const file of glob(pattern, { cwd: appFolder })) files.push(file)
  if (files.length > 0) return files.sort()
  throw new Error(
    `No file matches "main" of package.json ("${pattern}", looked for from the app folder). Build the app first, or correct "main".`,
  )
}

const loadEntryPoint = async (file: string, packageJson: PackageJson): Promise<void> => {
  if (isEsModule(file, packageJson)) await import(pathToFileURL(file).href)
  else createRequire(file)(file)
}

/** Streaming makes the worker listen on a port of its own, to which the host would have to forward every request. */
const refuseHttpStreams = async (app: LoadedApp): Promise<void> => {
  const capabilities = await app.programmingModel?.getCapabilities?.({})
  if (capabilities?.HttpUri === undefined) return
  throw new Error('The app sets enableHttpStream, which this host does not serve. Leave it out of app.setup().')
}

/**
 * Loads the app as the real Node worker does: every file that `main` of its package.json matches, then the app-start
 * hooks. Rejects with a message for people where nothing matches or a file throws: either blocks the whole app.
 * @param appFolder absolute; the glob is taken from here
 */
export const loadApp = async (app: LoadedApp, appFolder: string): Promise<void> => {
  const packageJson = await readPackageJson(appFolder)
  if (packageJson.main === undefined) throw new Error('package.json of the app has no "main": it names what to load.')
  for (const file of await entryPoints(appFolder, packageJson.main)) {
    try {
      await loadEntryPoint(path.join(appFolder, file), packageJson)
    } catch (error) {
      const detail = error instanceof Error && error.stack !== undefined ? error.stack : String(error)
      throw new Error(`Worker was unable to load entry point "${file}": ${detail}`, { cause: error })
    }
  }
  await refuseHttpStreams(app)
  await runHooks(app, 'appStart', {
    hookData: {},
    appHookData: app.appHookData,
    functionAppDirectory: appFolder,
  })
  app.registrationOpen = false
}
