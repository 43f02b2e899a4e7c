import { createKeyVaultWrapper } from '../../shared/azure/key-vault-wrapper.ts'
import { startFakeKeyVault } from '../support/fake-key-vault.ts'
import { keyWrapperContract } from './key-wrapper.contract.ts'

keyWrapperContract('a key in Key Vault, by the SDK and a fake of the service', async () => {
  const vault = await startFakeKeyVault()
  process.env.HTTPS_PROXY = vault.proxyUrl
  vault.addVersion('kek')
  const getToken = async () => ({ token: vault.token, expiresOnTimestamp: Date.now() + 3600_000 })
  return {
    wrapper: createKeyVaultWrapper({ credential: { getToken }, keyUrls: [`${vault.origin}/keys/kek`] }),
    rotate: async () => void vault.addVersion('kek'),
    remove: async () => vault.remove('kek'),
    close: async () => {
      delete process.env.HTTPS_PROXY
      await vault[Symbol.asyncDispose]()
    },
  }
})
