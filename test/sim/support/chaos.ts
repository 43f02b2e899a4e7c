import type { InvocationRequest } from '../../../local/host/invocation.ts'
import type { Chances } from './chances.ts'
import type { HostOptions } from './host.ts'
import { chooseFault, type Injected } from './injected-faults.ts'
import { laggard, latency } from './latency.ts'
import { callText, type PortCall, type Watch, watches } from './watch.ts'
import type { World } from './world.ts'

/** What may go wrong in one run. The limits keep a job below the tries that it has: five of an activity, five attempts. */
const odds = { fault: 0.03, twin: 0.15, workerDeath: 0.002, hostDeath: 0.002, turnDeath: 0.02, lateTwins: 0.3 }
const limits = { faultsOfStep: 3, faults: 25, deaths: 4 }

/** A run in which much goes wrong, by the chances of a seed. */
export interface Chaos extends Pick<HostOptions, 'diesIn' | 'isTwin'> {
  watch(request: InvocationRequest, run: 1 | 2): Watch
  /** All that went wrong, in order. */
  readonly story: readonly string[]
}

export const createChaos = (
  world: World,
  chances: Chances,
  kill: { readonly worker: () => void; readonly host: () => void },
): Chaos => {
  const story: string[] = []
  const faultsOf = new Map<string, number>()
  let faults = 0
  let deaths = 0
  const happens = (subject: string, odd: number): boolean => chances.about(subject).next() < odd
  // A late twin may still hold access when its job has ended and has closed what it knew of. Only the twin itself can end that access; where it
  // dies or is cut off just then, nothing but the expiry does. So runs with late twins have no deaths, and late twins meet no faults.
  const hasLateTwins = happens('late twins', odds.lateTwins)
  const die = (what: string, subject: string, odd: number): boolean => {
    if (hasLateTwins || deaths >= limits.deaths || !happens(`${what} ${subject}`, odd)) return false
    deaths += 1
    story.push(`${what} at ${subject}`)
    return true
  }
  const faultOf = (step: string, call: PortCall): Injected | null => {
    const random = chances.about(`fault ${callText(call)}`)
    const before = faultsOf.get(step) ?? 0
    if (random.next() >= odds.fault || faults >= limits.faults || before >= limits.faultsOfStep) return null
    faults += 1
    faultsOf.set(step, before + 1)
    const fault = chooseFault(world, call, random)
    story.push(`${fault.name} at ${callText(call)}`)
    return fault
  }
  const slow = latency(chances, 0)
  const wrong =
    (request: InvocationRequest): Watch =>
    async (call, act) => {
      const when = die('the worker died', callText(call), odds.workerDeath)
        ? kill.worker
        : die('the host died', callText(call), odds.hostDeath)
          ? kill.host
          : null
      if (when !== null) return diesAround(when, chances.about(`when ${callText(call)}`).below(2) === 0, act)
      return around(faultOf(stepOf(request), call), act)
    }
  return {
    story,
    isTwin: (request) => isActivity(request) && happens(`twin ${stepOf(request)}`, odds.twin),
    diesIn: (request) => isTurn(request) && die('the worker died in a turn', stepOf(request), odds.turnDeath),
    watch: (request, run) => {
      if (run === 1 || !hasLateTwins) return watches(wrong(request), slow)
      story.push(`late twin of ${request.functionName}`)
      return laggard
    },
  }
}

const diesAround = async <T>(kill: () => void, isBefore: boolean, act: () => T | Promise<T>): Promise<T> => {
  if (isBefore) kill()
  const answer = await act()
  if (!isBefore) kill()
  return answer
}

const around = async <T>(fault: Injected | null, act: () => T | Promise<T>): Promise<T> => {
  if (fault === null) return act()
  if (fault.when === 'repeat') await act()
  if (fault.when !== 'before') {
    const answer = await act()
    if (fault.when === 'repeat') return answer
  }
  if ('error' in fault) throw fault.error
  return fault.answer as T
}

const turns = ['protectVm', 'protectDisk', 'transferLane', 'restoreVm', 'restoreDisk']
const isTurn = ({ functionName }: InvocationRequest): boolean => turns.includes(functionName)
const isActivity = (request: InvocationRequest): boolean =>
  !isTurn(request) && request.functionName !== 'startScheduledBackups'

/** Tells a step from others of its function: by its input, or by the instance whose turn it is. */
const stepOf = ({ functionName, inputs, triggerMetadata }: InvocationRequest): string => {
  if (turns.includes(functionName)) return `${functionName} ${triggerMetadata.instanceId?.string ?? ''}`
  return `${functionName} ${functionName === 'startScheduledBackups' ? '' : (inputs[0]?.value.string ?? '')}`
}
