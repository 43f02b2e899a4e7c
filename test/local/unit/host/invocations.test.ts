import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { InvocationResult } from '../../../../local/host/invocation.ts'
import { createInvocations, type InvocationOptions } from '../../../../local/host/worker/invocations.ts'
import type { WorkerProcess } from '../../../../local/host/worker/worker-process.ts'

/** Processes here are lists of what they were sent; time is vitest's. */
const pretendedProcess = () => {
  const sent: string[] = []
  const kill = vi.fn()
  const worker: WorkerProcess = {
    pid: 1,
    loaded: Promise.resolve([]),
    exited: new Promise(() => {}),
    send: (message) => sent.push(message.kind === 'invoke' ? message.request.invocationId : message.kind),
    kill,
  }
  return { worker, sent, kill }
}

const requestOf = (invocationId: string) => ({ invocationId, functionName: 'work', inputs: [], triggerMetadata: {} })
const succeeded: InvocationResult = { kind: 'succeeded', returnValue: null, outputs: {} }

const create = (options: Partial<InvocationOptions> = {}) =>
  createInvocations({ functionTimeoutSeconds: null, fault: null, onLog: () => {}, ...options })

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

describe('invocations', () => {
  it('wait for a process that has loaded the app', async () => {
    const invocations = create()
    const result = invocations.invoke(requestOf('a'))
    const { worker, sent } = pretendedProcess()
    invocations.servedBy(worker)
    expect(sent).toEqual(['a'])
    invocations.finished('a', succeeded)
    expect(await result).toEqual(succeeded)
  })

  it('end with their process, and their late answers count for nothing', async () => {
    const invocations = create()
    invocations.servedBy(pretendedProcess().worker)
    const results = Promise.all(['a', 'b'].map((id) => invocations.invoke(requestOf(id))))
    expect(invocations.lost(137)).toBe(2)
    invocations.finished('a', succeeded)
    expect(await results).toEqual(Array(2).fill({ kind: 'workerDied', exitCode: 137 }))
  })

  it('that time out end their process, and what comes then waits for the next', async () => {
    const invocations = create({ functionTimeoutSeconds: 5 })
    const first = pretendedProcess()
    invocations.servedBy(first.worker)
    const timedOut = invocations.invoke(requestOf('a'))
    await vi.advanceTimersByTimeAsync(4999)
    expect(first.kill).not.toHaveBeenCalled()
    const sibling = invocations.invoke(requestOf('b'))
    await vi.advanceTimersByTimeAsync(1)
    expect(await timedOut).toEqual({ kind: 'timedOut', seconds: 5 })
    expect(first.kill).toHaveBeenCalledOnce()

    void invocations.invoke(requestOf('c'))
    invocations.lost(137)
    expect(await sibling).toEqual({ kind: 'workerDied', exitCode: 137 })
    const second = pretendedProcess()
    invocations.servedBy(second.worker)
    expect([first.sent, second.sent]).toEqual([['a', 'b'], ['c']])
  })

  it('do not time out once they have ended', async () => {
    const invocations = create({ functionTimeoutSeconds: 5 })
    const { worker, kill } = pretendedProcess()
    invocations.servedBy(worker)
    void invocations.invoke(requestOf('a'))
    invocations.finished('a', succeeded)
    await vi.advanceTimersByTimeAsync(10_000)
    expect(kill).not.toHaveBeenCalled()
  })

  it('that were never begun get no verdict when the host ends', async () => {
    const invocations = create()
    const verdicts: InvocationResult[] = []
    void invocations.invoke(requestOf('a')).then((result) => verdicts.push(result))
    invocations.close()
    void invocations.invoke(requestOf('b')).then((result) => verdicts.push(result))
    const { worker, sent } = pretendedProcess()
    invocations.servedBy(worker)
    invocations.lost(0)
    await vi.advanceTimersByTimeAsync(1)
    expect([sent, verdicts]).toEqual([[], []])
  })
})
