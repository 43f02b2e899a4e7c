/** A task as the host of the real engine has it: it settles once, and then runs what waits for it, at once and in order. */
export interface HostTask {
  settled: boolean
  failed: boolean
  readonly waiters: (() => void)[]
}

export const newTask = (): HostTask => ({ settled: false, failed: false, waiters: [] })

export const settledTask = (): HostTask => ({ settled: true, failed: false, waiters: [] })

/** Settles a task; a second time does nothing. */
export function settle(task: HostTask, failed: boolean): void {
  if (task.settled) return
  task.settled = true
  task.failed = failed
  for (const waiter of task.waiters.splice(0)) waiter()
}

/** Runs `next` when the task has settled; now, if it has already. */
export function whenSettled(task: HostTask, next: () => void): void {
  if (task.settled) next()
  else task.waiters.push(next)
}
