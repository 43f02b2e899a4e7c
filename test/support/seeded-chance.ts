import crypto from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'
import { seededRandom } from './seeded-random.ts'

/** Runs something whose keys, nonces and ids, drawn from the system's source of chance, come again from the same seed. Only one at a time. */
export const withSeededChance = async <Result>(seed: number, run: () => Promise<Result>): Promise<Result> => {
  const random = seededRandom(seed)
  const { randomBytes } = crypto
  const put = (replacement: unknown): void => {
    Object.assign(crypto, { randomBytes: replacement })
    syncBuiltinESMExports()
  }
  put((lengthBytes: number) => Buffer.from(random.bytes(lengthBytes)))
  try {
    return await run()
  } finally {
    put(randomBytes)
  }
}
