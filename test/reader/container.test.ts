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
    image = images.r3?.os ?? ''
  })

  afterAll(async () => {
    await azurite.stop()
    await rm(folder, { recursive: true, force: true })
  })

  it('restores and checks it by a SAS and by the account key', async () => {
    const accountKey = /AccountKey=([^;]+)/.exec(azurite.connectionString)?.[1] ?? ''
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
    for (const environment of [{}, { DELTAVAULT_SAS: wrong }]) {
      const run = await runReader(['list', url], environment)
      expect(run.code).toBe(2)
      expect(run.complaints).toHaveLength(1)
      expect(run.complaints[0]).toMatch(/the storage account answers 40[13]|there is no such object/)
      expect(run.complaints[0]).not.toContain('sig')
    }
  })

  it('refuses a SAS on the command line, where others could read it', async () => {
    const run = await runReader(['list', `${url}${sas}`])
    expect(run.code).toBe(2)
    expect(run.complaints.join()).not.toContain('sig=')
  })
})
