import { messageOf } from '../../error-text.ts'
import type { FunctionMetadata, InvocationRequest } from '../../invocation.ts'
import type { LogEntry, LogSink } from '../../log.ts'
import type { HostMessage, RegisteredFunction, WorkerMessage } from '../messages.ts'
import { emptyApp, type LoadedApp, runHooks } from './core-api.ts'
import { installCoreModule } from './core-module.ts'
import { loadApp } from './load-app.ts'
import { runInvocation } from './run-invocation.ts'

/** The worker process: forked by the host, it loads one app and runs its functions until told to end. */

const send = (message: WorkerMessage, sent?: () => void): void => {
  // The channel may close under us when the host is killed; the disconnect handler below ends the process.
  if (process.connected) process.send!(message, undefined, undefined, () => sent?.())
}

const log: LogSink = (entry) => send({ kind: 'log', entry })

/** Bindings as plain JSON, each with its name: what the host may see, and may send over IPC. */
const reported = (app: LoadedApp): readonly RegisteredFunction[] =>
  [...app.functions.values()].map(({ metadata }) => ({
    name: metadata.name,
    bindings: Object.entries(metadata.bindings).map(([name, binding]) =>
      JSON.parse(JSON.stringify({ ...binding, name })),
    ) as FunctionMetadata['bindings'],
    retries: metadata.retryOptions !== undefined,
  }))

const load = async (app: LoadedApp, appFolder: string): Promise<void> => {
  try {
    await loadApp(app, appFolder)
    send({ kind: 'loaded', functions: reported(app) })
  } catch (error) {
    send({ kind: 'loadFailed', message: messageOf(error) }, () => process.exit(1))
  }
}

const invoke = async (app: LoadedApp, request: InvocationRequest): Promise<void> => {
  const { invocationId } = request
  send({ kind: 'started', invocationId })
  const result = await runInvocation(app, request, log)
  send({ kind: 'finished', invocationId, result })
}

const terminate = async (app: LoadedApp): Promise<void> => {
  try {
    await runHooks(app, 'appTerminate', { hookData: {}, appHookData: app.appHookData })
  } catch (error) {
    log({ level: 'error', category: 'Worker', message: `App-terminate hook failed: ${messageOf(error)}` })
  }
  // Messages go out in order: with this one all that functions have answered is on its way.
  const entry: LogEntry = { level: 'debug', category: 'Worker', message: 'Worker ends.' }
  send({ kind: 'log', entry }, () => process.exit(0))
}

const app = emptyApp()
installCoreModule(app, (level, category, message) =>
  log({ level, category: category === 'user' ? 'Worker.User' : 'Worker', message }),
)

process.on('message', (message: HostMessage) => {
  if (message.kind === 'load') void load(app, message.appFolder)
  else if (message.kind === 'invoke') void invoke(app, message.request)
  else void terminate(app)
})
// A worker without its host serves nobody: it must not outlive a host that was killed.
process.on('disconnect', () => process.exit(1))
// Ctrl-C in a terminal reaches the whole process group; the host ends its worker in order.
process.on('SIGINT', () => {})
