import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { loadConfig } from '../../shared/config.ts'

/** The host ends a worker, with everything that runs in it, when one function runs too long. A slice that cannot end in that time is begun
 * again for ever. Steps that move data wait for each other inside the worker, and their wait counts. */
const host = JSON.parse(readFileSync(join(import.meta.dirname, '../../host.json'), 'utf8')) as {
  readonly functionTimeout: string
  readonly extensions: { readonly durableTask: { readonly maxConcurrentActivityFunctions: number } }
}
const [hours = 0, minutes = 0, seconds = 0] = host.functionTimeout.split(':').map(Number)
const timeoutSeconds = hours * 3600 + minutes * 60 + seconds

/** A third of what the smallest managed disk gives (60 MiB/s, managed disk types). */
const slowestMibPerSecond = 20

const accepts = (sliceMib: number): boolean =>
  loadConfig({
    AZURE_SUBSCRIPTION_IDS: '00000000-0000-0000-0000-000000000001',
    VaultStorage: 'UseDevelopmentStorage=true',
    SLICE_MIB: String(sliceMib),
  }).kind === 'ok'

describe('the largest slice that the settings allow', () => {
  it('ends within the time of a function, as the last of all that wait in one worker', () => {
    const largestMib = [...Array(17).keys()].map((power) => 2 ** power).findLast(accepts) ?? 0
    expect(largestMib).toBeGreaterThanOrEqual(2048)
    const { maxConcurrentActivityFunctions: atOnce } = host.extensions.durableTask
    expect((largestMib / slowestMibPerSecond) * atOnce).toBeLessThan(timeoutSeconds)
  })
})
