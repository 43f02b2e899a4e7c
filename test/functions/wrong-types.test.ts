import { describe, expect, it } from 'vitest'
import { compareRecoveryPoint } from '../../functions/http/compare-recovery-point.ts'
import type { Endpoint } from '../../functions/http/endpoint.ts'
import { expireRecoveryPointNow } from '../../functions/http/expire-recovery-point.ts'
import { vaultMaintenance } from '../../functions/http/maintenance.ts'
import { rotateKeys } from '../../functions/http/rotate-keys.ts'
import { startBackup } from '../../functions/http/start-backup.ts'
import { startRestore } from '../../functions/http/start-restore.ts'
import { fakeInstances, fakeWorld, sampleVm, vmId } from '../jobs/world.ts'
import { ask } from './call-endpoint.ts'

const { vmKey } = sampleVm()
const params = { vmKey, recoveryPointId: 'latest' }

/** Every field of every body, by its path, and what else the body needs. */
const fields: readonly (readonly [Endpoint, object, readonly string[]])[] = [
  [startBackup, { vmId }, ['excludedDisks', 'consistency', 'source', 'windowHours', 'compression', 'encryption']],
  [startBackup, {}, ['vmId', 'policy', 'selection']],
  [startBackup, { selection: {} }, ['selection.subscriptionIds', 'selection.resourceGroups', 'selection.tags']],
  [startRestore, params, ['vmKey', 'recoveryPointId', 'disks', 'targetResourceGroupId', 'location']],
  [startRestore, { ...params, disks: [{ disk: 'os' }] }, ['disks.0', 'disks.0.disk', 'disks.0.targetDiskId']],
  [compareRecoveryPoint, {}, ['disks', 'oneIn']],
  [expireRecoveryPointNow, {}, ['evenIfLast']],
  [vaultMaintenance, {}, ['recheck']],
  [rotateKeys, { what: 'data-key' }, ['what', 'evenIfLocked']],
]

/** Values of every type, with the words for each. */
const values: readonly (readonly [unknown, string])[] = [
  [5, 'the number 5'],
  [-1.5, 'the number -1.5'],
  ['', 'an empty text'],
  ['no such', 'the text "no such"'],
  ['x'.repeat(5000), `the text "${'x'.repeat(60)}…"`],
  [true, 'true'],
  [null, 'null'],
  [[], 'an empty list'],
  [[1, 2], 'a list of 2'],
  [{}, 'an object'],
]

const withValue = (body: object, path: string, value: unknown): object => {
  const changed = structuredClone(body) as Record<string, unknown>
  const keys = path.split('.')
  const last = keys.pop()!
  const within = keys.reduce((at, key) => at[key] as Record<string, unknown>, changed)
  within[last] = value
  return changed
}

interface Errors {
  readonly errors?: readonly { readonly field: string; readonly detail: string; readonly fix: string }[]
}

describe('a value of the wrong type', () => {
  it.each(
    fields.flatMap(([endpoint, body, paths]) => paths.map((path) => [path, endpoint.name, endpoint, body] as const)),
  )(
    'for %s of %s is told in plain words: the field, what was given, what is wanted',
    async (path, _name, endpoint, body) => {
      let refused = 0
      for (const [value, words] of values) {
        const asked = { body: withValue(body, path, value), params }
        const answered = await ask(endpoint, fakeWorld(), fakeInstances(), asked)
        const { errors = [] } = answered.body as Errors
        if (answered.status !== 422) continue
        for (const { field, detail, fix } of errors) {
          expect(field.startsWith(path) || field === 'vmId' || field === 'encryption', field).toBe(true)
          expect(`${detail} ${fix}`).not.toMatch(/Invalid|received|undefined|\[object|strict|\$/)
          expect(fix).toMatch(/^(Expected|Add it\. Expected|Remove it|Give|Set|Name) ?.*\.$/)
          if (field === path && detail.startsWith('It is')) expect(detail).toBe(`It is ${words}.`)
        }
        if (errors.some(({ field }) => field.startsWith(path))) refused += 1
      }
      expect(refused).toBeGreaterThanOrEqual(5)
    },
  )

  it('says what a missing field must be', async () => {
    const missing = async (endpoint: Endpoint, body: object) => {
      const { body: answered } = await ask(endpoint, fakeWorld(), fakeInstances(), { body, params })
      return (answered as Errors).errors?.map(({ field, detail, fix }) => `${field}: ${detail} ${fix}`)
    }
    expect(await missing(startRestore, { recoveryPointId: 'latest', disks: [{}] })).toEqual([
      'vmKey: This field is missing. Add it. Expected an id from a list of this API.',
      'disks.0.disk: This field is missing. Add it. Expected "os" or "lun-<n>".',
    ])
    expect(await missing(rotateKeys, {})).toEqual([
      'what: This field is missing. Add it. Expected "data-key" or "wrapping-key".',
    ])
  })

  it('names the fields that there are where one is not known', async () => {
    const { body } = await ask(startRestore, fakeWorld(), fakeInstances(), {
      body: { ...params, disks: [{ disk: 'os', target: 'x' }] },
    })
    expect((body as Errors).errors).toEqual([
      {
        field: 'disks.0.target',
        detail: 'This field is not known.',
        fix: 'Remove it, or correct its name: disk, targetDiskId.',
      },
    ])
  })
})
