import type { BackupJob } from '../domain/job.ts'
import { type Failed, failed } from '../domain/job-ref.ts'
import type { FrameEncoding } from '../format/frame.ts'
import type { PlannedEncoding } from './backup-plan.ts'
import type { JobDeps } from './job-deps.ts'

/** What the frames of a backup are encrypted under: the current data key, unless the policy wants none. Only its id is written down. */
export const planEncoding = async (
  { keys }: Pick<JobDeps, 'keys'>,
  { compression = 'zstd', encryption = null }: BackupJob,
): Promise<PlannedEncoding | Failed> => {
  if (encryption === false) return { compression, keyId: null }
  if (encryption === true && !keys.isConfigured) return noKey
  return { compression, keyId: (await keys.current())?.keyId ?? null }
}

/** The planned encoding with its key at hand; the key stays in memory. */
export const encodingOf = async (
  { keys }: Pick<JobDeps, 'keys'>,
  { compression, keyId }: PlannedEncoding,
): Promise<FrameEncoding> => ({ compression, key: keyId === null ? null : await keys.find(keyId) })

const noKey = failed(
  'no-wrapping-key',
  'The backup is to be encrypted, and the app has no wrapping key.',
  'Set VAULT_KEY with KEY_VAULT_KEY_URL or KEY_FILE, or take encryption out of the policy or the request.',
)
