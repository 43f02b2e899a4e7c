/** Who waits for each signal. A signal looks through all of its listeners for each that comes or goes, and a reader has a hundred requests
 * under way with one signal: so each signal gets one listener, which tells all the others. */
const waiting = new WeakMap<AbortSignal, Set<() => void>>()

/** Calls `abort` when the signal is aborted, unless it is forgotten before.
 * @param signal not aborted
 * @returns forgets it */
export const onAbort = (signal: AbortSignal, abort: () => void): (() => void) => {
  const known = waiting.get(signal)
  const listeners = known ?? new Set()
  if (known === undefined) {
    waiting.set(signal, listeners)
    signal.addEventListener('abort', () => tell(listeners), { once: true })
  }
  const listener = () => abort()
  listeners.add(listener)
  return () => listeners.delete(listener)
}

const tell = (listeners: Set<() => void>): void => {
  for (const listener of listeners) listener()
  listeners.clear()
}
