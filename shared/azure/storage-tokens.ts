import type { TokenCredential } from '@azure/identity'
import type { TokenSource } from './storage-account.ts'

const scope = 'https://storage.azure.com/.default'
/** A request may take minutes; its token must outlive it. */
const leftMsMin = 10 * 60_000

/** Tokens of an identity, asked for anew some minutes before they expire. Callers at the same time wait for the same one. */
export const storageTokens = (credential: TokenCredential): TokenSource => {
  let kept: { readonly token: string; readonly untilMs: number } | null = null
  let asked: Promise<string> | null = null
  const ask = async (): Promise<string> => {
    const given = await credential.getToken(scope)
    if (given === null) throw Object.assign(new Error('no token'), { name: 'AuthenticationError' })
    kept = { token: given.token, untilMs: given.expiresOnTimestamp - leftMsMin }
    return given.token
  }
  return () => {
    if (kept !== null && Date.now() < kept.untilMs) return Promise.resolve(kept.token)
    asked ??= ask().finally(() => {
      asked = null
    })
    return asked
  }
}
