import path from 'node:path'
import { parseArgs } from 'node:util'
import { createDurableEngine } from './durable/engine.ts'
import { messageOf } from './error-text.ts'
import type { HostedFunction } from './function-catalog.ts'
import { type RunningHost, startHost } from './host.ts'
import { invokeUrl } from './http/admin-routes.ts'
import { keyFileOf } from './http/keys.ts'
import { lineLog, logLevels } from './log.ts'

/**
 * The host's process: `node local/host/main.ts --app <folder> --data <folder> [--port 7071] [--auth keys]
 * [--log json|text] [--log-level information]`. Ends in order on SIGINT or SIGTERM. Where it has an IPC channel, it sends
 * `{ ready: true, port }` or `{ error }` there, and ends in order when the channel closes: its parent is gone. Exit code 1
 * where it could not start or not go on.
 */

const usage = 'Usage: node local/host/main.ts --app <folder> --data <folder> [--port 7071] [--auth keys]'

const readArguments = () => {
  const { values } = parseArgs({
    options: {
      app: { type: 'string' },
      data: { type: 'string' },
      port: { type: 'string', default: '7071' },
      auth: { type: 'string', default: 'off' },
      log: { type: 'string', default: 'text' },
      'log-level': { type: 'string', default: 'information' },
    },
  })
  const { app, data, auth, log } = values
  const port = Number(values.port)
  const level = logLevels.find((one) => one === values['log-level'])
  const isPort = Number.isInteger(port) && port >= 0 && port <= 65_535
  if (app === undefined || data === undefined || !isPort || level === undefined) throw new Error(usage)
  if ((auth !== 'off' && auth !== 'keys') || (log !== 'text' && log !== 'json')) throw new Error(usage)
  return { appFolder: path.resolve(app), dataFolder: path.resolve(data), port, auth, log, level } as const
}

const functionLine = (host: RunningHost, hosted: HostedFunction): string =>
  hosted.kind === 'http'
    ? `${hosted.name}: [${hosted.methods.join(',')}] ${invokeUrl(host.origin, host.routePrefix, hosted.route)}`
    : `${hosted.name}: ${hosted.kind}Trigger`

const write = (line: string): void => {
  process.stdout.write(`${line}\n`)
}

const announce = (host: RunningHost, keyFile: string | null): void => {
  write('Functions:')
  for (const hosted of host.catalog) write(`  ${functionLine(host, hosted)}`)
  if (keyFile !== null) write(`Keys are in ${keyFile}`)
  write(`Host ready on ${host.origin} (pid ${process.pid})`)
  process.send?.({ ready: true, port: host.port })
}

const endOnSignal = (host: RunningHost): void => {
  let ending = false
  const end = async (): Promise<void> => {
    // A second signal is for a host that hangs.
    if (ending) process.exit(130)
    ending = true
    await host.stop()
    process.exit(0)
  }
  process.on('SIGINT', () => void end())
  process.on('SIGTERM', () => void end())
  process.on('disconnect', () => void end())
}

const fail = (reason: unknown): void => {
  const error = messageOf(reason)
  process.stderr.write(`${error}\n`)
  if (process.connected) process.send?.({ error }, () => process.exit(1))
  else process.exit(1)
}

const main = async (): Promise<void> => {
  try {
    const { log, level, ...options } = readArguments()
    const onLog = lineLog(write, log, level)
    const host = await startHost({
      ...options,
      environment: process.env,
      createEngine: createDurableEngine,
      onLog,
      onGivenUp: fail,
    })
    announce(host, options.auth === 'keys' ? keyFileOf(options.dataFolder) : null)
    endOnSignal(host)
  } catch (error) {
    fail(error)
  }
}

await main()
