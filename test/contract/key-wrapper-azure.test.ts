import { randomBytes } from 'node:crypto'
import { KeyClient } from '@azure/keyvault-keys'
import { describe, it } from 'vitest'
import { createCredential } from '../../shared/azure/credential.ts'
import { createKeyVaultWrapper } from '../../shared/azure/key-vault-wrapper.ts'
import { keyWrapperContract } from './key-wrapper.contract.ts'

/** The same contract on a real Key Vault: DELTAVAULT_TEST_KEY_VAULT_URI (https://<vault>.vault.azure.net), as whoever is signed in (role Key Vault
 * Crypto Officer). It makes a key and deletes it. */
const uri = process.env.DELTAVAULT_TEST_KEY_VAULT_URI?.replace(/\/$/, '')

if (uri === undefined) {
  describe('a key in Azure Key Vault (the real service)', () => {
    it('keeps the same contract', ({ skip }) => skip('set DELTAVAULT_TEST_KEY_VAULT_URI to a Key Vault of yours'))
  })
} else {
  keyWrapperContract('a key in Azure Key Vault (the real service)', async () => {
    const credential = createCredential(null)
    const client = new KeyClient(uri, credential)
    const name = `deltavault-test-${randomBytes(6).toString('hex')}`
    const addVersion = async () => void (await client.createRsaKey(name, { keySize: 2048 }))
    let isThere = true
    const remove = async () => {
      if (isThere) await (await client.beginDeleteKey(name)).pollUntilDone()
      isThere = false
    }
    await addVersion()
    const wrapper = createKeyVaultWrapper({ credential, keyUrls: [`${uri}/keys/${name}`] })
    return { wrapper, rotate: addVersion, remove, close: remove }
  })
}
