import { listDamage } from '../../shared/vault/damage-reports.ts'
import { type Endpoint, json } from './endpoint.ts'
import { hasRecoveryPoints, unknownVm } from './known-vm.ts'
import { idQuery, refuseOtherParameters, topParameter } from './parameters.ts'

/** GET: the objects of the vault that are known to be damaged, with the recovery points that cannot be restored whole because of them.
 * With `vmKey`: those of one VM; 404 where the vault knows nothing of it. */
export const listVaultDamage: Endpoint = {
  name: 'listDamage',
  route: 'damage',
  methods: {
    GET: async ({ request, deps }) => {
      refuseOtherParameters(request, ['vmKey', 'top'])
      const top = topParameter(request, 1000, 200)
      const vmKey = idQuery(request, 'vmKey')
      const damage: unknown[] = []
      for await (const report of listDamage(deps.control, vmKey)) {
        if (damage.length === top) return json(200, { damage, more: true })
        damage.push(report)
      }
      if (vmKey !== null && damage.length === 0 && !(await hasRecoveryPoints(deps.vault, vmKey))) throw unknownVm(vmKey)
      return json(200, { damage, more: false }, { 'cache-control': 'no-store' })
    },
  },
}
