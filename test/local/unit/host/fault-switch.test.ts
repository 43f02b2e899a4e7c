import { mkdtemp, readdir, rm } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { faultTrigger, parseFaultSwitch } from '../../../../local/host/worker/fault-switch.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'fault-'))
})
afterEach(() => rm(folder, { recursive: true }))

describe('a fault switch', () => {
  it.each([
    ['kill-worker:orchestrator=protectVm:trigger=3', 'worker', 'protectvm', 3, 0],
    ['kill-worker:activity=transferSlice:call=2', 'worker', 'transferslice', 2, 50],
    ['kill-host:activity=transferSlice:call=1:after=700', 'host', 'transferslice', 1, 700],
  ])('%s names victim, function, occurrence and delay', (text, victim, functionName, occurrence, afterMilliseconds) => {
    expect(parseFaultSwitch(text, folder)).toMatchObject({ victim, functionName, occurrence, afterMilliseconds })
  })

  it('may be absent, and is refused where it is misspelt', () => {
    expect(parseFaultSwitch(undefined, folder)).toBeNull()
    expect(() => parseFaultSwitch('kill-worker:activity=a', folder)).toThrow(/not a known fault/)
  })

  it('strikes at the n-th invocation, once per data folder', async () => {
    const fault = parseFaultSwitch('kill-worker:activity=a:call=2', folder)
    const first = faultTrigger(fault)
    expect(['A', 'b', 'A', 'A'].map(first)).toEqual([false, false, true, false])
    const afterRestart = faultTrigger(fault)
    expect(['a', 'a', 'a'].map(afterRestart)).toEqual([false, false, false])
    expect(await readdir(folder)).toHaveLength(1)
  })
})
