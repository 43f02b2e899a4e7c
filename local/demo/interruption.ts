/** The process that is interrupted, and a clock in milliseconds; tests bring their own. */
export interface Interruptible {
  on(signal: 'SIGINT' | 'SIGTERM', listener: () => void): unknown
  exit(code: number): unknown
  now(): number
}

/** One Ctrl-C comes more than once: the terminal signals the whole group, and npm, which is in it, hands its signal on. */
const sameMilliseconds = 1000

const thisProcess: Interruptible = {
  on: (signal, listener) => process.on(signal, listener),
  exit: (code) => process.exit(code),
  now: () => performance.now(),
}

/** Resolves with the exit code that a shell expects (128 and the signal's number) at the first Ctrl-C or SIGTERM. Signals in the second after
 * it are the same interruption; one that comes later ends the process at once. To be called once, before anything is started. */
export const interruption = (target: Interruptible = thisProcess): Promise<number> =>
  new Promise((resolve) => {
    let first: { readonly code: number; readonly at: number } | null = null
    const onSignal = (code: number) => (): void => {
      const at = target.now()
      if (first === null) {
        first = { code, at }
        resolve(code)
      } else if (at - first.at >= sameMilliseconds) target.exit(first.code)
    }
    target.on('SIGINT', onSignal(130))
    target.on('SIGTERM', onSignal(143))
  })
