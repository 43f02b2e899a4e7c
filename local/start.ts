import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { type Console, consoleOn } from './demo/console.ts'
import { requireFunc } from './demo/find-func.ts'
import { hasDataKeys } from './demo/has-data-keys.ts'
import { curlHints } from './demo/hints.ts'
import { interruption } from './demo/interruption.ts'
import { loadOrCreateKeyFile } from './demo/key-file.ts'
import { helpText, parseOptions, type StartOptions } from './demo/options.ts'
import { prepareFleet } from './demo/prepare-fleet.ts'
import { type LocalAzure, startLocalAzure } from './demo/processes.ts'
import { lockForStart } from './demo/start-lock.ts'
import { tellStory } from './demo/story.ts'

/**
 * `npm start`: the local Azure, the app on it, and the main job in front of the user. Exit codes: 0 all is well; 1 something went wrong;
 * 2 wrong options; 130 or 143 stopped by a signal before the work was done.
 */

const main = async (): Promise<number> => {
  const projectFolder = fileURLToPath(new URL('..', import.meta.url))
  const parsed = parseOptions(process.argv.slice(2), process.env.INIT_CWD ?? process.cwd(), projectFolder)
  switch (parsed.kind) {
    case 'help':
      process.stdout.write(`${helpText}\n`)
      return 0
    case 'wrong':
      process.stderr.write(`${parsed.message}\n`)
      return 2
    case 'start':
      return start(parsed.options, consoleOn(process.stdout))
    default:
      return parsed satisfies never
  }
}

const start = async (options: StartOptions, console: Console): Promise<number> => {
  const interrupted = interruption()
  const funcPath = options.host === 'func' ? await requireFunc(process.env.PATH) : null
  await using _ = await lockForStart(options.dataFolder)
  const keyFile = await loadOrCreateKeyFile(options.dataFolder, hasDataKeys)
  const prepared = await prepareFleet(options, console)
  console.title('The local Azure starts')
  console.say(`Recovery points are encrypted; without the key file ${keyFile} they cannot be restored.`)
  const azure = await startLocalAzure({
    dataFolder: options.dataFolder,
    fleetPath: prepared.fleet.path,
    subscriptionIds: [prepared.fleet.subscription],
    ports: 'usual',
    funcPath,
    settings: { VAULT_KEY: 'file', KEY_FILE: keyFile, ...(prepared.sample === null ? {} : sampleSettings) },
    say: console.say,
  })
  try {
    const told = tellStory({ azure, keyFile }, prepared, console).then(
      (wrong) => verdict(wrong, options),
      (error: unknown) => afterPartsSpoke(error, azure),
    )
    const isEnd = await Promise.race([
      told.then(() => options.once),
      interrupted.then(() => true),
      azure.broken.then(() => true),
    ])
    if (isEnd) return await Promise.race([azure.broken.then(failed), interrupted, told])
    console.title('All is up until Ctrl-C. To try:')
    for (const line of curlHints(azure.hostOrigin, azure.compute.armEndpoint, prepared.fleet)) console.say(line)
    return await Promise.race([azure.broken.then(failed), interrupted.then(() => told)])
  } finally {
    console.title('Stopping')
    await azure.stop()
    console.say(`Everything is stopped. The data stays in ${options.dataFolder}.`)
  }
}

/** Small slices, so that something is seen to move on small disks. */
const sampleSettings = { SLICE_MIB: '16' }

/** When a part dies, a request that fails is seen first; the part's own end says more. */
const afterPartsSpoke = async (error: unknown, azure: LocalAzure): Promise<never> => {
  await Promise.race([azure.broken, sleep(1000)])
  throw error
}

/** Says what went wrong. */
const verdict = (wrong: readonly string[], options: StartOptions): number => {
  for (const line of wrong) process.stderr.write(`WRONG: ${line}\n`)
  if (wrong.length > 0) process.stderr.write(`The logs are in ${options.dataFolder}/logs.\n`)
  return wrong.length === 0 ? 0 : 1
}

const failed = (message: string): number => {
  process.stderr.write(`\n${message}\n`)
  return 1
}

// What the story left under way (a request, a pause) does not keep the process.
process.exit(await main().catch((error: unknown) => failed(error instanceof Error ? error.message : String(error))))
