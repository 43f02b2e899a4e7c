import { parseArgs } from 'node:util'
import { type Operation, operations } from './contestant.ts'

const others = ['upload', 'host', 'memory', 'structure', 'orchestration'] as const
export type Part = Operation | (typeof others)[number]

/** What a run of the bench is to measure. */
export interface Choices {
  readonly runs: number
  readonly parts: ReadonlySet<Part>
  /** Small images, for a look at whether all works; the figures say little. */
  readonly isQuick: boolean
  readonly vms: number
  /** Without restic and borg: to see what a change of our own does. */
  readonly isAlone: boolean
  /** Puts the tables into docs/performance.md. */
  readonly isRecorded: boolean
}

export const usage = `npm run bench -- [--runs N] [--only part,part,...] [--quick] [--alone] [--vms N] [--record]
parts: ${[...operations, ...others].join(', ')}`

/** @throws TypeError with what is wrong */
export const parseChoices = (args: readonly string[]): Choices => {
  const { values } = parseArgs({
    args: [...args],
    options: {
      runs: { type: 'string' },
      only: { type: 'string' },
      quick: { type: 'boolean', default: false },
      alone: { type: 'boolean', default: false },
      vms: { type: 'string' },
      record: { type: 'boolean', default: false },
    },
  })
  const all: readonly Part[] = [...operations, ...others]
  const named = values.only?.split(',') ?? all
  const unknown = named.filter((name) => !all.includes(name as Part))
  if (unknown.length > 0) throw new TypeError(`There is no part ${unknown.join(', ')}.`)
  return {
    runs: countOf(values.runs, values.quick ? 1 : 5, 'runs'),
    parts: new Set(named as Part[]),
    isQuick: values.quick,
    isAlone: values.alone,
    isRecorded: values.record,
    vms: countOf(values.vms, values.quick ? 100 : 1000, 'vms'),
  }
}

const countOf = (text: string | undefined, fallback: number, name: string): number => {
  const count = text === undefined ? fallback : Number(text)
  if (!Number.isSafeInteger(count) || count < 1) throw new TypeError(`--${name} wants a whole number from 1 on.`)
  return count
}
