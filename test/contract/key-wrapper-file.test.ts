import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createKeyFileWrapper } from '../../shared/azure/key-file-wrapper.ts'
import { keyWrapperContract } from './key-wrapper.contract.ts'

const newKey = () => `${randomBytes(32).toString('hex')}\n`

keyWrapperContract('a key file', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'key-file-'))
  const path = join(folder, 'wrapping.key')
  await writeFile(path, newKey())
  return {
    wrapper: createKeyFileWrapper(path),
    rotate: async () => writeFile(path, `${newKey()}${await readFile(path, 'utf8')}`),
    remove: () => rm(path),
    close: () => rm(folder, { recursive: true }),
  }
})
