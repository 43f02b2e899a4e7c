import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { imageOfDisk } from '../../local/demo/emulator.ts'
import { expectStatus } from '../../local/demo/http.ts'
import { changeRawDisk } from '../../local/fleet/raw-disk.ts'
import { createKeyVaultWrapper } from '../../shared/azure/key-vault-wrapper.ts'
import { connectStorage } from '../../shared/azure/storage-connection.ts'
import type { JobStatus } from '../../shared/jobs/job-status.ts'
import { createVaultKeys } from '../../shared/vault/vault-keys.ts'
import { type FakeKeyVault, startFakeKeyVault } from '../support/fake-key-vault.ts'
import { cmp, copyImage } from './support/images.ts'
import { type LocalWorld, startLocalWorld, waitForJob } from './support/local-world.ts'

/**
 * The whole app with a customer's key: managed identity, the SDK of Key Vault, and a fake of the service of our own behind it, which the app
 * reaches through a proxy, as it could be anywhere. Nothing of the app knows that it is not Azure.
 */

const audienceOf = (token: string): unknown =>
  (JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString() || '{}') as { aud?: unknown }).aud

describe('a vault under a key in Key Vault', () => {
  let world: LocalWorld
  let keyVault: FakeKeyVault
  const startHost = async () => {
    const { certificatePath } = world.azure.compute
    const certificates = join(world.folder, 'certificates.pem')
    await writeFile(certificates, `${await readFile(certificatePath, 'utf8')}\n${keyVault.certificate}`)
    await world.azure.startHost({
      VAULT_KEY: 'key-vault',
      KEY_VAULT_KEY_URL: `${keyVault.origin}/keys/kek`,
      HTTPS_PROXY: keyVault.proxyUrl,
      NODE_EXTRA_CA_CERTS: certificates,
    })
  }

  beforeAll(async () => {
    process.env.NO_PROXY = '127.0.0.1'
    keyVault = await startFakeKeyVault()
    keyVault.takesToken = (token) => audienceOf(token) === 'https://vault.azure.net'
    keyVault.addVersion('kek')
    world = await startLocalWorld({ os: { sizeMiB: 64, filledMiB: 24 } }, { SLICE_MIB: '16' })
    await world.azure.killHost()
    await startHost()
  }, 300_000)
  afterAll(async () => {
    await world[Symbol.asyncDispose]()
    await keyVault[Symbol.asyncDispose]()
  })

  const post = async (path: string, body: object, status: number) =>
    (await expectStatus(status, 'POST', `${world.azure.hostOrigin}/api/${path}`, body)).body as Record<string, unknown>
  const backUp = async (): Promise<JobStatus> =>
    waitForJob(world, String((await post('backups', { vmId: world.vmId }, 202)).jobId))
  const restoredImage = async (vmKey: string, recoveryPointId: string): Promise<string> => {
    const restore = await world.api.startRestore(vmKey, recoveryPointId)
    expect((await waitForJob(world, restore.jobId)).outcome).toMatchObject({ kind: 'completed' })
    return imageOfDisk(world.azure.compute, restore.disks[0]!.targetDiskId)
  }

  it('backs up, rotates both keys, and restores recovery points of before and after', async () => {
    const before = join(world.folder, 'before.raw')
    await copyImage(world.images.os!, before)
    const first = await backUp()
    expect(first.outcome).toMatchObject({ kind: 'completed' })
    const rotated = await post('keys/rotate', { what: 'data-key' }, 200)
    expect(rotated.previousKeyId).toEqual(expect.any(String))
    const content = Buffer.alloc(3 * 4096, 'changed ')
    await changeRawDisk(world.images.os!, [
      { offsetBytes: 5 * 4096, content },
      { offsetBytes: 40 * 1024 * 1024, content },
    ])
    const second = await backUp()
    keyVault.addVersion('kek')
    const { keys } = await post('keys/rotate', { what: 'wrapping-key' }, 200)
    expect(keys).toMatchObject([{ result: 'rewrapped' }, { result: 'rewrapped' }])
    await world.azure.killHost()
    await startHost()
    const ids = [first, second].map(({ outcome }) => (outcome?.kind === 'completed' ? outcome.recoveryPointId : ''))
    expect(await cmp(before, await restoredImage(first.vmKey, ids[0]!))).toBe('')
    expect(await cmp(world.images.os!, await restoredImage(first.vmKey, ids[1]!))).toBe('')
  })

  it('says why a backup cannot be made while Key Vault refuses', async () => {
    keyVault.permitted = new Set()
    await world.azure.killHost()
    await startHost()
    const { outcome } = await backUp()
    expect(outcome).toMatchObject({
      kind: 'failed',
      code: 'vault-key-locked',
      reason: expect.stringContaining('may not be used by this app'),
      hint: expect.stringContaining('Key Vault Crypto Service Encryption User'),
    })
    keyVault.permitted = new Set(['get', 'wrapKey', 'unwrapKey'])
  })

  it('has left no data key in any file of the host, the storage or the logs', async () => {
    process.env.HTTPS_PROXY = keyVault.proxyUrl
    const getToken = async () => ({ token: keyVault.token, expiresOnTimestamp: Date.now() + 3600_000 })
    const wrapper = createKeyVaultWrapper({ credential: { getToken }, keyUrls: [`${keyVault.origin}/keys/kek`] })
    const connection = { kind: 'connectionString', connectionString: world.azure.storageConnectionString } as const
    const stores = connectStorage({ connection, vaultContainer: 'vault', controlContainer: 'control' })
    const wrappers = { wrapWith: null, unwrapWith: [wrapper] }
    const keys = await createVaultKeys({ ...stores, wrappers, clock: { now: () => new Date() } }).opened()
    delete process.env.HTTPS_PROXY
    expect(keys).toHaveLength(2)
    const needles = keys.flatMap(({ bytes }) => {
      const key = Buffer.from(bytes)
      return [key, ...(['hex', 'base64', 'base64url'] as const).map((form) => Buffer.from(key.toString(form)))]
    })
    let searched = 0
    for (const part of ['azurite', 'host', 'logs'])
      for (const file of await readdir(join(world.folder, 'data', part), { recursive: true, withFileTypes: true })) {
        if (!file.isFile()) continue
        const bytes = await readFile(join(file.parentPath, file.name))
        searched += 1
        expect(
          needles.some((needle) => bytes.includes(needle)),
          file.name,
        ).toBe(false)
      }
    expect(searched).toBeGreaterThan(5)
  })
})
