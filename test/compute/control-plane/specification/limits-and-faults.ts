import { afterEach, describe, expect, it } from 'vitest'
import { idOf, location, poll, refused, refusedAnswer, resourceGroup, type World } from '../support.ts'

const disk = 'api-version=2026-03-02'

/** Rate limits with their headers, spacing, and faults that other tests ask for. */
export const describeLimitsAndFaults = (world: () => World): void => {
  const context = () => world().emulator.context
  const set = (settings: object): void => context().changeSettings({ ...context().settings(), ...settings })

  describe('the rate limits', () => {
    const buckets = () => context().settings().buckets

    it('show what remains of each bucket, one line, and of the subscription', async () => {
      const { send } = world()
      const get = async () => {
        const { headers } = await send('GET', `${idOf('disks', 'linux-os')}?${disk}`)
        return headers
      }
      const left = (headers: Headers) =>
        Number(/LowCostGet3Min;(\d+)/.exec(headers.get('x-ms-ratelimit-remaining-resource') ?? '')?.[1])
      const first = await get()
      expect(first.get('x-ms-ratelimit-remaining-resource')).toMatch(
        /^Microsoft\.Compute\/LowCostGet3Min;\d+,Microsoft\.Compute\/LowCostGet30Min;\d+$/,
      )
      expect(Number(first.get('x-ms-ratelimit-remaining-subscription-reads'))).toBeGreaterThan(0)
      const second = await get()
      expect(left(second)).toBeLessThanOrEqual(left(first))
      expect(left(first)).toBeGreaterThan(14_000)
    })

    it('answer an empty bucket with 429: Retry-After, a body without "error" and the bucket in its details', async () => {
      const before = buckets()
      set({ buckets: { ...before, LowCostGet3Min: { capacity: 1, windowSeconds: 1200 } } })
      const get = () => world().send('GET', `${idOf('disks', 'linux-os')}?${disk}`)
      expect((await get()).status).toBe(200)
      const answer = await get()
      refusedAnswer(world(), 'an empty bucket of the disk service', answer, 429, 'OperationNotAllowed')
      expect(Object.keys(answer.json)).toEqual(['code', 'message', 'details'])
      expect(answer.json.details[0]).toMatchObject({ code: 'TooManyRequests', target: 'LowCostGet3Min' })
      expect(JSON.parse(answer.json.details[0].message)).toMatchObject({ operationGroup: 'LowCostGet3Min' })
      expect(answer.headers.get('retry-after')).toBe('1200')
      set({ buckets: before })
      await expect.poll(async () => (await get()).status, { timeout: 10_000 }).toBe(200)
    })

    it('are refilled as time goes by', async () => {
      const { createRateLimits } = await import('../../../../local/compute/control-plane/rate-limits.ts')
      let now = 0
      const limits = createRateLimits(
        () => ({ ...context().settings(), buckets: {}, spacing: true }),
        () => now,
      )
      const put = () => limits.charge('RestorePoints_Create', 'PUT', 's', 'vm')
      expect(put()['x-ms-ratelimit-remaining-resource']).toBe(
        'Microsoft.Compute/PutRestorePointResource;5,Microsoft.Compute/PutRestorePointSubscriptionMaximum;149',
      )
      for (let count = 0; count < 5; count += 1) put()
      expect(put).toThrow(/too many requests/)
      now += 600_000
      expect(put()['x-ms-ratelimit-remaining-resource']).toMatch(/PutRestorePointResource;0,/)
      const other = limits.charge('RestorePoints_Create', 'PUT', 's', 'other vm')
      expect(other['x-ms-ratelimit-remaining-resource']).toMatch(/PutRestorePointResource;5,/)
    })

    it('end for a whole subscription in an answer of Azure Resource Manager itself', async () => {
      const { createRateLimits } = await import('../../../../local/compute/control-plane/rate-limits.ts')
      const limits = createRateLimits(
        () => ({ ...context().settings(), buckets: {} }),
        () => 0,
      )
      for (let count = 0; count < 250; count += 1) limits.charge('Disks_Get', 'GET', 's', 'd')
      expect(() => limits.charge('Disks_Get', 'GET', 's', 'd')).toThrow(
        expect.objectContaining({
          status: 429,
          code: 'SubscriptionRequestsThrottled',
          headers: { 'Retry-After': '1' },
        }),
      )
    })
  })

  describe('spacing, when it is switched on', () => {
    it('keeps restore points 3 h apart, crash-consistent ones 1 h, and snapshots of a disk at 7 in 5 minutes', async () => {
      const { restorePointCollections, restorePoints, snapshots } = world().client
      await restorePointCollections.createOrUpdate(resourceGroup, 'spaced', {
        location,
        source: { id: idOf('virtualMachines', 'vm-linux') },
      })
      set({ spacing: true })
      const create = (name: string, body: object) => restorePoints.create(resourceGroup, 'spaced', name, body, poll)
      await create('a', {})
      await refused(
        world(),
        'a restore point less than 3 h after the last',
        create('b', {}),
        429,
        'OperationNotAllowed',
      )
      await create('c', { consistencyMode: 'CrashConsistent' })
      const crash = create('d', { consistencyMode: 'CrashConsistent' })
      await refused(
        world(),
        'a crash-consistent restore point less than 1 h after the last',
        crash,
        429,
        'OperationNotAllowed',
      )
      const creationData = { createOption: 'Copy', sourceResourceId: idOf('disks', 'linux-os') } as const
      const snapshot = (name: string) =>
        snapshots.createOrUpdate(resourceGroup, name, { location, incremental: true, creationData }, poll)
      const names = [1, 2, 3, 4, 5, 6, 7].map((count) => `burst-${count}`)
      for (const name of names) await snapshot(name)
      await refused(world(), 'the eighth snapshot of a disk in 5 minutes', snapshot('burst-8'), 429, 'TooManyRequests')
      set({ spacing: false })
      for (const name of names) await snapshots.delete(resourceGroup, name, poll)
      await restorePointCollections.delete(resourceGroup, 'spaced', poll)
    })
  })

  describe('a fault that was asked for', () => {
    afterEach(() => context().faults.clear())
    const get = () => world().client.disks.get(resourceGroup, 'linux-os')
    const post = (body: unknown) => world().send('POST', '/_emulator/faults', { body, authorization: null })

    it('answers instead of the operation, as often as asked, after as many as asked', async () => {
      await post({
        operation: 'Disks_Get',
        status: 503,
        code: 'ServiceUnavailable',
        retryAfterSeconds: 7,
        times: 2,
        skip: 1,
      })
      await get()
      await refused(world(), 'fault: 503', get(), 503, 'ServiceUnavailable')
      const answer = await world().send('GET', `${idOf('disks', 'linux-os')}?${disk}`)
      expect(answer.headers.get('retry-after')).toBe('7')
      await get()
    })

    it('may strike after the effect, so that the caller does not know of it', async () => {
      await post([{ operation: 'Disks_CreateOrUpdate', resource: 'lost', status: 500, afterEffect: true }])
      const creationData = { createOption: 'Empty' } as const
      const put = () =>
        world().client.disks.createOrUpdate(resourceGroup, 'lost', { location, creationData, diskSizeGB: 1 }, poll)
      await refused(world(), 'fault: 500 after the effect', put(), 500, 'InternalServerError')
      await expect
        .poll(async () => (await world().client.disks.get(resourceGroup, 'lost')).provisioningState, {
          timeout: 10_000,
        })
        .toBe('Succeeded')
      await put()
      await world().client.disks.delete(resourceGroup, 'lost', poll)
    })

    it('may cut the connection', async () => {
      await post({ operation: 'Disks_Get', dropConnection: true })
      await expect(get()).rejects.toMatchObject({ code: 'ECONNRESET' })
      await get()
    })

    it('may delay', async () => {
      await post({ operation: 'Disks_Get', latencyMs: 150 })
      const start = performance.now()
      await get()
      expect(performance.now() - start).toBeGreaterThan(145)
    })

    it('may let an accepted operation fail, which leaves the restore point Failed and deletable', async () => {
      const { restorePointCollections, restorePoints } = world().client
      await restorePointCollections.createOrUpdate(resourceGroup, 'failing', {
        location,
        source: { id: idOf('virtualMachines', 'vm-linux') },
      })
      await post({
        operation: 'RestorePoints_Create',
        failOperation: { code: 'VMRestorePointInternalError', message: 'An emulated failure.' },
      })
      const create = (name: string) => restorePoints.create(resourceGroup, 'failing', name, {}, poll)
      await expect(create('rp')).rejects.toThrow(/VMRestorePointInternalError\. An emulated failure/)
      expect((await restorePoints.get(resourceGroup, 'failing', 'rp')).provisioningState).toBe('Failed')
      await restorePoints.delete(resourceGroup, 'failing', 'rp', poll)
      await create('rp')
      await restorePointCollections.delete(resourceGroup, 'failing', poll)
    })

    it('may let the change or the removal of a disk or a snapshot fail, which leaves it Failed, and changeable', async () => {
      const { disks, snapshots } = world().client
      const creationData = { createOption: 'Empty' } as const
      await disks.createOrUpdate(resourceGroup, 'unlucky', { location, creationData, diskSizeGB: 1 }, poll)
      const source = { createOption: 'Copy', sourceResourceId: idOf('disks', 'unlucky') } as const
      await snapshots.createOrUpdate(
        resourceGroup,
        'unlucky',
        { location, creationData: source, incremental: true },
        poll,
      )
      const failOperation = { code: 'InternalExecutionError', message: 'An emulated failure.' }
      for (const [name, resources] of [
        ['Disks', disks],
        ['Snapshots', snapshots],
      ] as const) {
        const change = () => resources.update(resourceGroup, 'unlucky', { tags: { a: 'b' } }, poll)
        const remove = () => resources.delete(resourceGroup, 'unlucky', poll)
        for (const [operation, act] of [
          ['Update', change],
          ['Delete', remove],
        ] as const) {
          await post({ operation: `${name}_${operation}`, failOperation })
          await expect(act()).rejects.toThrow(/An emulated failure/)
          expect((await resources.get(resourceGroup, 'unlucky')).provisioningState).toBe('Failed')
        }
        await change()
        expect((await resources.get(resourceGroup, 'unlucky')).provisioningState).toBe('Succeeded')
      }
      await snapshots.delete(resourceGroup, 'unlucky', poll)
      await disks.delete(resourceGroup, 'unlucky', poll)
    })

    it('is refused when it is none, and settings likewise', async () => {
      const wrong = await post({ operation: 'Disks_Get', status: 200 })
      refusedAnswer(world(), 'a fault with status 200', wrong, 400, 'InvalidParameter')
      const settings = await world().send('PATCH', '/_emulator/settings', {
        body: { pageSize: 0 },
        authorization: null,
      })
      refusedAnswer(world(), 'a page size of 0', settings, 400, 'InvalidParameter')
      expect((await world().send('GET', '/_emulator/nothing', { authorization: null })).status).toBe(404)
    })
  })

  it('tells which resources have a live SAS, without the URLs', async () => {
    const { client, send } = world()
    await client.disks.grantAccess(resourceGroup, 'cold-os', { access: 'Read', durationInSeconds: 60 }, poll)
    const { json, text } = await send('GET', '/_emulator/grants', { authorization: null })
    expect(json.value).toEqual([{ id: idOf('disks', 'cold-os'), level: 'Read', expiresAt: expect.any(String) }])
    expect(text).not.toContain('sig=')
    await client.disks.revokeAccess(resourceGroup, 'cold-os', poll)
    expect((await send('GET', '/_emulator/grants', { authorization: null })).json.value).toEqual([])
  })
}
