import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'

const project = join(import.meta.dirname, '../..')
const textOf = (path: string): string => readFileSync(join(project, path), 'utf8')

const told = /(?:\b(?:failed|refused)\(|\breason:)\s*'([a-z][a-z-]+)'/g
const refused = /\bcode: '([a-z][a-z-]+)'/g

it('every code that an answer may carry stands in the list of the runbook', () => {
  const [, section = ''] = /\n## Codes\n(.*?)\n## /s.exec(textOf('docs/operations.md')) ?? []
  const listed = new Set([...section.matchAll(/`([A-Za-z-]+)`/g)].map(([, code]) => code))
  const files = globSync('{shared,functions}/**/*.ts', { cwd: project })
  const codes = files.flatMap((path) => [
    ...[...textOf(path).matchAll(told)].map(([, code]) => code),
    ...(path.startsWith('functions') ? [...textOf(path).matchAll(refused)].map(([, code]) => code) : []),
  ])
  expect(codes.length).toBeGreaterThan(80)
  expect([...new Set(codes)].filter((code) => !listed.has(code)).sort()).toEqual([])
  const faults = [
    ...textOf('shared/format/vault-error.ts').matchAll(refused),
    ...textOf('shared/format/vault-error.ts').matchAll(/readonly code: '([a-z-]+)'/g),
  ]
  const unlisted = faults
    .map(([, code = '']) => code)
    .filter((code) => !listed.has(code) && !listed.has(`vault-${code}`))
  expect(unlisted).toEqual([])
})
