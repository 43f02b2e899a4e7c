// The emulator as a process of its own: the official SDK with the real DefaultAzureCredential in a third process, and what
// is left after kill -9.
import { type ChildProcess, execFile, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { ComputeManagementClient } from '@azure/arm-compute'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { all, clientOf, fetchSas, idOf, location, makeFleet, poll, resourceGroup, subscriptionId } from './support.ts'

interface Ready {
  readonly ready: true
  readonly armEndpoint: string
  readonly identityEndpoint: string
  readonly identityHeader: string
  readonly certificatePath: string
  readonly dataPlaneOrigin: string
}

/** A program as it would run on Azure: nothing in it knows that the endpoint is local. */
const listVms = `
  import { ComputeManagementClient } from '@azure/arm-compute'
  import { DefaultAzureCredential } from '@azure/identity'
  const [, endpoint, subscriptionId] = process.argv
  const client = new ComputeManagementClient(new DefaultAzureCredential(), subscriptionId, { endpoint })
  const names = []
  for await (const vm of client.virtualMachines.listAll()) names.push(vm.name)
  console.log(JSON.stringify(names))
`

const root = join(import.meta.dirname, '../../..')
let folder: string
let fleet: string
const children = new Set<ChildProcess>()

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compute-process-'))
  fleet = await makeFleet(folder)
})

afterEach(async () => {
  for (const child of children) child.kill('SIGKILL')
  children.clear()
  await rm(folder, { recursive: true, force: true, maxRetries: 5 })
})

const start = async (operationMs: number): Promise<{ child: ChildProcess; ready: Ready }> => {
  const args = ['--data', join(folder, 'data'), '--fleet', fleet, '--operation-ms', String(operationMs)]
  const child = fork(join(root, 'local/compute/main.ts'), args, {
    execArgv: [],
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  })
  children.add(child)
  const [ready] = (await once(child, 'message')) as [Ready]
  return { child, ready }
}

const kill = async (child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> => {
  child.kill(signal)
  const [code] = await once(child, 'exit')
  children.delete(child)
  return code as number | null
}

const get = (url: string, headers: Record<string, string>, ca: string): Promise<{ status: number; json: unknown }> =>
  new Promise((resolve, reject) => {
    const sent = request(url, { headers, ca }, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => {
        text += chunk
      })
      response.on('end', () => resolve({ status: response.statusCode ?? 0, json: JSON.parse(text) }))
    })
    sent.on('error', reject)
    sent.end()
  })

const connect = async (ready: Ready): Promise<ComputeManagementClient> => {
  const ca = await readFile(ready.certificatePath, 'utf8')
  const url = `${ready.identityEndpoint}?api-version=2019-08-01&resource=https://management.azure.com`
  const { json } = await get(url, { 'X-IDENTITY-HEADER': ready.identityHeader }, ca)
  const { access_token } = json as { access_token: string }
  return clientOf(ready.armEndpoint, ca, access_token, { operations: new Map(), examples: new Set(), refusals: [] })
}

describe('the emulator as a process', () => {
  it('serves the unchanged DefaultAzureCredential and SDK by environment alone, and stops when it is told', async () => {
    const { child, ready } = await start(50)
    const args = ['--input-type=module', '--eval', listVms, ready.armEndpoint, subscriptionId]
    const { stdout } = await promisify(execFile)(process.execPath, args, {
      cwd: root,
      env: {
        PATH: process.env.PATH,
        NODE_EXTRA_CA_CERTS: ready.certificatePath,
        IDENTITY_ENDPOINT: ready.identityEndpoint,
        IDENTITY_HEADER: ready.identityHeader,
      },
    })
    expect(JSON.parse(stdout)).toEqual(['vm-cold', 'vm-linux', 'vm-windows'])
    expect(await kill(child, 'SIGTERM')).toBe(0)
  })

  it('gives tokens only to who knows the header, with the api-version of App Service', async () => {
    const { ready } = await start(50)
    const ca = await readFile(ready.certificatePath, 'utf8')
    const ask = async (query: string, header: string) =>
      (await get(`${ready.identityEndpoint}?${query}`, { 'X-IDENTITY-HEADER': header }, ca)).status
    const good = 'api-version=2019-08-01&resource=https://management.azure.com'
    expect(await ask(good, ready.identityHeader)).toBe(200)
    expect(await ask(good, 'wrong')).toBe(401)
    expect(await ask('api-version=2017-09-01&resource=https://management.azure.com', ready.identityHeader)).toBe(400)
    expect(await ask('api-version=2019-08-01', ready.identityHeader)).toBe(400)
  })

  it('prints every problem of the fleet file and ends with 1', async () => {
    await writeFile(fleet, '{"virtualMachines": 7}')
    const args = [join(root, 'local/compute/main.ts'), '--data', join(folder, 'data'), '--fleet', fleet]
    const failed = await promisify(execFile)(process.execPath, args).catch(
      (error: { code: number; stderr: string }) => error,
    )
    expect(failed).toMatchObject({ code: 1 })
    expect(failed.stderr).toMatch(/subscription: .*\n.*resourceGroups: .*\n.*virtualMachines: /)
  })

  it('keeps its key and state from other users', async () => {
    await start(50)
    for (const name of ['certificate-key.pem', 'control-plane.sqlite'])
      expect((await stat(join(folder, 'data', name))).mode & 0o077).toBe(0)
  })
})

describe('an emulator that was killed', () => {
  it('finishes the operations that were in flight, at the same addresses, and keeps everything else', async () => {
    const first = await start(3000)
    const before = await connect(first.ready)
    await before.restorePointCollections.createOrUpdate(resourceGroup, 'rpc', {
      location,
      source: { id: idOf('virtualMachines', 'vm-linux') },
    })
    const creationData = { createOption: 'Copy', sourceResourceId: idOf('disks', 'linux-os') } as const
    const inFlight = [
      before.restorePoints.create(resourceGroup, 'rpc', 'rp', {}, poll),
      before.disks.createOrUpdate(resourceGroup, 'copy', { location, creationData }, poll),
      before.virtualMachines.start(resourceGroup, 'vm-cold', poll),
    ]
    for (const poller of inFlight) poller.catch(() => undefined)
    await Promise.all(inFlight.map((poller) => poller.submitted()))
    const statesOf = async (client: ComputeManagementClient) => [
      (await client.restorePoints.get(resourceGroup, 'rpc', 'rp')).provisioningState,
      (await client.disks.get(resourceGroup, 'copy')).provisioningState,
      (await client.virtualMachines.get(resourceGroup, 'vm-cold')).provisioningState,
    ]
    expect(await statesOf(before)).toEqual(['Creating', 'Updating', 'Updating'])
    await kill(first.child, 'SIGKILL')

    const second = await start(100)
    expect(second.ready).toEqual(first.ready)
    const after = await connect(second.ready)
    const done = ['Succeeded', 'Succeeded', 'Succeeded']
    await expect.poll(() => statesOf(after), { timeout: 10_000, interval: 100 }).toEqual(done)
    expect((await all(after.diskRestorePoint.listByRestorePoint(resourceGroup, 'rpc', 'rp'))).length).toBe(3)
    await kill(second.child, 'SIGKILL')
  })

  it('hands out the bytes of a restore point made before, under the SAS given before', async () => {
    const first = await start(100)
    const before = await connect(first.ready)
    await before.restorePointCollections.createOrUpdate(resourceGroup, 'rpc', {
      location,
      source: { id: idOf('virtualMachines', 'vm-linux') },
    })
    const creating = before.restorePoints.create(resourceGroup, 'rpc', 'rp', {}, poll)
    creating.catch(() => undefined)
    await creating.submitted()
    await kill(first.child, 'SIGKILL')

    const second = await start(100)
    const after = await connect(second.ready)
    const stateOf = async () => (await after.restorePoints.get(resourceGroup, 'rpc', 'rp')).provisioningState
    await expect.poll(stateOf, { timeout: 5000 }).toBe('Succeeded')
    const [disk] = await all(after.diskRestorePoint.listByRestorePoint(resourceGroup, 'rpc', 'rp'))
    const data = { access: 'Read', durationInSeconds: 600 } as const
    const { accessSAS = '' } = await after.diskRestorePoint.grantAccess(
      resourceGroup,
      'rpc',
      'rp',
      disk?.name ?? '',
      data,
      poll,
    )
    await kill(second.child, 'SIGKILL')

    const third = await start(100)
    expect((await fetchSas(accessSAS, 'bytes=0-10')).text).toBe('first bytes')
    const again = await connect(third.ready)
    const call = again.restorePoints.delete(resourceGroup, 'rpc', 'rp', poll)
    await expect(call).rejects.toMatchObject({ statusCode: 409 })
  })
})
