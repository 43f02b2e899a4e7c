import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { deviationsOf } from './support/deviations.ts'
import { type LockstepResult, playRecording } from './support/lockstep.ts'
import { readRecording, recordingNames, wholeSource } from './support/recording.ts'

/**
 * Method: each recording of the real engine is played step by step (support/lockstep.ts): the real durable-functions library
 * runs the recorded app in this process, activities answer what was recorded, client calls go over HTTP, and turns are
 * taken with the recorded messages in the recorded order. Compared are whole triggers, answers, activity inputs and HTTP
 * answers, key order included; masked are times, generated ids, ports and .NET stack traces.
 */
const folder = mkdtempSync(path.join(tmpdir(), 'durable-golden-'))
const only = process.env.GOLDEN?.split(',')
const source = wholeSource()
const rows: string[] = []

afterAll(() => {
  rmSync(folder, { recursive: true, force: true })
  console.log(
    ['scenario | features | turns, history events, activities, HTTP answers compared | result', ...rows].join('\n'),
  )
})

describe('the Durable engine against recordings of the real one', () => {
  for (const name of recordingNames().filter((each) => only?.includes(each) ?? true)) {
    const recording = readRecording(name)
    it(`${name}: ${recording.title}`, async () => {
      const result = await playRecording(recording, path.join(folder, `${name}.db`), deviationsOf(name), source)
      rows.push(row(name, result))
      expect(result.differences.join('\n')).toBe('')
    })
  }
})

function row(name: string, result: LockstepResult): string {
  const { turns, historyEvents, activities, httpAnswers, refused, differences, skipped } = result
  const refusals = refused.size > 0 ? `; refused as meant: ${[...refused.keys()].join(', ')}` : ''
  const left = skipped > 0 ? `; ${skipped} steps left out` : ''
  const outcome = differences.length === 0 ? `same${refusals}${left}` : `${differences.length} differences`
  return `${name} | ${deviationsOf(name).features} | ${turns}, ${historyEvents}, ${activities}, ${httpAnswers} | ${outcome}`
}
