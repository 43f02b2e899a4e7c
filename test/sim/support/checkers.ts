import { existsSync, readFileSync } from 'node:fs'
import type { JobRecord } from '../../../shared/domain/job.ts'
import { collectVault } from '../../../shared/jobs/maintenance/collect-vault.ts'
import { virtualClock } from '../../support/virtual-clock.ts'
import { restorePointIds, secret, targetBytes } from './platform.ts'
import { restoreFaults } from './restore-check.ts'
import { committedIds, forkWorld, type World } from './world.ts'

/** Everything that is wrong with a world whose jobs have all ended well; empty when nothing is.
 * @param databasePath the task hub's file */
export const faultsOf = async (
  world: World,
  ended: {
    readonly record: JobRecord
    readonly commits: number
    readonly databasePath: string
    readonly hasLateTwins?: boolean
  },
): Promise<readonly string[]> => [
  ...world.broken,
  ...outcomeFaults(ended.record),
  ...onceFaults(world, ended.commits),
  ...leftovers(world),
  ...(await intentsLeft(world, ended.hasLateTwins === true)),
  ...secretsIn(world, ended.databasePath),
  ...(await restoreFaults(world)),
]

/** Everything that is wrong with a world in which the newest recovery point has been restored. */
export const faultsOfRestore = async (
  world: World,
  ended: { readonly record: JobRecord; readonly databasePath: string },
): Promise<readonly string[]> => [
  ...world.broken,
  ...outcomeFaults(ended.record),
  ...leftovers(world),
  ...(await intentsLeft(world, false)),
  ...secretsIn(world, ended.databasePath),
  ...targetFaults(world),
]

/** Each disk of the recovery point must be there once, usable, and hold what its disk held. */
const targetFaults = (world: World): readonly string[] => {
  const disks = [...world.platform.model.get(committedIds(world).at(-1)!)!.values()]
  const targets = [...world.platform.targets.values()]
  const unusable = targets.filter(({ isOpen, hasFooter }) => isOpen || !hasFooter)
  const missing = disks.filter((bytes) => !targets.some((target) => targetBytes(target).equals(bytes)))
  return [
    ...(targets.length === disks.length ? [] : [`${targets.length} disks were made instead of ${disks.length}.`]),
    ...(unusable.length === 0 ? [] : [`${unusable.length} disks cannot be used.`]),
    ...(missing.length === 0 ? [] : [`${missing.length} disks hold other bytes than they should.`]),
  ]
}

const outcomeFaults = ({ outcome }: JobRecord): readonly string[] =>
  outcome?.kind === 'completed' ? [] : [`The job ended as ${JSON.stringify(outcome)}.`]

/** One restore point and one commit record for each recovery point. */
const onceFaults = (world: World, commits: number): readonly string[] => {
  const committed = committedIds(world)
  const faults: string[] = []
  if (committed.length !== commits || new Set(committed).size !== commits)
    faults.push(`There are ${committed.length} commit records instead of ${commits}.`)
  for (const id of committed) {
    const times = world.platform.made.filter((made) => made === id).length
    if (times !== 1) faults.push(`The restore point of ${id} was made ${times} times.`)
  }
  if (world.platform.made.length !== commits) faults.push(`${world.platform.made.length} restore points were made.`)
  return faults
}

/** Access, restore points and claims that nobody needs any more. */
const leftovers = (world: World): readonly string[] => {
  const kept = restorePointIds(world.platform)
  const newest = committedIds(world).at(-1)
  const controlNames = [...world.control.objects.keys()].filter((name) => name.startsWith('claims/'))
  return [
    ...[...world.platform.live.keys()].map((id) => `Access to ${id} is still live.`),
    ...(kept.length === 1 && kept[0] === newest
      ? []
      : [`The restore points [${kept}] are left, not that of ${newest}.`]),
    ...controlNames.map((name) => `${name} is left.`),
  ]
}

/** Intents that keep data for a job that has ended. A late twin may write one again after the ending: the next collection drops it. */
const intentsLeft = async (world: World, hasLateTwins: boolean): Promise<readonly string[]> => {
  const intentsOf = ({ control }: World) => [...control.objects.keys()].filter((name) => name.startsWith('intents/'))
  const next = forkWorld(world)
  if (hasLateTwins && intentsOf(world).length > 0)
    await collectVault({ ...next, clock: virtualClock() }, { passId: 'after', cursor: null })
  return intentsOf(next).map((name) => `${name} is left.`)
}

/** Places where a part of a SAS URL or a data key was stored or logged. */
const secretsIn = (world: World, databasePath: string): readonly string[] => {
  const faults: string[] = []
  const needles = [Buffer.from(secret), ...[...world.wrapper.seen].flatMap(formsOfKey)]
  const isIn = (bytes: Buffer): boolean => needles.some((needle) => bytes.includes(needle))
  for (const store of [world.vault, world.control])
    for (const [name, { bytes }] of store.objects)
      if (isIn(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length))) faults.push(`A secret is in ${name}.`)
  for (const file of [databasePath, `${databasePath}-wal`])
    if (existsSync(file) && isIn(readFileSync(file))) faults.push('A secret is in a history or status.')
  if (isIn(Buffer.from(world.log.join('\n')))) faults.push('A secret is in the log.')
  return faults
}

/** The ways in which a data key could be written down. */
const formsOfKey = (hex: string): readonly Buffer[] => {
  const key = Buffer.from(hex, 'hex')
  return [key, ...(['hex', 'base64', 'base64url'] as const).map((form) => Buffer.from(key.toString(form).slice(0, 40)))]
}
