import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { askArm, beginArm, obstacleOf } from '../../shared/azure/arm-answers.ts'
import { ArmError } from '../../shared/azure/arm-error.ts'

const sas = 'https://md-x.z1.blob.storage.azure.net/abcd?sv=2018-11-09&sr=b&si=1b15c5ac&sig=oKBgYAevNb1ULLuG%3D'

/** An error as the management SDK throws it for an answer of that status. */
const restError = (statusCode: number, code: string, message = 'no', headers: Record<string, string> = {}) =>
  Object.assign(new Error(message), {
    name: 'RestError',
    statusCode,
    code,
    response: { headers: { get: (name: string) => headers[name.toLowerCase()] } },
    request: { url: sas },
  })

const answerTo = (error: unknown) => askArm(() => Promise.reject(error))

describe('an answer of Azure Resource Manager', () => {
  it('is absent for 404, whatever the code', async () => {
    for (const code of ['ResourceNotFound', 'ParentResourceNotFound', 'NotFound'])
      expect(await answerTo(restError(404, code))).toEqual({ kind: 'absent' })
  })

  it('is pending for as long as a throttled request is to stay away, and never sleeps on it', async () => {
    const startedAt = Date.now()
    const throttled = restError(429, 'OperationNotAllowed', 'too many requests', { 'retry-after': '1200' })
    expect(await answerTo(throttled)).toEqual({ kind: 'pending', retryAfterSeconds: 1200 })
    expect(await answerTo(restError(429, 'TooManyRequests'))).toEqual({ kind: 'pending', retryAfterSeconds: 60 })
    expect(Date.now() - startedAt).toBeLessThan(20_000)
  })

  it('reads Retry-After as a date too', async () => {
    const at = new Date(Date.now() + 90_000).toUTCString()
    const answer = await answerTo(restError(503, 'ServerBusy', 'busy', { 'retry-after': at }))
    expect(answer.kind).toBe('pending')
    expect(answer.kind === 'pending' && Math.abs(answer.retryAfterSeconds - 90) < 4).toBe(true)
  })

  it.each([
    ['Conflict', 'Another operation is in progress.'],
    ['OperationNotAllowed', "A restore point of virtual machine 'a' is being created."],
    ['OperationNotAllowed', '5 snapshots already have an active shared access signature. Revoke one first.'],
    ['DiskRestorePointUsedByCustomer', 'There is an active shared access signature outstanding.'],
  ])('is pending where %s says that something else has to end first', async (code, message) => {
    expect(await answerTo(restError(409, code, message))).toMatchObject({ kind: 'pending' })
  })

  it.each([
    [403, 'AuthorizationFailed', 'x', 'not-authorized'],
    [403, 'SomethingNew', 'x', 'not-authorized'],
    [401, 'InvalidAuthenticationTokenTenant', 'x', 'wrong-tenant'],
    [409, 'ScopeLocked', 'x', 'resource-locked'],
    [400, 'LocationNotAvailableForResourceType', 'x', 'region-not-available'],
    [409, 'VMRestorePointClientError', 'A shared disk is attached.', 'unsupported-disk'],
    [409, 'VMAgentStatusCommunicationError', 'x', 'vm-agent-not-ready'],
    [
      409,
      'OperationNotAllowed',
      "Virtual machine 'a' already has 500 restore points; 500 are allowed.",
      'platform-limit',
    ],
    [409, 'OperationNotAllowed', "The networkAccessPolicy of 'a' is DenyAll: it cannot be exported.", 'export-denied'],
    [409, 'Conflict', "Access not permitted because disk 'd' is attached to running VM 'v'.", 'disk-in-use'],
    [409, 'OperationNotAllowed', "Disk 'd' was not created with createOption Upload.", 'platform-refused'],
    [400, 'InvalidParameter', 'x', 'platform-refused'],
  ])('is refused for %s %s (%s): %s', async (status, code, message, reason) => {
    const answer = await answerTo(restError(status, code, message))
    expect(answer).toMatchObject({ kind: 'failed', reason })
    expect(answer.kind === 'failed' && answer.hint).toMatch(/^[A-Z].*\.$/)
  })

  it('of an operation that failed later is sorted by the same codes', async () => {
    const failed = new Error(
      'The long-running operation has failed. VMAgentStatusCommunicationError. The agent is silent.',
    )
    expect(await answerTo(failed)).toMatchObject({
      kind: 'failed',
      reason: 'vm-agent-not-ready',
      message: 'The agent is silent.',
    })
  })

  it.each([
    ['a server fault', restError(500, 'InternalServerError'), 'server-fault'],
    ['a lost connection', Object.assign(new Error('reset'), { code: 'ECONNRESET' }), 'unreachable'],
    ['a token that is not taken', restError(401, 'ExpiredAuthenticationToken'), 'no-token'],
    ['a missing token', Object.assign(new Error('x'), { name: 'CredentialUnavailableError' }), 'no-token'],
  ])('is thrown for %s, so that the step is repeated', async (_, error, code) => {
    const thrown = await answerTo(error).catch((caught: unknown) => caught)
    expect(thrown).toBeInstanceOf(ArmError)
    expect((thrown as ArmError).fault.code).toBe(code)
  })

  it('shows no URL and no signature, wherever the platform put one', async () => {
    const errors = [restError(400, 'BadRequest', `bad ${sas}`), restError(500, `Internal${sas}`, sas), new Error(sas)]
    for (const error of errors) {
      const shown = inspect(await answerTo(error).catch((caught: unknown) => caught), { depth: 9 })
      for (const secret of ['sig=oKBg', 'oKBgYAevNb1ULLuG', 'blob.storage.azure.net'])
        expect(shown).not.toContain(secret)
    }
  })
})

describe('requests that were made side by side', () => {
  const done = { kind: 'released' } as const
  const pending = (retryAfterSeconds: number) => ({ kind: 'pending', retryAfterSeconds }) as const
  const refused = { kind: 'failed', reason: 'disk-in-use', message: 'no', hint: 'wait' } as const

  it('are refused by the first that is, else wait for the slowest, else are done', () => {
    expect(obstacleOf([done, pending(3), refused, { ...refused, reason: 'another' }])).toEqual(refused)
    expect(obstacleOf([pending(3), done, pending(30), pending(5)])).toEqual(pending(30))
    expect([obstacleOf([done, done]), obstacleOf([])]).toEqual([null, null])
  })
})

describe('a long operation', () => {
  it('is begun and not followed', async () => {
    const calls: string[] = []
    const poller = {
      submitted: async () => void calls.push('submitted'),
      // biome-ignore lint/suspicious/noThenProperty: the SDK's pollers are thenables that poll to their end when awaited
      then: () => calls.push('polled to the end'),
    }
    const begun = await beginArm(() => poller)
    expect(begun.kind).toBe('answered')
    expect(calls).toEqual(['submitted'])
  })
})
