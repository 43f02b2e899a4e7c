import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import {
  createDurableEngine,
  type DurableEngine,
  type DurableEngineOptions,
} from '../../../../local/host/durable/engine.ts'

export interface EngineServer {
  readonly engine: DurableEngine
  readonly origin: string
  stop(): Promise<void>
}

const recordedHub = { hubName: 'OracleHub', systemKey: 'SK' }

/** An engine behind an HTTP server on a free port, with the limits and names of the recordings unless told otherwise. */
export async function startEngineServer(
  options: Pick<DurableEngineOptions, 'databasePath' | 'worker'> & Partial<DurableEngineOptions>,
): Promise<EngineServer> {
  let origin = ''
  const engine = createDurableEngine({
    ...recordedHub,
    maxConcurrentActivityFunctions: 10,
    maxConcurrentOrchestratorFunctions: 10,
    publicOrigin: () => origin,
    onLog: () => {},
    ...options,
  })
  const server = createServer((request, response) => {
    engine.handle(request, response).then(
      (handled) => handled || response.writeHead(404).end(),
      (error) => response.writeHead(599).end(String(error)),
    )
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  await engine.start()
  return { engine, origin, stop: () => stop(server, engine) }
}

async function stop(server: Server, engine: DurableEngine): Promise<void> {
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
  await engine.stop()
}
