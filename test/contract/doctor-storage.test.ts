import { describe, expect, it } from 'vitest'
import type { SeenContainer, StorageSurvey } from '../../shared/azure/storage-survey.ts'
import type { ControlStore } from '../../shared/ports/blob-store.ts'
import { checkControlContainer, checkVaultContainer } from '../../tools/doctor/check-storage.ts'
import type { Connected } from '../../tools/doctor/connect.ts'
import { type Check, type Finding, findingsOf } from '../../tools/doctor/finding.ts'
import { createMemoryBlobStore } from '../support/memory-blob-store.ts'

/** Rules of storage accounts that Azurite does not know, and storage that does not do what it should. */

const plain: SeenContainer = { kind: 'found', hasImmutabilityPolicy: false, hasLegalHold: false }

const world = (seen: SeenContainer, survey: Partial<StorageSurvey> = {}, broken: Partial<ControlStore> = {}) => {
  const store = createMemoryBlobStore()
  const storage = { vaultContainer: 'vault', controlContainer: 'control' }
  const connected = {
    config: { storage },
    survey: {
      container: async () => seen,
      softDeleteDays: async () => null,
      keepsVersions: async () => false,
      ...survey,
    },
    vault: { ...store, ...broken },
    control: { ...store, ...broken },
  } as unknown as Connected
  return { store, connected }
}

const findings = async (check: (connected: Connected) => ReturnType<Check['run']>, connected: Connected) => {
  const found: Finding[] = []
  for await (const one of findingsOf([{ name: 'check', hint: 'hint', run: () => check(connected) }])) found.push(one)
  return found
}

const namesIn = async (store: ControlStore): Promise<readonly string[]> => {
  const names: string[] = []
  for await (const { name } of store.list('')) names.push(name)
  return names
}

describe('the container of the vault', () => {
  it.each([
    { ...plain, hasImmutabilityPolicy: true },
    { ...plain, hasLegalHold: true },
  ])('is not written to where a rule would keep what is written: %j', async (seen) => {
    let writes = 0
    const create = async () => {
      writes += 1
      return 'created' as const
    }
    const found = await findings(checkVaultContainer, world(seen, {}, { create }).connected)
    expect(writes).toBe(0)
    expect(found.map(({ kind }) => kind)).toEqual(['ok', 'ok', 'notChecked'])
  })

  it('shows versioning and soft delete where they can be seen', async () => {
    const survey = { softDeleteDays: async () => 14, keepsVersions: async () => true }
    const found = await findings(checkVaultContainer, world(plain, survey).connected)
    const said = JSON.stringify(found)
    expect(said).toContain('for 14 days')
    expect(said).toContain('Versioning is on')
    expect(found.every(({ kind }) => kind === 'ok')).toBe(true)
  })

  it('tells that soft delete cannot be seen', async () => {
    const survey = { softDeleteDays: async () => 'hidden' as const }
    const found = await findings(checkVaultContainer, world(plain, survey).connected)
    expect(found).toContainEqual(
      expect.objectContaining({ kind: 'notChecked', reason: expect.stringMatching(/^Soft/) }),
    )
  })

  it('keeps nothing of the doctor where a check breaks off', async () => {
    const keepsVersions = async () => {
      throw new Error('broke off')
    }
    const { connected, store } = world(plain, { keepsVersions })
    const found = await findings(checkVaultContainer, connected)
    expect(found.filter(({ kind }) => kind === 'problem')).toHaveLength(1)
    expect(await namesIn(store)).toEqual([])
  })
})

describe('the control container', () => {
  it('must not be under an immutability policy', async () => {
    const found = await findings(checkControlContainer, world({ ...plain, hasImmutabilityPolicy: true }).connected)
    expect(found).toMatchObject([{ kind: 'problem', hint: expect.stringContaining('CONTROL_CONTAINER') }])
  })

  it.each<[string, Partial<ControlStore>, RegExp]>([
    ['takes a second object of a name', { create: async () => 'created' }, /If-None-Match/],
    ['replaces what has changed', { replace: async () => ({ kind: 'replaced', etag: '"1"' }) }, /If-Match/],
    ['cannot remove', { remove: async () => 'changed' }, /could not be removed/],
  ])('is no storage for claims where it %s', async (_, broken, words) => {
    const found = await findings(checkControlContainer, world(plain, {}, broken).connected)
    const problems = found.flatMap((one) => (one.kind === 'problem' ? [one.message] : []))
    expect(problems.join('\n')).toMatch(words)
  })
})
