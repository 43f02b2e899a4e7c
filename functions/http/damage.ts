import { listDamage } from '../../shared/vault/damage-reports.ts'
import { type Endpoint, json } from './endpoint.ts'
import { idQuery, topParameter } from './parameters.ts'

/** GET: the objects of the vault that are known to be damaged, with the recovery points that cannot be restored whole because of them.
 * With `vmKey`: those of one VM. */
export const listVaultDamage: Endpoint = {
  name: 'listDamage',
  route: 'damage',
  methods: {
    GET: async ({ request, deps }) => {
      const top = topParameter(request, 1000, 200)
      const vmKey = idQuery(request, 'vmKey')
      const damage: unknown[] = []
      for await (const report of listDamage(deps.control, vmKey)) {
        if (damage.length === top) return json(200, { damage, more: true })
        damage.push(report)
      }
      return json(200, { damage, more: false }, { 'cache-control': 'no-store' })
    },
  },
}
