import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { DiskStore } from '../disks/disk-store.ts'
import type { Fleet } from '../fleet.ts'
import { loadOrCreateTls } from '../tls.ts'
import { allActions } from './all-routes.ts'
import type { EmulatorContext } from './emulator-context.ts'
import { createFaultPlan } from './faults.ts'
import { loadFleet } from './fleet-resources.ts'
import { createIdentity } from './identity.ts'
import { createOperationRunner } from './operations.ts'
import { createRateLimits } from './rate-limits.ts'
import { identityPath, serveControlPlane } from './server.ts'
import { type EmulatorSettings, parseSettings, type SettingsInput } from './settings.ts'
import { openState } from './state.ts'

export interface ControlPlaneOptions {
  /** State, certificate and key are kept here; made if missing. One process at a time. */
  readonly dataFolder: string
  readonly fleet: Fleet
  readonly disks: DiskStore
  /** 0, the default: the port of the last time if it is free, else any. */
  readonly port?: number
  readonly settings?: SettingsInput
  readonly nowMs?: () => number
}

export interface ControlPlane {
  readonly armEndpoint: string
  readonly identityEndpoint: string
  readonly identityHeader: string
  readonly certificatePath: string
  /** PEM of the certificate, for clients that take it as an option. */
  readonly certificate: string
  /** State, faults and settings, for tests in the same process. */
  readonly context: EmulatorContext
  /** Stops at once. Operations in flight go on when it is started again. */
  close(): Promise<void>
}

/** Starts the control plane: loads the fleet, resumes what a kill interrupted, then listens. @throws when the port is taken */
export const startControlPlane = async (options: ControlPlaneOptions): Promise<ControlPlane> => {
  await mkdir(options.dataFolder, { recursive: true, mode: 0o700 })
  const context = createContext(options)
  const { state, operations } = context
  await loadFleet(context, options.fleet)
  const identity = createIdentity(state, context.nowMs)
  const tls = await loadOrCreateTls(options.dataFolder)
  const server = await serve({ context, identity, key: tls.key, cert: tls.cert }, options.port ?? 0)
  operations.resume()
  return {
    armEndpoint: server.origin,
    identityEndpoint: `${server.origin}${identityPath}`,
    identityHeader: identity.header,
    certificatePath: tls.certificatePath,
    certificate: tls.cert,
    context,
    close: async () => {
      await server.close()
      await operations.stop()
      state.close()
    },
  }
}

const createContext = (options: ControlPlaneOptions): EmulatorContext => {
  const nowMs = options.nowMs ?? Date.now
  let settings: EmulatorSettings = parseSettings(options.settings ?? {})
  const context: EmulatorContext = {
    state: openState(join(options.dataFolder, 'control-plane.sqlite'), nowMs()),
    disks: options.disks,
    faults: createFaultPlan(),
    limits: createRateLimits(() => settings, nowMs),
    operations: createOperationRunner(() => context, allActions),
    settings: () => settings,
    changeSettings: (changed) => {
      settings = changed
    },
    nowMs,
  }
  return context
}

/** Operation URLs name the port, so a restarted emulator takes the one it had if nobody else has it. */
const serve = async (options: Omit<Parameters<typeof serveControlPlane>[0], 'port'>, port: number) => {
  const { state } = options.context
  const lastPort = Number(state.getFact('port') ?? '0')
  const server =
    port === 0 && lastPort !== 0
      ? await serveControlPlane({ ...options, port: lastPort }).catch(() => serveControlPlane({ ...options, port: 0 }))
      : await serveControlPlane({ ...options, port })
  state.setFact('port', String(server.port))
  return server
}
