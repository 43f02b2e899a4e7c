import { randomBytes } from 'node:crypto'
import { mkdtemp, open, rm, truncate, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type DataPlane, type DataPlaneOptions, startDataPlane } from '../../../local/compute/data-plane/server.ts'
import { createDiskStore, type FileDiskStore } from '../../../local/compute/disks/file-disk-store.ts'
import type { DiskStoreOptions } from '../../../local/compute/disks/store-state.ts'

export const page = 4096
export const mebibyte = 2 ** 20

export interface PlaneFixture extends AsyncDisposable {
  readonly folder: string
  readonly store: FileDiskStore
  readonly plane: DataPlane
}

/** A store in a new folder with a data plane before it. */
export const startFixture = async (
  storeOptions: Partial<DiskStoreOptions> = {},
  settings: DataPlaneOptions['settings'] = {},
): Promise<PlaneFixture> => {
  const folder = await mkdtemp(join(tmpdir(), 'data-plane-'))
  const origin: { value: string } = { value: '' }
  const store = await createDiskStore({
    folder: join(folder, 'store'),
    publicOrigin: () => origin.value,
    ...storeOptions,
  })
  const plane = await startDataPlane({ store, settings })
  origin.value = plane.origin
  return {
    folder,
    store,
    plane,
    async [Symbol.asyncDispose]() {
      await plane.close()
      await store.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** A sparse raw file with random bytes in the named pages. */
export const makeImage = async (path: string, sizeBytes: number, pages: readonly number[] = []): Promise<string> => {
  await writeFile(path, '')
  await truncate(path, sizeBytes)
  await writePages(path, pages)
  return path
}

export const writePages = async (path: string, pages: readonly number[], bytes?: Uint8Array): Promise<void> => {
  const file = await open(path, 'r+')
  for (const index of pages) await file.write(bytes ?? randomBytes(page), 0, page, index * page)
  await file.close()
}

export interface RawAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: Buffer
  readonly text: string
}

/** A request that no client library has touched. */
export const raw = (
  url: string,
  options: { method?: string; headers?: Record<string, string>; body?: Uint8Array } = {},
): Promise<RawAnswer> =>
  new Promise((resolve, reject) => {
    const sent = request(
      url,
      { method: options.method ?? 'GET', headers: options.headers ?? {}, agent: false },
      (response) => {
        const parts: Buffer[] = []
        response.on('data', (part: Buffer) => parts.push(part))
        response.on('error', reject)
        response.on('end', () => {
          const body = Buffer.concat(parts)
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body, text: body.toString() })
        })
      },
    )
    sent.on('error', reject)
    sent.end(options.body)
  })

/** The ranges of a listing as [kind, first byte, last byte]. */
export const rangesOf = (xml: string): readonly (readonly [string, number, number])[] =>
  [...xml.matchAll(/<(Page|Clear)Range><Start>(\d+)<\/Start><End>(\d+)<\/End>/g)].map(
    (match) => [match[1] ?? '', Number(match[2]), Number(match[3])] as const,
  )

export const nextMarkerOf = (xml: string): string | null => /<NextMarker>(.*?)<\/NextMarker>/.exec(xml)?.[1] ?? null

/** Headers of a version that knows markers and the previous snapshot. */
export const versioned = (headers: Record<string, string> = {}): Record<string, string> => ({
  'x-ms-version': '2021-06-08',
  ...headers,
})
