import { resolve } from 'node:path'
import { parseArgs } from 'node:util'

export interface StartOptions {
  /** Ends after the table instead of staying up. */
  readonly once: boolean
  /** Absolute path of the user's own fleet file; null for the sample fleet. */
  readonly fleetPath: string | null
  /** Absolute path of the folder below which everything is kept. */
  readonly dataFolder: string
  /** `own`: the small host of local/host. `func`: the one of Azure Functions Core Tools. */
  readonly host: HostKind
}

export type HostKind = 'own' | 'func'

export type ParsedOptions =
  | { readonly kind: 'start'; readonly options: StartOptions }
  | { readonly kind: 'help' }
  | { readonly kind: 'wrong'; readonly message: string }

export const helpText = `npm start [-- OPTION...]

Starts a local Azure (storage, compute, a Functions host), runs the app on it and shows a backup, a change, an incremental
backup and a restore; then stays up for the HTTP API until Ctrl-C.

  --once          end after the table; the exit code is not 0 if anything was wrong
  --fleet FILE    back up your own raw disk images, named in FILE (its format: local/README.md)
  --data FOLDER   keep all data below FOLDER (default: .local of the project); started again, it goes on there
  --host func     run the app on Azure Functions Core Tools (\`func\` on the PATH) instead of the host that is built in
  --help          this text

Options of your own go behind \`--\`, which npm needs: npm start -- --once`

/** @param callerFolder where the user typed the command: relative paths are meant from there, while npm changes to the project's folder
 * @param projectFolder the folder that `.local` lies in by default */
export const parseOptions = (args: readonly string[], callerFolder: string, projectFolder: string): ParsedOptions => {
  const parsed = parse(args)
  if (typeof parsed === 'string') return { kind: 'wrong', message: `${parsed}\n\n${helpText}` }
  const { once, fleet, data, help, host = 'own' } = parsed
  if (help) return { kind: 'help' }
  if (fleet === '')
    return { kind: 'wrong', message: '--fleet is empty: name a fleet file, for example --fleet ./fleet.json.' }
  if (data === '') return { kind: 'wrong', message: '--data is empty: name a folder, for example --data ./my-data.' }
  if (host !== 'own' && host !== 'func')
    return { kind: 'wrong', message: `--host ${host} is not known: take own (the default) or func.` }
  return {
    kind: 'start',
    options: {
      host,
      once: once === true,
      fleetPath: fleet === undefined ? null : resolve(callerFolder, fleet),
      dataFolder: data === undefined ? resolve(projectFolder, '.local') : resolve(callerFolder, data),
    },
  }
}

interface RawOptions {
  readonly once?: boolean | undefined
  readonly fleet?: string | undefined
  readonly data?: string | undefined
  readonly help?: boolean | undefined
  readonly host?: string | undefined
}

const parse = (args: readonly string[]): RawOptions | string => {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        once: { type: 'boolean' },
        fleet: { type: 'string' },
        data: { type: 'string' },
        host: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    })
    return values
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}
