import { type DamageReport, listDamage } from '../../shared/vault/damage-reports.ts'
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
        damage.push(toldDamage(report))
      }
      if (vmKey !== null && damage.length === 0 && !(await hasRecoveryPoints(deps.vault, vmKey))) throw unknownVm(vmKey)
      return json(200, { damage, more: false }, { 'cache-control': 'no-store' })
    },
  },
}

/** A report with code, reason and hint as every other answer has them. */
const toldDamage = ({ code, message, ...report }: DamageReport) => ({
  ...report,
  code: `vault-${code}`,
  reason: message,
  hint: report.touches.length > 0 ? hintOf(report) : report.kind === 'record' ? olderRevision : nothingLost,
})

const nothingLost =
  'Everything can be restored all the same. The entry clears with a pass that finds the object sound, or needed by nothing.'

const olderRevision =
  'An older revision of a commit record: no restore needs it while the newest one is whole. Nothing is to be done. A job that began with it may end with its name; start that job again. The entry clears with a pass that finds it sound, or its recovery point ended.'

const hintOf = ({ kind, vmKey, touches }: Pick<DamageReport, 'kind' | 'touches' | 'vmKey'>): string =>
  kind === 'record'
    ? `Look for the record among soft-deleted or earlier versions in the storage account. The next backup does not build on it. To give the recovery point up, end it by POST vms/${vmKey}/recovery-points/${touches[0]?.recoveryPointId}/expire.`
    : hints[kind]

const hints: Readonly<Record<Exclude<DamageReport['kind'], 'record'>, string>> = {
  key: 'Look for the object of the data key among soft-deleted or earlier versions in the storage account, and see that the wrapping key of the settings is that of this vault.',
  index: 'Run POST maintenance with {"recheck": true}: a lost index is rebuilt from its segments. Then back the VM up.',
  data: 'Back the VM up: the next backup stores damaged data again, where the disk still has it. If an older recovery point is needed, look for the object among soft-deleted or earlier versions in the storage account.',
  directory: nothingLost,
  sidecar: nothingLost,
}
