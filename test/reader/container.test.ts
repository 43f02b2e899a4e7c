import { createHash } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { BlobServiceClient, ContainerSASPermissions } from '@azure/storage-blob'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Azurite } from '../../local/azurite.ts'
import { freshContainerName, startTestAzurite } from '../support/azurite.ts'
import { projectFolder } from '../support/documents.ts'
import { loadGoldenVault } from '../support/golden-vault.ts'
import { vmKey } from '../support/vault-world.ts'
import { readerIsMissing, runReader } from './support/python-reader.ts'

const missing = readerIsMissing()
if (missing !== null) console.warn(missing)

describe.skipIf(missing !== null)('the second reader on a container', () => {
  let azurite: Azurite
  let folder: string
  let url: string
  let sas: string
  let image: string
  let accountKey: string

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'reader-'))
    azurite = await startTestAzurite()
    const { vault, images } = await loadGoldenVault(join(projectFolder, 'test/golden/vectors/v1/raw'))
    const service = BlobServiceClient.fromConnectionString(azurite.connectionString)
    const container = service.getContainerClient(freshContainerName())
    await container.create()
    for (const [name, { bytes }] of vault.objects)
      await container.getBlockBlobClient(name).upload(Buffer.from(bytes), bytes.length)
    const expiresOn = new Date(Date.now() + 3_600_000)
    const granted = await container.generateSasUrl({ permissions: ContainerSASPermissions.parse('rl'), expiresOn })
    url = container.url
    sas = new URL(granted).search
    accountKey = /AccountKey=([^;]+)/.exec(azurite.connectionString)?.[1] ?? ''
    image = images.r3?.os ?? ''
  })

  afterAll(async () => {
    await azurite.stop()
    await rm(folder, { recursive: true, force: true })
  })

  it('restores and checks it by a SAS and by the account key', async () => {
    for (const [way, environment] of Object.entries({
      sas: { DELTAVAULT_SAS: sas },
      key: { DELTAVAULT_ACCOUNT_KEY: accountKey },
    })) {
      const target = join(folder, way)
      const run = await runReader(['restore', url, vmKey, 'r3', 'os', '--to', target], environment)
      expect(run).toEqual({ code: 0, output: '', complaints: [] })
      expect(
        createHash('sha256')
          .update(await readFile(target))
          .digest('hex'),
      ).toBe(image)
      const checked = await runReader(['check', url], environment)
      expect(checked.complaints).toEqual([])
      expect(checked.code).toBe(0)
    }
  })

  it('says that it is refused, and neither the SAS nor an account', async () => {
    const wrong = sas.replace(/sig=[^&]+/, 'sig=AAAA')
    const cases: readonly (readonly [Record<string, string>, RegExp])[] = [
      [{}, /answers 40[134]: set DELTAVAULT_SAS \(.*\) or DELTAVAULT_ACCOUNT_KEY/],
      [{ DELTAVAULT_SAS: wrong }, /answers 40[13]: DELTAVAULT_SAS of the environment/],
      [{ DELTAVAULT_ACCOUNT_KEY: 'AAAA' }, /answers 40[13]: DELTAVAULT_ACCOUNT_KEY of the environment/],
    ]
    for (const [environment, why] of cases) {
      const run = await runReader(['list', url], environment)
      expect(run.code).toBe(2)
      expect(run.complaints).toHaveLength(1)
      expect(run.complaints[0]).toMatch(why)
      expect(run.complaints[0]).not.toMatch(/sig|AAAA/)
    }
  })

  it('says of another container that it is no vault, and of one that is not there that it is not', async () => {
    const service = BlobServiceClient.fromConnectionString(azurite.connectionString)
    const [other, absent] = [freshContainerName(), freshContainerName()].map((name) => service.getContainerClient(name))
    await other?.create()
    for (const [container, why] of [
      [other, 'holds no recovery point'],
      [absent, 'there is no such container'],
    ] as const) {
      const run = await runReader(['check', container?.url ?? ''], { DELTAVAULT_ACCOUNT_KEY: accountKey })
      expect(run).toEqual({ code: 2, output: '', complaints: [expect.stringContaining(why)] })
    }
  })

  it('refuses a SAS on the command line, where others could read it', async () => {
    const run = await runReader(['list', `${url}${sas}`])
    expect(run.code).toBe(2)
    expect(run.complaints.join()).not.toContain('sig=')
  })
})
