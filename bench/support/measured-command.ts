import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'

/** What one run of a program took. */
export interface Measured {
  readonly wallSeconds: number
  readonly cpuSeconds: number
  readonly peakRssBytes: number
}

const memoryEveryMs = 20
const ticksPerSecond = 100

/** Runs a program to its end. CPU is that of the program and all it started; nothing else that this process started may end meanwhile.
 * @throws with what it said last when it does not end with 0 */
export const measureCommand = async (
  command: string,
  args: readonly string[],
  options: { readonly cwd: string; readonly env: Readonly<Record<string, string>> },
): Promise<Measured> => {
  const cpuBefore = childrenCpuSeconds()
  const began = performance.now()
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let said = ''
  child.stderr.on('data', (text: Buffer) => {
    said = `${said}${text}`.slice(-4000)
  })
  let peakRssBytes = 0
  const timer = setInterval(() => {
    peakRssBytes = Math.max(peakRssBytes, peakRssOf(child.pid ?? 0))
  }, memoryEveryMs)
  const [code] = await once(child, 'exit')
  const wallSeconds = (performance.now() - began) / 1000
  clearInterval(timer)
  if (code !== 0) throw new Error(`${command} ${args[0]} ended with ${code}: ${said}`)
  return { wallSeconds, cpuSeconds: childrenCpuSeconds() - cpuBefore, peakRssBytes }
}

const peakRssOf = (pid: number): number => {
  try {
    return Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024
  } catch {
    return 0
  }
}

/** Of all children that have ended (proc(5): cutime, cstime). */
const childrenCpuSeconds = (): number => {
  const text = readFileSync('/proc/self/stat', 'utf8')
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[13]) + Number(fields[14])) / ticksPerSecond
}
