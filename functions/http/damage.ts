import { type DamageReport, listDamage } from '../../shared/vault/damage-reports.ts'
import type { Services } from '../services.ts'
import { type Endpoint, json } from './endpoint.ts'
import { hasRecoveryPoints, unknownVm } from './known-vm.ts'
import { idQuery, refuseOtherParameters, topParameter } from './parameters.ts'
import { soundNewest } from './sound-newest.ts'

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
      const { reports, more } = await firstReports(deps, vmKey, top)
      if (vmKey !== null && reports.length === 0 && !(await hasRecoveryPoints(deps.vault, vmKey)))
        throw unknownVm(vmKey)
      const sound = await soundNewest(deps.vault, reports, AbortSignal.timeout(lookingMsMax))
      const damage = reports.map((report) => toldDamage(report, sound.get(report) ?? null))
      return json(200, { damage, more }, { 'cache-control': 'no-store' })
    },
  },
}

/** How long an answer may take for the sake of `soundIn`: it reads indexes of the newest recovery points. */
const lookingMsMax = 20_000

const firstReports = async (deps: Pick<Services, 'control'>, vmKey: string | null, top: number) => {
  const reports: DamageReport[] = []
  for await (const report of listDamage(deps.control, vmKey)) {
    if (reports.length === top) return { reports, more: true }
    reports.push(report)
  }
  return { reports, more: false }
}

/** A report with code, reason and hint as every other answer has them. `soundIn`: the VM's newest recovery point, where it shows nothing of the damage. */
const toldDamage = ({ code, message, ...report }: DamageReport, soundIn: string | null) => ({
  ...report,
  soundIn,
  code: `vault-${code}`,
  reason: message,
  hint: report.touches.length > 0 ? hintOf(report, soundIn) : report.kind === 'record' ? olderRevision : nothingLost,
})

const nothingLost =
  'Everything can be restored all the same. The entry clears with a pass that finds the object sound, or needed by nothing.'

const olderRevision =
  'An older revision of a commit record: no restore needs it while the newest one is whole. Nothing is to be done. A job that began with it may end with its name; start that job again. The entry clears with a pass that finds it sound, or its recovery point ended.'

const hintOf = (
  { kind, vmKey, touches }: Pick<DamageReport, 'kind' | 'touches' | 'vmKey'>,
  soundIn: string | null,
): string => {
  const { now, old } =
    kind === 'record' ? ofRecord(`vms/${vmKey}/recovery-points/${touches[0]?.recoveryPointId}`) : hints[kind]
  return soundIn === null
    ? now
    : `Recovery point ${soundIn}, the newest that can be read, is not hurt by it. Those under touches are. ${old} The entry clears with the next pass after they have ended, or after the object is whole again.`
}

const where = 'among soft-deleted or earlier versions in the storage account'

interface Hints {
  /** Where the newest recovery point may be hurt, too. */
  readonly now: string
  /** Where older ones alone are hurt. */
  readonly old: string
}

const ofRecord = (recoveryPoint: string): Hints => {
  const look = `Look for the record ${where}.`
  const end = `To give the recovery point up, end it by POST ${recoveryPoint}/expire.`
  return { now: `${look} The next backup does not build on it. ${end}`, old: `${look} ${end}` }
}

const rebuilt = 'Run POST maintenance with {"recheck": true}: a lost index is rebuilt from its segments.'
const keyLost = `Look for the object of the data key ${where}, and see that the wrapping key of the settings is that of this vault.`
const keyAnew =
  'Where it cannot be brought back, give new backups another one by POST keys/rotate with {"what": "data-key", "evenIfLocked": true}, then back the VM up.'

const hints: Readonly<Record<Exclude<DamageReport['kind'], 'record'>, Hints>> = {
  key: { now: `${keyLost} ${keyAnew}`, old: keyLost },
  index: { now: `${rebuilt} Then back the VM up.`, old: rebuilt },
  data: {
    now: `Back the VM up: the next backup stores damaged data again, where the disk still has it. If an older recovery point is needed, look for the object ${where}.`,
    old: `Look for the object ${where}, if one of them is needed.`,
  },
  directory: { now: nothingLost, old: nothingLost },
  sidecar: { now: nothingLost, old: nothingLost },
}
