import type { Scratch } from './scratch.ts'
import { callText, type PortCall, type Watch } from './watch.ts'
import { forkWorld, type World } from './world.ts'

/** What a crash of everything leaves at one moment, and the calls at which a crash leaves just this. */
export interface CrashState {
  readonly world: World
  /** A copy of the task hub's file at that moment. */
  readonly databasePath: string
  /** `before vault.create slices/…`, `after …`. */
  readonly at: string[]
}

export interface CrashRecorder {
  readonly watch: Watch
  /** To be told of each commit of the engine, whose state counts as well. */
  readonly committed: () => void
  readonly states: readonly CrashState[]
  /** Calls that were seen; a crash before and after each is in `states`. */
  calls(): number
}

/** Keeps what a crash would leave, before and after each call that one run makes: a crash stops all that runs, so what survives at that
 * moment is all there is to it. Moments with nothing changed between them (a read and its answer) leave the same and are kept once. */
export const recordCrashes = (world: World, databasePath: string, scratch: Scratch): CrashRecorder => {
  const states: CrashState[] = []
  let calls = 0
  let commits = 0
  let last = ''
  const note = (when: 'before' | 'after', number: number, call: PortCall): void => {
    const key = `${world.changes.count}/${commits}`
    if (key !== last) states.push({ world: forkWorld(world), databasePath: scratch.copy(databasePath), at: [] })
    last = key
    states.at(-1)!.at.push(`${when} call ${number}, ${callText(call)}`)
  }
  return {
    states,
    calls: () => calls,
    committed: () => {
      commits += 1
    },
    watch: async (call, act) => {
      calls += 1
      const number = calls
      note('before', number, call)
      const answer = await act()
      note('after', number, call)
      return answer
    },
  }
}
