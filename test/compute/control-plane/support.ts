import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ComputeManagementClient } from '@azure/arm-compute'
import { expect } from 'vitest'
import { type ComputeEmulator, startComputeEmulator } from '../../../local/compute/compute-emulator.ts'
import { allRoutes } from '../../../local/compute/control-plane/all-routes.ts'
import { createRouter } from '../../../local/compute/control-plane/router.ts'
import type { SettingsInput } from '../../../local/compute/control-plane/settings.ts'

export const subscriptionId = '0b1f6471-1bf0-4dda-aec3-cb9272f09590'
export const resourceGroup = 'rg-fleet'
export const location = 'westeurope'
export const mib = 2 ** 20

type PipelinePolicy = Parameters<ComputeManagementClient['pipeline']['addPolicy']>[0]

/** The compute id of something in the sample fleet's group. */
export const idOf = (...segments: readonly string[]): string =>
  `/subscriptions/${subscriptionId}/resourceGroups/${resourceGroup}/providers/Microsoft.Compute/${segments.join('/')}`

/** What a run has tried, for the table at its end. */
export interface Ledger {
  /** Successful calls of the official SDK, by operation of the specification. */
  readonly operations: Map<string, number>
  readonly examples: Set<string>
  readonly refusals: string[]
}

export interface World {
  readonly folder: string
  readonly fleetPath: string
  readonly emulator: ComputeEmulator
  readonly client: ComputeManagementClient
  readonly ledger: Ledger
  /** A request as it is, without the SDK; null as authorization leaves the header out. */
  readonly send: (method: string, path: string, options?: SendOptions) => Promise<Answer>
  readonly close: () => Promise<void>
}

export interface SendOptions {
  readonly body?: unknown
  readonly authorization?: string | null
  readonly headers?: Readonly<Record<string, string>>
}

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  // biome-ignore lint/suspicious/noExplicitAny: bodies of every shape are looked into
  readonly json: any
}

/** Fleet of a Linux VM with two data disks and a deallocated Windows VM; images are sparse files of a few MiB. */
export const makeFleet = async (folder: string): Promise<string> => {
  for (const image of ['linux-os', 'linux-data-0', 'linux-data-1', 'windows-os', 'cold-os']) {
    await writeFile(join(folder, `${image}.raw`), `first bytes of ${image}`)
    await truncate(join(folder, `${image}.raw`), 4 * mib)
  }
  const fleet = {
    subscription: subscriptionId,
    resourceGroups: [{ name: resourceGroup, location: 'West Europe' }],
    virtualMachines: [
      {
        name: 'vm-linux',
        resourceGroup,
        osType: 'Linux',
        size: 'Standard_D2s_v5',
        tags: { policy: 'daily' },
        imageReference: { publisher: 'Canonical', offer: 'ubuntu-24_04-lts', sku: 'server', version: 'latest' },
        disks: [
          { name: 'linux-os', lun: 'os', image: 'linux-os.raw', caching: 'ReadWrite' },
          { name: 'linux-data-0', lun: 0, image: 'linux-data-0.raw' },
          { name: 'linux-data-1', lun: 1, image: 'linux-data-1.raw' },
        ],
      },
      {
        name: 'vm-windows',
        resourceGroup,
        osType: 'Windows',
        disks: [{ name: 'windows-os', lun: 'os', image: 'windows-os.raw' }],
      },
      {
        name: 'vm-cold',
        resourceGroup,
        osType: 'Linux',
        hyperVGeneration: 'V1',
        powerState: 'deallocated',
        disks: [{ name: 'cold-os', lun: 'os', image: 'cold-os.raw' }],
      },
    ],
    policies: { daily: { schedule: '0 2 * * *' } },
  }
  const path = join(folder, 'fleet.json')
  await writeFile(path, JSON.stringify(fleet, null, 2))
  return path
}

/** Settings of tests: operations still take time, but little; limits are high enough not to be met by chance. */
const quick: SettingsInput = {
  operationMs: 40,
  retryAfterSeconds: 0,
  buckets: {
    SubscriptionReads: { capacity: 100_000, windowSeconds: 10 },
    SubscriptionWrites: { capacity: 100_000, windowSeconds: 10 },
    GetOperationResource: { capacity: 10_000, windowSeconds: 60 },
    GetVMResource: { capacity: 10_000, windowSeconds: 60 },
    UpdateVMResource: { capacity: 10_000, windowSeconds: 60 },
    PutRestorePointCollectionResource: { capacity: 10_000, windowSeconds: 60 },
  },
}

/** An emulator over a fresh folder, and the official client pointed at it. */
export const startWorld = async (settings: SettingsInput = {}): Promise<World> => {
  const folder = await mkdtemp(join(tmpdir(), 'compute-emulator-'))
  const fleetPath = await makeFleet(folder)
  const emulator = await startComputeEmulator({
    dataFolder: join(folder, 'data'),
    fleetPath,
    settings: { ...quick, ...settings },
  })
  const ledger: Ledger = { operations: new Map(), examples: new Set(), refusals: [] }
  const { certificate, armEndpoint } = emulator
  const token = await tokenOf(emulator)
  return {
    folder,
    fleetPath,
    emulator,
    ledger,
    client: clientOf(armEndpoint, certificate, token, ledger),
    send: (method, path, options) => sendRaw(armEndpoint, certificate, token, method, path, options ?? {}),
    close: async () => {
      await emulator.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** A bearer token from the emulator's own managed-identity endpoint. */
const tokenOf = async (emulator: ComputeEmulator): Promise<string> => {
  const url = `${emulator.identityEndpoint}?api-version=2019-08-01&resource=https://management.azure.com`
  const { json } = await sendRaw(url, emulator.certificate, '', 'GET', '', {
    authorization: null,
    headers: { 'X-IDENTITY-HEADER': emulator.identityHeader },
  })
  return json.access_token
}

/** The official client, unchanged but for a policy that notes which operations succeeded, and fast retries. */
export const clientOf = (
  endpoint: string,
  certificate: string,
  token: string,
  ledger: Ledger,
): ComputeManagementClient => {
  const route = createRouter(allRoutes)
  const note: PipelinePolicy = {
    name: 'noteOperations',
    sendRequest: async (request, next) => {
      const response = await next(request)
      const { operation } = route(request.method, new URL(request.url).pathname).route
      if (response.status < 300) ledger.operations.set(operation, (ledger.operations.get(operation) ?? 0) + 1)
      return response
    },
  }
  return new ComputeManagementClient(
    { getToken: async () => ({ token, expiresOnTimestamp: Date.now() + 3600_000 }) },
    subscriptionId,
    {
      endpoint,
      tlsOptions: { ca: certificate },
      retryOptions: { maxRetries: 0 },
      additionalPolicies: [{ policy: note, position: 'perCall' }],
    },
  )
}

/** Polls quickly; every SDK call that polls gets it. */
export const poll = { updateIntervalInMs: 20 } as const

const sendRaw = async (
  origin: string,
  ca: string,
  token: string,
  method: string,
  path: string,
  options: SendOptions,
): Promise<Answer> => {
  const { request } = await import('node:https')
  const authorization = options.authorization === undefined ? `Bearer ${token}` : options.authorization
  const body = typeof options.body === 'string' ? options.body : JSON.stringify(options.body ?? null)
  return new Promise((resolve, reject) => {
    const sent = request(
      `${origin}${path}`,
      {
        method,
        ca,
        headers: {
          ...(authorization === null ? {} : { authorization }),
          ...(options.body === undefined ? {} : { 'content-type': 'application/json' }),
          ...options.headers,
        },
      },
      (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString()
          const headers = new Headers(Object.entries(response.headers).map(([name, value]) => [name, String(value)]))
          resolve({ status: response.statusCode ?? 0, headers, text, json: text === '' ? null : JSON.parse(text) })
        })
      },
    )
    sent.on('error', reject)
    sent.end(options.body === undefined ? undefined : body)
  })
}

/** Expects a call of the SDK to be refused with that status and ARM error code, and notes it. */
export const refused = async (
  world: World,
  what: string,
  call: Promise<unknown>,
  statusCode: number,
  code: string,
): Promise<void> => {
  const error = await call.then(
    () => null,
    (thrown: { statusCode?: number; code?: string; details?: { error?: { code?: string } } }) => thrown,
  )
  expect({ what, statusCode: error?.statusCode, code: error?.details?.error?.code ?? error?.code }).toEqual({
    what,
    statusCode,
    code,
  })
  world.ledger.refusals.push(what)
}

/** The same for a request without the SDK. */
export const refusedAnswer = (world: World, what: string, answer: Answer, status: number, code: string): void => {
  const error = answer.json?.error ?? answer.json
  expect({ what, status: answer.status, code: error?.code }).toEqual({ what, status, code })
  expect(error.message).toEqual(expect.stringMatching(/\w+/))
  world.ledger.refusals.push(what)
}

/** Lets some operations take long enough to be met while they run, however loaded the machine is. */
export const slowly = async (world: World, operations: readonly string[], use: () => Promise<void>): Promise<void> => {
  const { context } = world.emulator
  const before = context.settings()
  const operationMsByName = Object.fromEntries(operations.map((operation) => [operation, 1000]))
  context.changeSettings({ ...before, operationMsByName })
  try {
    await use()
  } finally {
    context.changeSettings(before)
  }
}

/** Collects a paged list. */
export const all = async <T>(pages: AsyncIterable<T>): Promise<T[]> => {
  const found: T[] = []
  for await (const item of pages) found.push(item)
  return found
}

/** Notes that a published example of the specification was followed (own names and ids, the same shape of request). */
export const follows = (world: World, ...examples: readonly string[]): void => {
  for (const example of examples) world.ledger.examples.add(`${example}.json`)
}

/** The same for an example of which only a part is emulated. @param left what is left out */
export const followsPart = (world: World, example: string, left: string): void => {
  world.ledger.examples.add(`${example}.json (without ${left})`)
}

/** GET of a SAS URL on the data plane. */
export const fetchSas = async (
  url: string,
  range?: string,
): Promise<{ status: number; headers: Headers; text: string }> => {
  const response = await fetch(url, { headers: { ...(range === undefined ? {} : { 'x-ms-range': range }) } })
  return { status: response.status, headers: response.headers, text: await response.text() }
}

/** Put Page on a write SAS; gives the status. */
export const putPage = async (url: string, offset: number, bytes: Buffer): Promise<number> => {
  const response = await fetch(`${url}&comp=page`, {
    method: 'PUT',
    headers: {
      'x-ms-page-write': 'update',
      'x-ms-range': `bytes=${offset}-${offset + bytes.length - 1}`,
      'x-ms-version': '2021-04-10',
    },
    body: new Uint8Array(bytes),
  })
  await response.text()
  return response.status
}

/** The footer of a fixed VHD: Virtual Hard Disk Image Format Specification, "Hard Disk Footer Format". */
export const footerOf = (sizeBytes: number): Buffer => {
  const footer = Buffer.alloc(512)
  footer.write('conectix', 0, 'latin1')
  footer.writeUInt32BE(2, 8)
  footer.writeUInt32BE(0x00010000, 12)
  footer.writeBigUInt64BE(0xffffffffffffffffn, 16)
  footer.write('test', 28, 'latin1')
  footer.writeUInt32BE(0x00010000, 32)
  footer.writeBigUInt64BE(BigInt(sizeBytes), 40)
  footer.writeBigUInt64BE(BigInt(sizeBytes), 48)
  footer.writeUInt32BE(2, 60)
  const sum = footer.reduce((total, byte) => total + byte, 0)
  footer.writeUInt32BE(~sum >>> 0, 64)
  return footer
}
