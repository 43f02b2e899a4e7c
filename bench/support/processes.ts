import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

const benchFolder = join(import.meta.dirname, '..')

/** A server of the bench in a process of its own. It ends with its parent. */
export interface Server extends AsyncDisposable {
  readonly origin: string
  readonly pid: number
  /** One message, answered by one. */
  ask(message: string): Promise<unknown>
}

/** @param main file name in `bench/` */
export const startServer = async (main: string, args: readonly string[]): Promise<Server> => {
  const child = fork(join(benchFolder, main), args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  const { origin } = (await message(child)) as { readonly origin: string }
  return {
    origin,
    pid: child.pid ?? 0,
    ask: async (text) => {
      const answered = message(child)
      child.send(text)
      return answered
    },
    [Symbol.asyncDispose]: async () => {
      const ended = once(child, 'exit')
      child.disconnect()
      await ended
    },
  }
}

/** The child's next message. @throws where it ends first */
export const message = (child: ChildProcess): Promise<unknown> =>
  new Promise((resolve, reject) => {
    const onExit = (code: number | null) => reject(new Error(`A process of the bench ended with ${code}.`))
    child.once('exit', onExit)
    child.once('message', (received) => {
      child.off('exit', onExit)
      resolve(received)
    })
  })

/** Ticks of `/proc/<pid>/stat` are hundredths of a second on every Linux that Node runs on. */
const ticksPerSecond = 100

/** CPU seconds of a process and all its threads so far; 0 where the system does not tell. */
export const cpuSecondsOf = (pid: number): number => {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond
  } catch {
    return 0
  }
}
