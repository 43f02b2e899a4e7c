import { randomBytes } from 'node:crypto'
import { Agent, request } from 'node:http'
import { join } from 'node:path'
import { ContainerClient, ContainerSASPermissions } from '@azure/storage-blob'
import { ourContestant } from './ours.ts'
import { warm } from './page-cache.ts'
import type { Server } from './processes.ts'
import { boundRow, type Row } from './row.ts'
import { median } from './statistics.ts'
import { azuriteStorage } from './storage.ts'
import type { WorkImages } from './work-images.ts'

const blobBytes = 32 * 2 ** 20
const uploadsAtOnce = 4

/** How much of what Azurite takes at most a transfer of incompressible data brings to it: the same bytes as bare Put Blob requests and as a
 * full backup, in turn. */
export const uploadRows = async (
  parts: { readonly folder: string; readonly images: WorkImages; readonly source: Server },
  runs: number,
  say: (line: string) => void,
): Promise<readonly Row[]> => {
  const shares: number[] = []
  for (let round = 0; round < runs; round += 1) {
    const bytes = parts.images.incompressible.sizeBytes
    const raw = await withFreshStore(parts, async (_ours, connectionString) => rawUpload(connectionString, bytes))
    const ours = await withFreshStore(parts, async (contestant) => {
      await warm(parts.images.incompressible)
      const order = { vm: 'noise', image: parts.images.incompressible, source: 'full' }
      return (await contestant.backUp(order)).sample.wallSeconds
    })
    shares.push(raw / ours)
    say(`upload round ${round + 1}: bare ${raw.toFixed(2)} s, backup ${ours.toFixed(2)} s`)
  }
  return [
    boundRow({
      goal: 'incompressible data, share of the raw upload ceiling',
      value: median(shares),
      atLeast: 0.85,
      note: `Put Blob of 32 MiB, ${uploadsAtOnce} at once`,
    }),
  ]
}

const withFreshStore = async <Result>(
  { folder, images, source }: { readonly folder: string; readonly images: WorkImages; readonly source: Server },
  use: (ours: Awaited<ReturnType<typeof ourContestant>>, connectionString: string) => Promise<Result>,
): Promise<Result> => {
  const storage = await azuriteStorage(join(folder, 'store'))
  await using ours = await ourContestant({ name: 'upload', folder, images, source, storage, operations: ['full'] })
  return await use(ours, storage.connectionString)
}

const rawUpload = async (connectionString: string, bytes: number): Promise<number> => {
  const container = new ContainerClient(connectionString, 'raw')
  await container.createIfNotExists()
  const permissions = ContainerSASPermissions.parse('cw')
  const expiresOn = new Date(Date.now() + 3600 * 1000)
  const [base = '', query = ''] = (await container.generateSasUrl({ permissions, expiresOn })).split('?')
  const agent = new Agent({ keepAlive: true, maxSockets: uploadsAtOnce })
  const body = randomBytes(Math.min(blobBytes, bytes))
  const began = performance.now()
  const blobs = Math.ceil(bytes / body.length)
  const lane = async (first: number): Promise<void> => {
    for (let blob = first; blob < blobs; blob += uploadsAtOnce) await putBlob(agent, `${base}/${blob}?${query}`, body)
  }
  await Promise.all(Array.from({ length: uploadsAtOnce }, (_, first) => lane(first)))
  agent.destroy()
  return (performance.now() - began) / 1000
}

const putBlob = (agent: Agent, url: string, body: Buffer): Promise<void> =>
  new Promise((resolve, reject) => {
    const headers = { 'x-ms-blob-type': 'BlockBlob', 'content-length': body.length }
    const sent = request(url, { method: 'PUT', agent, headers }, (response) => {
      response.resume()
      response.once('end', () =>
        response.statusCode === 201 ? resolve() : reject(new Error(`Azurite answered ${response.statusCode}.`)),
      )
    })
    sent.once('error', reject)
    sent.end(body)
  })
