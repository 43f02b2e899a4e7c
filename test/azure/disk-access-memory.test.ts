import { describe, expect, it } from 'vitest'
import { acceptedSeconds } from '../../shared/azure/arm-access.ts'
import type { ArmClients } from '../../shared/azure/arm-clients.ts'
import { createArmDiskAccess } from '../../shared/azure/arm-disk-access.ts'
import { createFlights } from '../../shared/azure/flights.ts'
import { inParallel } from '../../shared/azure/in-parallel.ts'

const snapshotId = '/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/snapshots/one'

/** A platform that grants a new URL for each question, when `grantNow` is called or at once. */
const platform = (grants: { readonly atOnce: boolean }) => {
  const asked: unknown[] = []
  let nowMs = 0
  const open: (() => void)[] = []
  const grantAccess = (_: string, name: string, data: unknown) => {
    asked.push(data)
    const sasUrl = `https://disk/${name}?sig=${asked.length}`
    const done = grants.atOnce ? Promise.resolve() : new Promise<void>((resolve) => open.push(resolve))
    let isDone = false
    const poll = async () => {
      await done
      isDone = true
    }
    const shown = { result: { accessSAS: sasUrl }, submitted: async () => undefined, poll }
    return Object.defineProperty(shown, 'isDone', { get: () => isDone })
  }
  const revokeAccess = () => ({ isDone: true, submitted: async () => undefined, poll: async () => undefined })
  const clients = { forSubscription: () => ({ snapshots: { grantAccess, revokeAccess } }) } as unknown as ArmClients
  return {
    access: createArmDiskAccess(clients, () => nowMs),
    asked,
    pass: (seconds: number) => {
      nowMs += seconds * 1000
    },
    grantNow: () => {
      for (const resolve of open.splice(0)) resolve()
    },
  }
}

describe('access to a disk source', () => {
  it('is remembered until shortly before it expires', async () => {
    const { access, asked, pass } = platform({ atOnce: true })
    const first = await access.grantRead(snapshotId, 86_400, 1000)
    pass(86_400 - 901)
    expect(await access.grantRead(snapshotId.toUpperCase(), 86_400, 1000)).toEqual(first)
    expect(asked).toHaveLength(1)
    pass(2)
    expect(await access.grantRead(snapshotId, 86_400, 1000)).not.toEqual(first)
    expect(asked).toHaveLength(2)
  })

  it('is asked for once by several callers at the same time', async () => {
    const { access, asked } = platform({ atOnce: true })
    const all = await Promise.all(Array.from({ length: 5 }, () => access.grantRead(snapshotId, 3600, 1000)))
    expect(new Set(all.map((one) => JSON.stringify(one))).size).toBe(1)
    expect(asked).toHaveLength(1)
  })

  it('is pending after the wait, and the next caller joins the same question', async () => {
    const { access, asked, grantNow } = platform({ atOnce: false })
    expect(await access.grantRead(snapshotId, 3600, 10)).toEqual({ kind: 'pending', retryAfterSeconds: 2 })
    const next = access.grantRead(snapshotId, 3600, 1000)
    await Promise.resolve()
    grantNow()
    expect((await next).kind).toBe('granted')
    expect(asked).toHaveLength(1)
  })

  it('is asked for anew when it was forgotten or revoked', async () => {
    const { access, asked } = platform({ atOnce: true })
    await access.grantRead(snapshotId, 3600, 1000)
    access.forget(snapshotId)
    await access.grantRead(snapshotId, 3600, 1000)
    await access.revoke(snapshotId)
    await access.grantRead(snapshotId, 3600, 1000)
    expect(asked).toHaveLength(3)
  })

  it('is asked for within the bounds of the service', async () => {
    const { access, asked } = platform({ atOnce: true })
    await access.grantRead(snapshotId, 99_999_999, 1000)
    expect(asked).toEqual([{ access: 'Read', durationInSeconds: 5_184_000 }])
    expect(acceptedSeconds(1)).toBe(30)
  })

  it('is refused for an id that is no disk source', async () => {
    const { access } = platform({ atOnce: true })
    expect(await access.grantRead('/subscriptions/s', 3600, 10)).toMatchObject({ reason: 'not-a-disk-source' })
    expect(await access.exists('../x')).toBe(false)
  })
})

describe('work under way', () => {
  it('ends for all who wait when it fails, and is begun anew by the next', async () => {
    const flights = createFlights<string>()
    let begun = 0
    const begin = async () => {
      begun += 1
      if (begun === 1) throw new Error('lost')
      return 'done'
    }
    const both = await Promise.allSettled([flights.join('a', 1000, begin), flights.join('a', 1000, begin)])
    expect(both.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    expect(await flights.join('a', 1000, begin)).toBe('done')
  })

  it('in parallel keeps to its lanes and to the order of its items', async () => {
    let running = 0
    let peak = 0
    const results = await inParallel([5, 1, 4, 2, 3], 2, async (item) => {
      peak = Math.max(peak, ++running)
      await new Promise((resolve) => setTimeout(resolve, item))
      running -= 1
      return item * 10
    })
    expect(results).toEqual([50, 10, 40, 20, 30])
    expect(peak).toBe(2)
  })
})
