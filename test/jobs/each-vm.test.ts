import { describe, expect, it } from 'vitest'
import { VaultError } from '../../shared/format/vault-error.ts'
import { eachVm } from '../../shared/jobs/maintenance/each-vm.ts'
import { fakeWorld } from './world.ts'

const worldOf = async (vms: number) => {
  const world = fakeWorld()
  for (let vm = 0; vm < vms; vm += 1) await world.vault.put(`recovery-points/vm-${vm}/r1/0001.json`, Buffer.from('{}'))
  return world
}

const lost = (vmKey: string): VaultError => new VaultError({ code: 'object-missing', name: `layers/${vmKey}/os` })

describe('problems of VM after VM', () => {
  it('name the damaged object of each, the fourth and later ones together', async () => {
    const { problems } = await eachVm(await worldOf(5), null, ({ vmKey }) => Promise.reject(lost(vmKey)))
    expect(problems.map(({ reason, objects }) => [reason, objects])).toEqual([
      ['vault-object-missing', ['layers/vm-0/os']],
      ['vault-object-missing', ['layers/vm-1/os']],
      ['vault-object-missing', ['layers/vm-2/os']],
      ['more-problems', ['layers/vm-3/os', 'layers/vm-4/os']],
    ])
    expect(problems[3]?.message).toContain('2 more VMs')
  })

  it('are not for mending where damage is not the only cause among those that are told together', async () => {
    const other = { reason: 'keys-unreachable', message: 'No answer.', hint: 'Wait.' }
    const { problems } = await eachVm(await worldOf(5), null, ({ vmKey }) =>
      vmKey === 'vm-4' ? Promise.resolve({ problem: other }) : Promise.reject(lost(vmKey)),
    )
    expect(problems[3]).toMatchObject({ reason: 'more-problems' })
    expect(problems[3]).not.toHaveProperty('objects')
  })

  it('are three where three VMs have one', async () => {
    const { problems } = await eachVm(await worldOf(3), null, ({ vmKey }) => Promise.reject(lost(vmKey)))
    expect(problems).toHaveLength(3)
  })
})
