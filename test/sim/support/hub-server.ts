import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { DurableEngine } from '../../../local/host/durable/engine.ts'

/** The address under which the app's Durable client finds whatever engine runs at the moment. */
export interface HubServer {
  readonly origin: string
  /** Null while no engine runs: requests are cut off. */
  engine: DurableEngine | null
  stop(): Promise<void>
}

/** As in the local host. */
const keepAliveTimeout = 130_000

/** Listens on a free port of the loopback. */
export const startHubServer = async (): Promise<HubServer> => {
  const server = createServer({ keepAliveTimeout }, (request, response) => {
    const handled = hub.engine?.handle(request, response) ?? Promise.resolve(false)
    handled.then(
      (isHandled) => isHandled || response.destroy(),
      () => response.destroy(),
    )
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const hub: HubServer = {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    engine: null,
    stop: () => {
      server.closeAllConnections()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
  return hub
}
