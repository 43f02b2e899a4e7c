import { parseArgs } from 'node:util'
import * as v from 'valibot'
import { startComputeEmulator } from './compute-emulator.ts'
import { type SettingsInput, settingsSchema } from './control-plane/settings.ts'
import { FleetError } from './fleet.ts'

const usage =
  'Usage: node local/compute/main.ts --data FOLDER --fleet FILE [--port N] [--data-port N] [--operation-ms N] [--settings JSON]'

const wholeNumber = (name: string, text: string | undefined): number | undefined => {
  if (text === undefined) return undefined
  if (!/^\d{1,9}$/.test(text)) throw new TypeError(`--${name} must be a whole number, not "${text}".`)
  return Number(text)
}

/** Settings of control-plane/settings.ts as JSON, such as `{"pageSize": 2}`. */
const readSettings = (text: string): SettingsInput => {
  try {
    return v.parse(settingsSchema, JSON.parse(text))
  } catch (error) {
    const field = error instanceof v.ValiError ? `${v.getDotPath(error.issues[0]) ?? ''}: ` : ''
    throw new TypeError(`--settings is not right: ${field}${(error as Error).message}`)
  }
}

/** What the command line asks for. @throws TypeError in words for people */
const readOptions = () => {
  const { values } = parseArgs({
    options: {
      data: { type: 'string' },
      fleet: { type: 'string' },
      port: { type: 'string' },
      'data-port': { type: 'string' },
      'operation-ms': { type: 'string' },
      settings: { type: 'string', default: '{}' },
    },
  })
  if (values.data === undefined || values.fleet === undefined) throw new TypeError('--data and --fleet are needed.')
  const operationMs = wholeNumber('operation-ms', values['operation-ms'])
  return {
    dataFolder: values.data,
    fleetPath: values.fleet,
    port: wholeNumber('port', values.port) ?? 0,
    dataPort: wholeNumber('data-port', values['data-port']) ?? 0,
    settings: { ...readSettings(values.settings), ...(operationMs === undefined ? {} : { operationMs }) },
  }
}

/** Runs the emulator until SIGTERM, SIGINT or the end of the IPC channel; says where it is by IPC and as one JSON line. */
const main = async (): Promise<void> => {
  const emulator = await startComputeEmulator(readOptions())
  const { armEndpoint, identityEndpoint, identityHeader, certificatePath, dataPlaneOrigin } = emulator
  const ready = { ready: true, armEndpoint, identityEndpoint, identityHeader, certificatePath, dataPlaneOrigin }
  const stop = (): void => {
    emulator.close().then(
      () => process.exit(0),
      (error: unknown) => {
        console.error(error)
        process.exit(1)
      },
    )
  }
  process.once('SIGTERM', stop)
  process.once('SIGINT', stop)
  process.once('disconnect', stop)
  process.send?.(ready)
  console.log(JSON.stringify(ready))
}

main().catch((error: unknown) => {
  if (error instanceof FleetError) console.error(error.message)
  else if (error instanceof TypeError) console.error(`${error.message}\n${usage}`)
  else console.error(error)
  process.exit(1)
})
