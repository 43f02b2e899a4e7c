import type { HttpResponseInit } from '@azure/functions'
import * as v from 'valibot'
import { VaultError } from '../../shared/format/vault-error.ts'
import { safeMessage, safeText } from '../../shared/jobs/step-failure.ts'
import { KeyServiceError, WrappingKeyError } from '../../shared/ports/key-wrapper.ts'
import { CurrentKeyLockedError, type Rewrapped, type RotateChoice } from '../../shared/vault/data-keys.ts'
import { type Call, type Endpoint, json } from './endpoint.ts'
import { ProblemError } from './problem.ts'
import { readBody } from './request-body.ts'

const requestSchema = v.variant(
  'what',
  [
    v.strictObject({
      what: v.literal('data-key'),
      evenIfLocked: v.optional(v.boolean('Expected true or false.'), false),
    }),
    v.strictObject({ what: v.literal('wrapping-key') }),
  ],
  'Expected "data-key" or "wrapping-key".',
)

/** POST: a new data key for new frames, or all data keys wrapped anew under the newest wrapping key. No data is rewritten. */
export const rotateKeys: Endpoint = {
  name: 'rotateKeys',
  route: 'keys/rotate',
  methods: {
    POST: async (call) => {
      const body = await readBody(call.request, requestSchema)
      try {
        return await (body.what === 'data-key' ? newDataKey(call, body) : newWrapping(call))
      } catch (error) {
        throw problemOf(error)
      }
    },
  },
}

const newDataKey = async ({ deps, events }: Call, choice: RotateChoice): Promise<HttpResponseInit> => {
  const rotated = await deps.keys.rotateDataKey(choice)
  if (rotated === null) throw notConfigured()
  events.dataKeyRotated(rotated)
  return json(200, { what: 'data-key', ...rotated })
}

const newWrapping = async ({ deps, events }: Call): Promise<HttpResponseInit> => {
  const keys = await deps.keys.rotateWrappingKey()
  if (keys === null) throw notConfigured()
  const count = (kind: Rewrapped['kind']): number => keys.filter((key) => key.kind === kind).length
  events.wrappingKeyRotated({ rewrapped: count('rewrapped'), already: count('already') })
  if (count('failed') === 0) return json(200, { what: 'wrapping-key', keys: keys.map(viewOf) })
  events.dataKeysNotRewrapped({ failed: count('failed') })
  throw notRewrapped(keys)
}

const viewOf = (key: Rewrapped) =>
  key.kind === 'failed'
    ? { keyId: key.keyId, result: key.kind, detail: wordsOf(key.error) }
    : { keyId: key.keyId, result: key.kind, revision: key.revision, wrappedBy: key.key }

const wordsOf = (error: unknown): string =>
  error instanceof VaultError || error instanceof WrappingKeyError || error instanceof KeyServiceError
    ? safeText(error.message)
    : safeMessage(error)

/** A damaged record is another thing: an earlier revision may stand in for it. */
const lockedCodes: ReadonlySet<string> = new Set(['key-locked', 'wrong-key', 'key-missing'])

const notRewrapped = (keys: readonly Rewrapped[]): ProblemError => {
  const failed = keys.filter((key) => key.kind === 'failed')
  const unopened = failed.filter(({ error }) => error instanceof VaultError && lockedCodes.has(error.fault.code)).length
  const locked =
    unopened === 0
      ? ''
      : ` ${unopened} of them cannot be opened as the settings are, so nothing under them can be restored.`
  return new ProblemError({
    status: failed.some(({ error }) => error instanceof KeyServiceError) ? 503 : 409,
    code: 'keys-not-rewrapped',
    title: 'Not all data keys could be wrapped anew.',
    detail: `${failed.length} of ${keys.length} data keys stay wrapped as they are.${locked} Cure what their details say, then repeat the request: what is done stays done.`,
    hint: 'Cure what the details of the keys say, then repeat the request.',
    more: { keys: keys.map(viewOf) },
  })
}

const notConfigured = (): ProblemError =>
  new ProblemError({
    status: 409,
    code: 'no-wrapping-key',
    title: 'The app has no wrapping key.',
    detail: 'Nothing was changed. Set VAULT_KEY with KEY_VAULT_KEY_URL or KEY_FILE first.',
    errors: [{ field: 'VAULT_KEY', detail: 'It is "none".', fix: 'Set it to "key-vault" or "file".' }],
  })

const currentKeyLocked = ({ message, cause }: CurrentKeyLockedError): ProblemError =>
  new ProblemError({
    status: 409,
    code: 'current-key-locked',
    title: 'The current data key cannot be opened.',
    detail: `${message} Nothing was changed. ${cause.hint}`,
    errors: [
      {
        field: 'evenIfLocked',
        detail: 'A new data key would go under a wrapping key that does not open what is stored.',
        fix: 'Set VAULT_KEY, KEY_VAULT_KEY_URL and KEY_FILE to the wrapping key of this vault; or send true, if that key is lost for good.',
      },
    ],
  })

const problemOf = (error: unknown): unknown => {
  if (error instanceof CurrentKeyLockedError) return currentKeyLocked(error)
  if (error instanceof WrappingKeyError)
    return new ProblemError({
      status: 409,
      code: 'wrapping-key-unusable',
      title: 'The wrapping key cannot be used.',
      detail: `${error.message} Nothing was changed. ${error.hint}`,
      hint: error.hint,
    })
  if (!(error instanceof KeyServiceError)) return error
  const headers = error.retryAfterSeconds === null ? {} : { 'retry-after': String(error.retryAfterSeconds) }
  return new ProblemError({
    status: 503,
    code: 'key-service-unavailable',
    title: 'The wrapping key cannot be asked now.',
    detail: `${error.message} Repeat the request.`,
    hint: 'Repeat the request.',
    headers,
  })
}
