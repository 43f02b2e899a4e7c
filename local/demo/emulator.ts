import { readFile } from 'node:fs/promises'
import { request } from 'node:https'
import type { ComputeReady } from './app-environment.ts'

/** Asks the compute emulator's own routes (`/_emulator/…`), which Azure does not have.
 * @throws where it does not answer 2xx */
export const askEmulator = async (
  compute: Pick<ComputeReady, 'armEndpoint' | 'certificatePath'>,
  method: 'GET' | 'PATCH' | 'POST' | 'DELETE',
  path: string,
  body?: unknown,
): Promise<unknown> => {
  const ca = await readFile(compute.certificatePath)
  const { promise, resolve, reject } = Promise.withResolvers<unknown>()
  const headers = { 'content-type': 'application/json' }
  const call = request(new URL(path, compute.armEndpoint), { method, ca, headers, agent: false }, (response) => {
    const parts: Buffer[] = []
    response.on('data', (part: Buffer) => parts.push(part))
    response.on('error', reject)
    response.on('end', () => {
      const text = Buffer.concat(parts).toString()
      const status = response.statusCode ?? 0
      if (status < 200 || status > 299)
        reject(new Error(`${method} ${path} of the compute emulator answered ${status}: ${text}`))
      else resolve(text === '' ? null : JSON.parse(text))
    })
  })
  call.on('error', reject)
  call.end(body === undefined ? undefined : JSON.stringify(body))
  return promise
}

/** The raw file behind a managed disk of the compute emulator.
 * @param diskId ARM id; compared without case */
export const imageOfDisk = async (compute: ComputeReady, diskId: string): Promise<string> => {
  const { value } = (await askEmulator(compute, 'GET', '/_emulator/images')) as {
    value: readonly { readonly id: string; readonly imagePath: string }[]
  }
  const found = value.find(({ id }) => id.toLowerCase() === diskId.toLowerCase())
  if (found === undefined) throw new Error(`The compute emulator has no disk ${diskId}.`)
  return found.imagePath
}
