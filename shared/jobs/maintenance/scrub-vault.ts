import {
  type MaintenanceStep,
  type MaintenanceStepOutcome,
  type Mended,
  objectsMax,
  type StepProblem,
} from '../../domain/maintenance.ts'
import { type DamageReport, listDamage } from '../../vault/damage-reports.ts'
import { rebuildReported } from '../../vault/rebuild-index.ts'
import { scrubVault } from '../../vault/scrub-vault.ts'
import type { JobDeps } from '../job-deps.ts'
import { judgeAgain } from '../telling-damage.ts'
import { problemsOfCurrentKey } from './key-problem.ts'

const gib = 1024 ** 3
const dayMs = 24 * 3_600_000

/** What one pass reads at most. With what a day brings below that, everything is checked again and again, the longest unchecked first. */
const passBytesMax = 256 * gib
/** What one step reads at most: minutes. */
const stepBytesMax = 16 * gib
/** Read of one VM before the next one has its turn. */
const vmBytesMax = 4 * gib
const stepCallsMax = 50_000
/** What was checked this lately is not checked again, unless the pass asks for it. */
const recheckAfterMs = 7 * dayMs
const stepMilliseconds = 3 * 60_000

/** Reads and proves what was not checked for longest, and rebuilds indexes that are damaged. Key: none; a check changes nothing but its own
 * notes and the reports of damage, and an index is rebuilt under names that follow from it.
 * The cursor says how many bytes the pass has read. */
export const scrubWithinBudget = async (
  deps: Pick<JobDeps, 'vault' | 'control' | 'clock' | 'keys'>,
  { cursor, recheckBefore }: MaintenanceStep,
): Promise<MaintenanceStepOutcome> => {
  const before = Number(cursor ?? 0)
  const beganAt = deps.clock.now().getTime()
  const scrubbed = await scrubVault(deps, {
    bytesMax: Math.min(stepBytesMax, passBytesMax - before),
    callsMax: stepCallsMax,
    vmBytesMax,
    checkedBefore: new Date(recheckBefore ?? beganAt - recheckAfterMs),
    shouldStop: () => deps.clock.now().getTime() - beganAt > stepMilliseconds,
  })
  const rebuilt = await rebuildReported(deps)
  for (const vmKey of new Set(rebuilt.map((report) => report.vmKey))) await judgeAgain(deps, vmKey)
  const read = before + scrubbed.checkedBytes
  const counts = { checkedBytes: scrubbed.checkedBytes, damaged: scrubbed.found, rebuilt: rebuilt.length }
  const did = { counts, mended: await mendedOf(deps, rebuilt) }
  return scrubbed.kind === 'done' || read >= passBytesMax
    ? { kind: 'done', ...did, problems: [...(await problemsOfCurrentKey(deps)), ...(await knownDamage(deps))] }
    : { kind: 'more', cursor: String(read), ...did }
}

/** Recovery points that are told of one object. */
const pointsMax = 3

/** A damaged layer that several VMs need is mended once none of them is left with it. */
const mendedOf = async (
  { control }: Pick<JobDeps, 'control'>,
  rebuilt: readonly DamageReport[],
): Promise<readonly Mended[]> => {
  if (rebuilt.length === 0) return []
  const left = new Set<string>()
  for await (const { name } of listDamage(control, null)) left.add(name)
  return rebuilt
    .filter(({ name }) => !left.has(name))
    .slice(0, objectsMax)
    .map(({ name, code, vmKey, touches }) => {
      const ids = [...new Set(touches.map(({ recoveryPointId }) => recoveryPointId))]
      return { name, code, vmKey, recoveryPoints: ids.length, recoveryPointIds: ids.slice(0, pointsMax) }
    })
}

/** What cannot be restored, be it known for long: a pass that finds nothing new is not a pass over a whole vault. Damage that touches nothing keeps no
 * pass from being complete. */
const knownDamage = async ({ control }: Pick<JobDeps, 'control'>): Promise<readonly StepProblem[]> => {
  let touching = 0
  let others = 0
  for await (const { touches } of listDamage(control, null)) {
    if (touches.length > 0) touching += 1
    else others += 1
  }
  if (touching === 0) return []
  const more = others === 0 ? '' : ` ${others} more are damaged, and everything can be restored without them.`
  return [
    {
      reason: 'known-damage',
      message: `Damaged objects that keep recovery points from being restored whole: ${touching}.${more}`,
      hint: 'GET damage names each with what it touches, and what to do first where it is a key. Back the VMs up: the next backup stores damaged data again where the disk still has it. What older recovery points lose may be among the soft-deleted or earlier versions in the storage account.',
    },
  ]
}
