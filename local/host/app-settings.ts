import { readFile } from 'node:fs/promises'
import path from 'node:path'
import * as v from 'valibot'
import { messageOf } from './error-text.ts'

const settingsFile = v.looseObject({
  IsEncrypted: v.optional(v.boolean()),
  Values: v.optional(v.record(v.string(), v.string('app settings are strings: put the value in quotes'))),
})

/** Reads JSON that may be missing. Byte order marks, which Windows editors add, are taken off. */
export const readJsonIfPresent = async (file: string): Promise<unknown> => {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null
    throw error
  })
  if (text === null) return undefined
  try {
    return JSON.parse(text.replace(/^\uFEFF/, '')) as unknown
  } catch (error) {
    throw new Error(`${path.basename(file)} is not valid JSON: ${messageOf(error)}`, { cause: error })
  }
}

/** The first problem of a parsed file, with the path to it: `host.json: extensions.http.routePrefix: …`. */
export const schemaProblem = (fileName: string, issues: readonly v.BaseIssue<unknown>[]): Error => {
  const [issue] = issues
  return new Error(`${fileName}: ${v.getDotPath(issue!) ?? '(root)'}: ${issue!.message}`)
}

/**
 * The app settings of a local run: `Values` of local.settings.json, each overridden by the environment variable of its
 * name, as Azure Functions Core Tools do it. Throws where the file is not of that shape, or is encrypted.
 */
export const readAppSettings = async (
  appFolder: string,
  environment: NodeJS.ProcessEnv,
): Promise<NodeJS.ProcessEnv> => {
  const content = await readJsonIfPresent(path.join(appFolder, 'local.settings.json'))
  if (content === undefined) return environment
  const parsed = v.safeParse(settingsFile, content)
  if (!parsed.success) throw schemaProblem('local.settings.json', parsed.issues)
  if (parsed.output.IsEncrypted === true) {
    throw new Error('local.settings.json is encrypted; decrypt it with `func settings decrypt`.')
  }
  return { ...parsed.output.Values, ...environment }
}

/** Puts app settings in the place of `%NAME%`. Throws, naming the setting, where there is none. */
export const resolveSettings = (text: string, settings: NodeJS.ProcessEnv): string =>
  text.replace(/%([^%]+)%/g, (_, name: string) => {
    const value = settings[name]
    if (value === undefined) throw new Error(`"${text}" names the app setting ${name}, which is not set.`)
    return value
  })
