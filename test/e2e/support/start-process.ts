import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const projectFolder = fileURLToPath(new URL('../../../', import.meta.url))

/** A running `npm start`, as a user has it. */
export interface StartProcess extends AsyncDisposable {
  readonly process: ChildProcess
  /** All that was printed until now, standard error included. */
  readonly output: () => string
  /** Resolves with the match when what was printed matches.
   * @throws when the process ends before, or after `secondsMax` */
  until(pattern: RegExp, secondsMax?: number): Promise<RegExpExecArray>
  /** Exit code, or the signal that ended it. */
  readonly ended: Promise<number | string>
}

/** Runs the start command with options of its own. `npm`: through npm, build included. `node`: the built tree as it is.
 * @param more environment over that of the tests */
export const runStart = (
  through: 'npm' | 'node',
  args: readonly string[],
  more: Readonly<Record<string, string>> = {},
): StartProcess => {
  const command =
    through === 'npm' ? ['npm', 'start', '--silent', '--', ...args] : [process.execPath, 'local/start.ts', ...args]
  // A caller's folder of npm's own would become the place that relative paths are meant from.
  const { INIT_CWD: _, ...env } = process.env
  const child = spawn(command[0]!, command.slice(1), {
    cwd: projectFolder,
    env: { ...env, ...more },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  let output = ''
  const listeners = new Set<() => void>()
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text
      for (const listener of listeners) listener()
    })
  }
  const ended = new Promise<number | string>((resolve) => {
    child.once('close', (code, signal) => {
      resolve(signal ?? code ?? -1)
      for (const listener of listeners) listener()
    })
  })
  let isOver = false
  void ended.then(() => {
    isOver = true
  })
  const until = (pattern: RegExp, secondsMax = 240): Promise<RegExpExecArray> =>
    new Promise((resolve, reject) => {
      const finish = (act: () => void): void => {
        clearTimeout(timer)
        listeners.delete(look)
        act()
      }
      const look = (): void => {
        const match = pattern.exec(output)
        if (match !== null) finish(() => resolve(match))
        else if (isOver) finish(() => reject(new Error(`It ended before it printed ${pattern}:\n${output}`)))
      }
      const timer = setTimeout(
        () => finish(() => reject(new Error(`It did not print ${pattern} in ${secondsMax} s:\n${output}`))),
        secondsMax * 1000,
      )
      listeners.add(look)
      void ended.then(look)
      look()
    })
  return {
    process: child,
    output: () => output,
    until,
    ended,
    [Symbol.asyncDispose]: async () => {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM')
      await ended
    },
  }
}

/** True while a process of that id runs. */
export const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
