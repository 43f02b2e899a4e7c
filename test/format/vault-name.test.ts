import { describe, expect, it } from 'vitest'
import {
  dataKeyName,
  layerIdOf,
  layerName,
  recoveryPointName,
  segmentName,
  sidecarName,
  sliceIndexName,
} from '../../shared/format/names.ts'
import { parseVaultName, type VaultName } from '../../shared/format/vault-name.ts'
import { fc } from '../support/fast-check.ts'

const id = fc.constantFrom('r1', 'fold-0a1b', '20261122t020517z-0a1b2c3d4e', 'a.b')
const disk = fc.constantFrom('os', 'lun-0', 'lun-63')
const number = (max: number, min = 0) => fc.integer({ min, max })

const madeName = (name: VaultName): string => {
  switch (name.kind) {
    case 'segment':
      return segmentName({ ...name, recoveryPointId: name.id }, name.attempt, name.n)
    case 'slice':
      return sliceIndexName({ ...name, recoveryPointId: name.id })
    case 'layer':
      return layerName(layerIdOf({ ...name, recoveryPointId: name.id }))
    case 'sidecar':
      return sidecarName({ ...name, recoveryPointId: name.id })
    case 'recoveryPoint':
      return recoveryPointName(name.vmKey, name.recoveryPointId, name.revision)
    case 'key':
      return dataKeyName(name.keyId, name.revision)
    case 'other':
      return 'other'
    default:
      return name satisfies never
  }
}

const names: fc.Arbitrary<VaultName> = fc.oneof(
  fc.record({
    kind: fc.constant('segment' as const),
    id,
    disk,
    slice: number(999_999),
    attempt: number(9999, 1),
    n: number(99_999),
  }),
  fc.record({ kind: fc.constant('slice' as const), id, disk, slice: number(999_999) }),
  fc.record({ kind: fc.constantFrom('layer' as const, 'sidecar' as const), id, disk }),
  fc.record({ kind: fc.constant('recoveryPoint' as const), vmKey: id, recoveryPointId: id, revision: number(9999, 1) }),
  fc.record({ kind: fc.constant('key' as const), keyId: fc.constant('0f'.repeat(16)), revision: number(9999, 1) }),
)

describe('the name of an object of the vault', () => {
  it('is taken apart into what it was made of', () => {
    fc.assert(
      fc.property(names, (name) => {
        expect(parseVaultName(madeName(name))).toEqual(name)
      }),
    )
  })

  it.each([
    '',
    'segments',
    'segments/r1/os',
    'segments/r1/os/000000.0001-0000',
    'segments/r1/os/000000.0001-00000/x',
    'segments/r1/os/000000.0000-00000',
    'segments/r1/os/1.1-1',
    'segments/r1/disk/000000.0001-00000',
    'segments/../os/000000.0001-00000',
    'slices/r1/os/00000',
    'slices/r1/os/000000.json',
    'layers/r1',
    'layers/R1/os',
    'layers/r1/os/x',
    'layers/r1/lun-00',
    'layers/r1/lun-10000',
    'sidecars/r1/',
    'sidecars/r1/data',
    'recovery-points/vm/r1/1.json',
    'recovery-points/vm/0001.json',
    'recovery-points/vm/r1/0000.json',
    'keys/0f0f/0001',
    'keys/0f0f/0001.json',
    `keys/${'0'.repeat(32)}/0001.json`,
    `keys/${'0f'.repeat(16)}/0000.json`,
    'keys/0f0f/current.json',
    'elsewhere/r1/os',
  ])('is told apart from one that is none of ours: %s', (name) => {
    expect(parseVaultName(name)).toEqual({ kind: 'other' })
  })
})
