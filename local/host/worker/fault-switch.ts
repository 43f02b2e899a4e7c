import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'

/**
 * The host's test switches, set by the environment variable DELTAVAULT_HOST_FAULT. Forms:
 *
 *     kill-worker:orchestrator=<name>:trigger=<n>     the worker dies (SIGKILL) after the n-th trigger of that
 *                                                     orchestrator has been delivered and before its answer
 *     kill-worker:activity=<name>:call=<n>[:after=<ms>]  the worker dies in the middle of the n-th call of that
 *                                                     activity: <ms> after it began (50 by default), or when it
 *                                                     answers if that is sooner; the answer is lost
 *     kill-host:orchestrator=…  kill-host:activity=…  the same, but the host process itself dies
 *
 * `n` counts from 1 within one host process; names are compared without case. A switch works once per data folder: the
 * file `fault-<digest>` there says that it has, so a host that is started again with the same variable goes on.
 */
export interface FaultSwitch {
  readonly victim: 'worker' | 'host'
  readonly functionName: string
  readonly occurrence: number
  readonly afterMilliseconds: number
  readonly markerFile: string
}

const pattern =
  /^kill-(worker|host):(?:orchestrator=([^:]+):trigger=(\d+)|activity=([^:]+):call=(\d+)(?::after=(\d+))?)$/

const activityAfterMilliseconds = 50

/** Reads the variable's value; null where it is not set. Throws where it has none of the forms above. */
export const parseFaultSwitch = (text: string | undefined, dataFolder: string): FaultSwitch | null => {
  if (text === undefined || text === '') return null
  const match = pattern.exec(text)
  if (match === null) throw new Error(`DELTAVAULT_HOST_FAULT="${text}" is not a known fault; see fault-switch.ts.`)
  const [, victim, orchestrator, trigger, activity, call, after] = match
  return {
    victim: victim === 'host' ? 'host' : 'worker',
    functionName: (orchestrator ?? activity)!.toLowerCase(),
    occurrence: Number(trigger ?? call),
    afterMilliseconds: orchestrator === undefined ? Number(after ?? activityAfterMilliseconds) : 0,
    markerFile: path.join(dataFolder, `fault-${createHash('sha256').update(text).digest('hex').slice(0, 12)}`),
  }
}

/** Decides, for each invocation that begins, whether it is the one to be struck; true once at most per data folder. */
export const faultTrigger = (fault: FaultSwitch | null): ((functionName: string) => boolean) => {
  let seen = 0
  return (functionName) => {
    if (fault === null || functionName.toLowerCase() !== fault.functionName) return false
    seen += 1
    if (seen !== fault.occurrence || existsSync(fault.markerFile)) return false
    // Before the kill, and synchronously: the host itself may be the one that dies.
    mkdirSync(path.dirname(fault.markerFile), { recursive: true })
    writeFileSync(fault.markerFile, 'This fault has happened; remove the file to let it happen again.\n')
    return true
  }
}
