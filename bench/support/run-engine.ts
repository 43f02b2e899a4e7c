import { fork } from 'node:child_process'
import { join } from 'node:path'
import type { EngineAnswer, EngineOrder, EngineResult } from './engine-order.ts'
import { message } from './processes.ts'

export interface EngineSettings {
  /** The account that the vault is in. */
  readonly connectionString: string
  /** Certificates to trust, for a run over TLS. */
  readonly certificatePath?: string
  /** Settings over these. */
  readonly environment?: NodeJS.ProcessEnv
}

/** Runs one job in a fresh process, with the settings that the app would have. @throws with what the job said when it failed */
export const runEngine = async (settings: EngineSettings, order: EngineOrder): Promise<EngineResult> => {
  const child = fork(join(import.meta.dirname, '../engine.ts'), [], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    env: {
      ...process.env,
      VaultStorage: settings.connectionString,
      AZURE_SUBSCRIPTION_IDS: '5b0b3a3e-5d4f-4c39-9d4a-4d4f5e0f1c11',
      NO_PROXY: '127.0.0.1,localhost',
      ...(settings.certificatePath === undefined ? {} : { NODE_EXTRA_CA_CERTS: settings.certificatePath }),
      ...settings.environment,
    },
  })
  const answered = message(child)
  child.send(order)
  const answer = (await answered) as EngineAnswer
  if (answer.kind === 'failed') throw new Error(answer.message)
  return answer.result
}
