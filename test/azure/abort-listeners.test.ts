import { getEventListeners } from 'node:events'
import { describe, expect, it } from 'vitest'
import { onAbort } from '../../shared/azure/http/abort-listeners.ts'

describe('listeners of one signal', () => {
  it('are told once, those that were forgotten are not', () => {
    const end = new AbortController()
    const told: string[] = []
    const forget = ['one', 'two', 'three'].map((name) => onAbort(end.signal, () => told.push(name)))
    forget[1]?.()
    end.abort()
    end.abort()
    expect(told).toEqual(['one', 'three'])
  })

  it('leave out one that another of them forgets meanwhile', () => {
    const end = new AbortController()
    const told: string[] = []
    onAbort(end.signal, () => {
      told.push('one')
      forget()
    })
    const forget = onAbort(end.signal, () => told.push('two'))
    end.abort()
    expect(told).toEqual(['one'])
  })

  it('cost the signal one listener, however many they are', () => {
    const end = new AbortController()
    for (let count = 0; count < 100; count += 1) onAbort(end.signal, () => undefined)
    expect(getEventListeners(end.signal, 'abort')).toHaveLength(1)
  })
})
