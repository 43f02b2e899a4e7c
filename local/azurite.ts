import { type ChildProcess, spawn } from 'node:child_process'
import { mkdir } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { createInterface } from 'node:readline'

/** A running Azurite on loopback. */
export interface Azurite extends AsyncDisposable {
  /** `http://127.0.0.1:<port>/devstoreaccount1`. */
  readonly blobEndpoint: string
  /** For the setting `VaultStorage`; with queue and table endpoints, where they were asked for, for `AzureWebJobsStorage`, too. The account and
   * its key are Azurite's published ones: no secret. */
  readonly connectionString: string
  readonly pid: number
  /** Ends the process after it has saved its data. Repeatable. */
  stop(): Promise<void>
  /** Resolves when the process has ended, for whatever reason. */
  readonly ended: Promise<void>
}

export interface AzuriteOptions {
  /** Where objects are kept; null keeps them in memory and forgets them at the end. */
  readonly folder: string | null
  /** 0, the default, takes a free port. */
  readonly port?: number
  /** The other two services, which the Functions runtime of Azure keeps its own state in; without it only blobs are served. */
  readonly more?: { readonly queuePort: number; readonly tablePort: number }
}

/** Azurite's published development account (its README); it opens nothing but an Azurite. */
const accountName = 'devstoreaccount1'
const accountKey = 'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=='

/** An in-memory Azurite is up in about a second; a folder with many objects takes longer to read. */
const startSecondsMax = 60
/** After that, a process that does not obey SIGTERM is killed. */
const stopSecondsMax = 15

/** The channel to the parent closes when the parent ends in any way, killed included: no Azurite outlives who started it. */
const endWithParent = "process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'))"

/** Azurite makes a buffer for each 64 KiB that it receives or reads. V8 counts such memory apart and starts to mark the whole heap for each few
 * MiB of it, which takes two thirds of Azurite's CPU; counted with the heap, it does so when that has grown, here to four times of what was
 * left the last time. An engine that does not know these flags ignores them. */
const collectLessOften =
  "import v8 from 'node:v8'; " +
  "v8.setFlagsFromString('--external-memory-accounted-in-global-limit'); v8.setFlagsFromString('--heap-growing-percent=300')"

/** Starts Azurite as a child process and waits until it listens. The process is in a group of its own: Ctrl-C in a terminal reaches only its
 * parent, so that it can be ended after those that still write to it.
 * @throws when it does not start; the error carries what it printed */
export const startAzurite = async (options: AzuriteOptions): Promise<Azurite> => {
  if (options.folder !== null) await mkdir(options.folder, { recursive: true })
  const child = spawn(process.execPath, argumentsOf(options), {
    cwd: options.folder ?? tmpdir(),
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  })
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const services = servicesOf(options)
  const addresses = await listeningAddresses(child, services)
  const endpoints = services.map((service) => `${service}Endpoint=${addresses.get(service)}/${accountName};`).join('')
  const stop = () => stopChild(child, ended, services.length)
  return {
    blobEndpoint: `${addresses.get('Blob')}/${accountName}`,
    connectionString: `DefaultEndpointsProtocol=http;AccountName=${accountName};AccountKey=${accountKey};${endpoints}`,
    pid: child.pid ?? 0,
    stop,
    ended,
    [Symbol.asyncDispose]: stop,
  }
}

const servicesOf = ({ more }: AzuriteOptions): readonly string[] =>
  more === undefined ? ['Blob'] : ['Blob', 'Queue', 'Table']

/** `--skipApiVersionCheck`: the storage SDK is newer than the API versions that Azurite knows and would be answered with 400. */
const argumentsOf = (options: AzuriteOptions): string[] => [
  '--import',
  `data:text/javascript,${encodeURIComponent(`${collectLessOften}; ${endWithParent}`)}`,
  createRequire(import.meta.url).resolve(`azurite/dist/src/${options.more === undefined ? 'blob/main' : 'azurite'}.js`),
  '--blobHost',
  '127.0.0.1',
  '--blobPort',
  String(options.port ?? 0),
  ...(options.more === undefined ? [] : portArguments(options.more)),
  '--silent',
  '--disableTelemetry',
  '--skipApiVersionCheck',
  ...(options.folder === null ? ['--inMemoryPersistence'] : ['--location', options.folder]),
]

const portArguments = ({ queuePort, tablePort }: { queuePort: number; tablePort: number }): string[] => [
  ...['--queueHost', '127.0.0.1', '--queuePort', String(queuePort)],
  ...['--tableHost', '127.0.0.1', '--tablePort', String(tablePort)],
]

const listeningAddresses = (child: ChildProcess, services: readonly string[]): Promise<ReadonlyMap<string, string>> =>
  new Promise((resolve, reject) => {
    const printed: string[] = []
    const addresses = new Map<string, string>()
    const fail = (why: string) => {
      clearTimeout(timer)
      child.kill('SIGKILL')
      reject(new Error(`Azurite ${why}. It printed: ${printed.slice(-20).join(' | ') || 'nothing'}`))
    }
    const timer = setTimeout(() => fail(`did not listen within ${startSecondsMax} s`), startSecondsMax * 1000)
    const onError = (error: Error) => fail(`could not be started (${error.message})`)
    const onExit = (code: number | null, signal: string | null) =>
      fail(`ended with ${signal ?? code} before it listened`)
    child.once('error', onError).once('exit', onExit)
    const onLine = (line: string) => {
      printed.push(line)
      if (printed.length > 100) printed.shift()
      const [, service, address] =
        /^Azurite (\w+) service .*successfully listen(?:s on|ing at) (http:\/\/\S+)/.exec(line) ?? []
      if (service === undefined || address === undefined) return
      addresses.set(service, address)
      if (addresses.size < services.length) return
      clearTimeout(timer)
      child.off('error', onError).off('exit', onExit)
      resolve(addresses)
    }
    for (const stream of [child.stdout, child.stderr]) if (stream) createInterface({ input: stream }).on('line', onLine)
  })

const stopChild = async (child: ChildProcess, ended: Promise<void>, services: number): Promise<void> => {
  if (child.exitCode !== null || child.signalCode !== null) return
  const kill = () => child.kill('SIGKILL')
  const killer = setTimeout(kill, stopSecondsMax * 1000)
  let closed = 0
  // Azurite listens on the channel to its parent and so never ends by itself, even when everything is closed and saved.
  if (child.stdout)
    createInterface({ input: child.stdout }).on('line', (line) => {
      if (!line.includes('successfully closed')) return
      closed += 1
      if (closed === services) kill()
    })
  child.kill('SIGTERM')
  await ended
  clearTimeout(killer)
}
