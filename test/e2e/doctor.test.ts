import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { appEnvironment } from '../../local/demo/app-environment.ts'
import { projectFolder } from '../support/documents.ts'
import { platformCopies } from './support/arm.ts'
import {
  type LocalWorld,
  namesBelow,
  startLocalWorld,
  subscription,
  vmIdOf,
  waitForJob,
} from './support/local-world.ts'

/** `npm run doctor` as the documents show it, with the settings of the app that runs beside it. */

let world: LocalWorld
beforeAll(async () => {
  world = await startLocalWorld({ os: { sizeMiB: 32, filledMiB: 4 } })
}, 300_000)
afterAll(async () => {
  await world?.[Symbol.asyncDispose]()
})

const doctor = async (args: readonly string[]) => {
  const { compute, storageConnectionString: connectionString } = world.azure
  const app = { parent: process.env, compute, connectionString, subscriptionIds: [subscription], hostPort: 0 }
  const env = { ...appEnvironment(app), AzureWebJobsStorage: connectionString }
  const child = spawn('npm', ['run', '--silent', 'doctor', '--', ...args], { cwd: projectFolder, env })
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
  const [code] = (await once(child, 'close')) as [number]
  return { code, output }
}

it('finds no problem where the app has made a backup, and leaves what is there as it is', async () => {
  const { status, body } = await startBackup()
  expect(status).toBe(202)
  expect((await waitForJob(world, body.jobId)).outcome).toMatchObject({ kind: 'completed' })
  const before = await namesBelow(world.vault, '')
  const { restorePoints } = await platformCopies(world.azure.compute)
  const { code, output } = await doctor(['--vm', vmIdOf('machine')])
  expect(output).toContain('No problem was found.')
  expect(output).toContain('Get Page Ranges with the earlier copy answers: no range.')
  expect(code).toBe(0)
  expect(await namesBelow(world.vault, '')).toEqual(before)
  expect(await namesBelow(world.control, 'doctor/')).toEqual([])
  expect(await platformCopies(world.azure.compute)).toEqual({ restorePoints, snapshots: [], grants: [] })
})

const startBackup = async () => {
  const headers = { 'content-type': 'application/json' }
  const body = JSON.stringify({ vmId: world.vmId })
  const response = await fetch(`${world.azure.hostOrigin}/api/backups`, { method: 'POST', headers, body })
  return { status: response.status, body: (await response.json()) as { jobId: string } }
}
