import { describe, expect, it } from 'vitest'
import { interruption } from '../../../../local/demo/interruption.ts'

/** A process whose signals come when the test says so. */
const fakeProcess = () => {
  const listeners = new Map<string, () => void>()
  const exits: number[] = []
  let at = 5000
  return {
    exits,
    on: (signal: string, listener: () => void) => listeners.set(signal, listener),
    exit: (code: number) => exits.push(code),
    now: () => at,
    signal: (name: 'SIGINT' | 'SIGTERM', later: number) => {
      at += later
      listeners.get(name)?.()
    },
  }
}

describe('an interruption', () => {
  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('by %s gives %i', async (name, code) => {
    const target = fakeProcess()
    const interrupted = interruption(target)
    target.signal(name, 0)
    expect(await interrupted).toBe(code)
    expect(target.exits).toEqual([])
  })

  it('is one when its signal comes again within a second', () => {
    const target = fakeProcess()
    void interruption(target)
    target.signal('SIGINT', 0)
    target.signal('SIGINT', 3)
    target.signal('SIGTERM', 996)
    expect(target.exits).toEqual([])
  })

  it('ends the process at once when another comes after that', () => {
    const target = fakeProcess()
    void interruption(target)
    target.signal('SIGINT', 0)
    target.signal('SIGTERM', 1000)
    expect(target.exits).toEqual([130])
  })
})
