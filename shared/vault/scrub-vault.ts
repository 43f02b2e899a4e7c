import type { BlobReader, CallOptions, ControlStore } from '../ports/blob-store.ts'
import type { Clock } from '../ports/clock.ts'
import { clearDamage, listDamage } from './damage-reports.ts'
import { listVmKeys } from './list-vm-keys.ts'
import { meteredReader } from './metered-reader.ts'
import { callOptions } from './objects.ts'
import { openCheckStamps, readTurn, type Turn, writeTurn } from './scrub-state.ts'
import { scrubVm } from './scrub-vm.ts'

/** What is checked, and where stamps and damage are noted. */
export interface ScrubDeps {
  readonly vault: BlobReader
  readonly control: ControlStore
  readonly clock: Clock
}

/** How far one call goes. */
export interface ScrubRequest {
  /** Read in this call; it ends soon after. */
  readonly bytesMax: number
  readonly callsMax: number
  /** Read of one VM before the next one has its turn. */
  readonly vmBytesMax: number
  /** What was checked at this time or later is left alone; nothing is where null. */
  readonly checkedBefore: Date | null
  /** Asked behind every few objects. */
  readonly shouldStop?: () => boolean
  readonly signal?: AbortSignal
}

/** `done`: a round over all VMs ended and left nothing that is due. `more`: the budget was used up before, or some VM had more than its turn takes:
 * the next call begins another round. */
export interface Scrubbed {
  readonly kind: 'more' | 'done'
  readonly checkedBytes: number
  readonly calls: number
  /** Damaged objects that were not known to be. */
  readonly found: number
  /** Objects that are no longer reported as damaged. */
  readonly cleared: number
}

/** VMs of which what was checked is noted together: most of the notes' objects are about each of them. A process that dies checks as many again. */
const vmsUnsavedMax = 64

/** Checks the vault bit by bit, without any key: VM after VM in turn, of each what was checked longest ago, and goes on where the call before ended.
 * What is found wrong is reported below `damage/`. Needs no intent: what a collection takes away meanwhile is told from damage by the records.
 * Calls at the same time do some work twice, nothing worse. Memory: a few segments, some bytes for each layer of one VM,
 * and some 250 bytes for each unit of checking in the vault. */
export const scrubVault = async (deps: ScrubDeps, request: ScrubRequest): Promise<Scrubbed> => {
  const options = callOptions(request.signal)
  const vault = meteredReader(deps.vault)
  const canGoOn = (): boolean =>
    vault.readBytes < request.bytesMax && vault.calls < request.callsMax && request.shouldStop?.() !== true
  let sum = { found: 0, cleared: 0 }
  const outcome = (kind: Scrubbed['kind']): Scrubbed => ({
    kind,
    checkedBytes: vault.readBytes,
    calls: vault.calls,
    ...sum,
  })
  let turn = await readTurn(deps.control, options)
  const stamps = openCheckStamps(deps.control, options)
  let unsaved = 0
  const save = async (): Promise<void> => {
    await stamps.save(turn.round)
    await writeTurn(deps.control, turn, options)
    unsaved = 0
  }
  const brokenOff = async (): Promise<Scrubbed> => {
    await save()
    return outcome('more')
  }
  const checkedBefore = request.checkedBefore?.toISOString() ?? null
  for await (const vmKey of listVmKeys(deps.vault, turn.after, options)) {
    if (!canGoOn()) return brokenOff()
    const vmEnd = vault.readBytes + request.vmBytesMax
    const goOn = (): boolean => canGoOn() && vault.readBytes < vmEnd
    const of = { vmKey, round: turn.round, checkedBefore, goOn, stamps }
    const { isWhole, found, cleared } = await scrubVm({ ...deps, vault }, of, options)
    sum = { found: sum.found + found, cleared: sum.cleared + cleared }
    if (!isWhole && !canGoOn()) return brokenOff()
    turn = { ...turn, after: vmKey, isWhole: turn.isWhole && isWhole }
    unsaved += 1
    if (unsaved === vmsUnsavedMax) await save()
  }
  await stamps.save(turn.round)
  sum = { ...sum, cleared: sum.cleared + (await endRound(deps, turn, options)) }
  return outcome(turn.isWhole ? 'done' : 'more')
}

/** Reports about VMs that have no records any more are about nothing. */
const endRound = async ({ vault, control }: ScrubDeps, { round }: Turn, options: CallOptions): Promise<number> => {
  const vmKeys = new Set<string>()
  let cleared = 0
  for await (const report of listDamage(control, null, options)) {
    if (vmKeys.size === 0) for await (const vmKey of listVmKeys(vault, null, options)) vmKeys.add(vmKey)
    if (vmKeys.has(report.vmKey)) continue
    await clearDamage(control, report, options)
    cleared += 1
  }
  await writeTurn(control, { round: round + 1, after: null, isWhole: true }, options)
  return cleared
}
