import { describe, expect, it } from 'vitest'
import { rotateKeys } from '../../functions/http/rotate-keys.ts'
import { startBackup } from '../../functions/http/start-backup.ts'
import { encodeJson } from '../../shared/jobs/json-object.ts'
import { fakeInstances, fakeWorld, vmId } from '../jobs/world.ts'
import { ask } from './call-endpoint.ts'

const daily = {
  name: 'daily',
  selection: { tags: { backup: 'daily' } },
  schedule: { kind: 'daily', times: ['02:00'], timeZone: 'UTC' },
}

const app = (encryption = true) => {
  const world = fakeWorld({ encryption })
  const rotate = (body: unknown) => ask(rotateKeys, world, fakeInstances(), { body })
  return { world, rotate }
}

describe('POST keys/rotate', () => {
  it('makes a new data key, and tells so', async () => {
    const { world, rotate } = app()
    const before = await world.keys.current()
    const { status, body, told } = await rotate({ what: 'data-key' })
    expect(status).toBe(200)
    expect(body).toEqual({ what: 'data-key', keyId: expect.any(String), previousKeyId: before?.keyId })
    expect((await world.keys.current())?.keyId).toBe(body.keyId)
    expect(told).toEqual([expect.stringMatching(/^dataKeyRotated: /)])
  })

  it('wraps all data keys anew, and says which were so before', async () => {
    const { world, rotate } = app()
    await world.keys.current()
    world.wrapper.rotate()
    await world.keys.rotateDataKey()
    const { status, body, told } = await rotate({ what: 'wrapping-key' })
    expect(status).toBe(200)
    expect((body.keys as { result: string }[]).map(({ result }) => result).sort()).toEqual(['already', 'rewrapped'])
    expect(told).toEqual([expect.stringMatching(/^wrappingKeyRotated: .*"rewrapped":1,"already":1/)])
  })

  it('names the keys that could not be wrapped anew, and keeps what could', async () => {
    const { world, rotate } = app()
    const locked = await world.keys.current()
    world.wrapper.rotate()
    await world.keys.rotateDataKey()
    world.wrapper.forgetOld()
    const { status, body, told } = await rotate({ what: 'wrapping-key' })
    expect(status).toBe(409)
    expect(body).toMatchObject({ type: 'urn:deltavault:problem:keys-not-rewrapped' })
    expect(body.keys).toContainEqual({
      keyId: locked?.keyId,
      result: 'failed',
      detail: expect.stringMatching(/^The data key \w+ in keys\S+ cannot be unwrapped: the key \w+ is not among those/),
    })
    expect(body.detail).toMatch(
      /^1 of 2 data keys stay wrapped as they are\. 1 of them cannot be opened as the settings are/,
    )
    expect(JSON.stringify(body)).not.toContain('Error')
    expect(told).toHaveLength(2)
  })

  it('says of keys that only could not be wrapped nothing but that', async () => {
    const { world, rotate } = app()
    await world.keys.current()
    world.wrapper.wrap = async () => ({ kind: 'key-disabled', key: 'kek' })
    const { status, body } = await rotate({ what: 'wrapping-key' })
    expect(status).toBe(409)
    expect(body.detail).toBe(
      '1 of 1 data keys stay wrapped as they are. Cure what their details say, then repeat the request: what is done stays done.',
    )
    expect(body.keys).toMatchObject([{ detail: 'No data key can be wrapped: the key kek is disabled.' }])
  })

  it('makes no data key where the current one does not open, unless that is asked for', async () => {
    const { world, rotate } = app()
    const before = await world.keys.current()
    world.wrapper.rotate()
    world.wrapper.forgetOld()
    const objects = () => [...world.vault.objects.keys(), ...world.control.objects.keys()].length
    const count = objects()
    const { status, body, told } = await rotate({ what: 'data-key' })
    expect(status).toBe(409)
    expect(body).toMatchObject({
      type: 'urn:deltavault:problem:current-key-locked',
      errors: [{ field: 'evenIfLocked' }],
    })
    expect(body.detail).toMatch(
      /cannot be unwrapped: the key \w+ is not among those of the settings\. Nothing was changed\./,
    )
    expect([objects(), told]).toEqual([count, []])
    expect(await rotate({ what: 'data-key', evenIfLocked: false })).toMatchObject({ status: 409 })
    expect(await rotate({ what: 'data-key', evenIfLocked: true })).toMatchObject({
      status: 200,
      body: { previousKeyId: before?.keyId },
    })
  })

  it('refuses where no wrapping key is configured', async () => {
    for (const what of ['data-key', 'wrapping-key'])
      expect(await app(false).rotate({ what })).toMatchObject({
        status: 409,
        body: { type: 'urn:deltavault:problem:no-wrapping-key' },
      })
  })

  it('says what is wrong with the wrapping key', async () => {
    const { world, rotate } = app()
    world.wrapper.failure = { kind: 'key-disabled', key: 'kek' }
    const { status, body } = await rotate({ what: 'data-key' })
    expect(status).toBe(409)
    expect(body.detail).toContain('the key kek is disabled')
  })

  it('asks to come back where the service of the wrapping key is busy or away', async () => {
    const { world, rotate } = app()
    await world.keys.current()
    world.wrapper.failure = { kind: 'throttled', key: 'kek', retryAfterSeconds: 12 }
    expect(await rotate({ what: 'data-key' })).toMatchObject({ status: 503, headers: { 'retry-after': '12' } })
    expect(await rotate({ what: 'wrapping-key' })).toMatchObject({ status: 503 })
  })

  it.each([
    {},
    { what: 'password' },
    { what: 'data-key', keyId: 'ab' },
    { what: 'data-key', evenIfLocked: 'yes' },
    { what: 'wrapping-key', evenIfLocked: true },
  ])('refuses the body %j', async (body) => {
    expect((await app().rotate(body)).status).toBe(422)
  })
})

describe('POST backups', () => {
  it('takes wishes about compression and encryption', async () => {
    const instances = fakeInstances()
    const body = { vmId, compression: 'none', encryption: true }
    expect((await ask(startBackup, app().world, instances, { body })).status).toBe(202)
    expect(instances.started[0]?.job).toMatchObject({ compression: 'none', encryption: true })
  })

  it('takes those of a policy', async () => {
    const { world } = app()
    const instances = fakeInstances()
    await world.control.put('policies/daily.json', encodeJson({ ...daily, compression: 'none', encryption: true }))
    expect((await ask(startBackup, world, instances, { body: { policy: 'daily' } })).status).toBe(202)
    expect(instances.started[0]?.job).toMatchObject({ compression: 'none', encryption: true })
  })

  it('says what is wrong with those of a policy', async () => {
    for (const [wishes, detail] of [
      [{ compression: 'gzip' }, /compression: Expected "zstd" or "none"/],
      [{ encryption: 1 }, /encryption: Expected true, false or null/],
      [{ encryption: true }, /no wrapping key/],
    ] as const) {
      const { world } = app(false)
      await world.control.put('policies/daily.json', encodeJson({ ...daily, ...wishes }))
      const { status, body } = await ask(startBackup, world, fakeInstances(), { body: { policy: 'daily' } })
      expect(status).toBe(422)
      expect(body.detail).toMatch(detail)
    }
  })

  it('refuses encryption without a wrapping key', async () => {
    const answered = await ask(startBackup, app(false).world, fakeInstances(), { body: { vmId, encryption: true } })
    expect(answered).toMatchObject({ status: 422, body: { errors: [{ field: 'encryption' }] } })
  })
})
