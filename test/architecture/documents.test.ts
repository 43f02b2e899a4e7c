import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { commandsInWordsOf, commandsOf, projectFolder, textOf } from '../support/documents.ts'

const documents = execFileSync('git', ['ls-files', '-co', '--exclude-standard', '*.md'], {
  cwd: projectFolder,
  encoding: 'utf8',
})
  .split('\n')
  .filter((name) => name !== '')

/** Where each command of the documents is run. curl and cmp lines are run as they stand by test/e2e/documents.test.ts. */
const runBy: Readonly<Record<string, string>> = {
  'npm ci': '.ci/run',
  'npm test': '.ci/run',
  'npm run check': '.ci/run, as the first part of npm test',
  'npm run soak': 'by hand, for hours: the tests of npm test with larger counts, and test/soak',
  'npm run bench': 'test/e2e/bench.test.ts, in small; in full by hand, on a quiet machine',
  'npm run bench -- --runs 1': 'test/e2e/bench.test.ts, with other switches',
  'npm run bench -- --only full,dayA': 'by hand, on a machine with restic and borg',
  'npm run bench -- --alone': 'test/e2e/bench.test.ts, with other switches',
  'npm run bench -- --quick': 'test/e2e/bench.test.ts, with other switches',
  'npm run bench -- --record': 'by hand, on a quiet machine: it writes docs/performance.md',
  'npm run doctor': 'test/contract/doctor.test.ts',
  'npm start': 'test/e2e/start.test.ts',
  'npm start -- --once': 'test/e2e/start.test.ts',
  'npm start -- --help': 'test/e2e/start.test.ts',
  'npm start -- --host func': 'test/e2e/start.test.ts, on a stand-in; the real one only where Core Tools are',
  'npm start -- --fleet my-fleet.json': 'test/e2e/documents.test.ts',
  'npm start -- --data ./somewhere': 'test/e2e/start.test.ts',
}

describe('the documents', () => {
  it('show no command that nothing runs', () => {
    const shown = documents.flatMap((document) => [...commandsOf(document), ...commandsInWordsOf(document)])
    expect(shown.length).toBeGreaterThan(10)
    const unknown = shown.filter((command) => !/^(curl|cmp) /.test(command) && !(command in runBy))
    expect(unknown).toEqual([])
    expect(Object.keys(runBy).filter((command) => !shown.includes(command))).toEqual([])
  })

  it('link to files that exist', () => {
    const broken = documents.flatMap((document) =>
      [...textOf(document).matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)/g)]
        .map(([, target]) => join(dirname(document), target ?? ''))
        .filter((target) => !existsSync(join(projectFolder, target)))
        .map((target) => `${document} → ${target}`),
    )
    expect(broken).toEqual([])
  })

  it('name files that exist', () => {
    const named = documents.flatMap((document) =>
      [
        ...textOf(document).matchAll(
          /`((?:functions|shared|local|test|docs|bench|tools|reader)\/[\w./-]+\.(?:ts|md|json|mjs|py))`/g,
        ),
      ].map(([, path]) => path ?? ''),
    )
    expect(named.length).toBeGreaterThan(10)
    expect(named.filter((path) => !existsSync(join(projectFolder, path)))).toEqual([])
  })

  it('give a reason for each package, and for none that is not there', () => {
    const { dependencies, devDependencies } = JSON.parse(textOf('package.json'))
    const [production = '', workshop = ''] = textOf('docs/dependencies.md').split('## In the workshop')
    const packagesIn = (text: string): readonly string[] =>
      [...text.matchAll(/^\| (`[^|]+`) \|/gm)].flatMap(([, cell]) =>
        [...(cell ?? '').matchAll(/`([^`]+)`/g)].map(([, name]) => name ?? ''),
      )
    expect([...packagesIn(production)].sort()).toEqual(Object.keys(dependencies).sort())
    const [packages = ''] = workshop.split('## On the machine')
    expect([...packagesIn(packages)].sort()).toEqual(Object.keys(devDependencies).sort())
  })

  it('explain the way of a changed page in ten steps, each naming its file', () => {
    const steps = [...textOf('docs/architecture.md').matchAll(/^\d+\. .*$/gm)].map(([step]) => step)
    expect(steps).toHaveLength(10)
    for (const step of steps) expect(step).toMatch(/`(functions|shared)\/[\w./-]+\.ts`/)
  })

  it('keep the decisions numbered without a gap', () => {
    const numbers = readdirSync(join(projectFolder, 'docs/adr')).map((name) => Number(name.slice(0, 4)))
    expect(numbers).toEqual(numbers.map((_, index) => index + 1))
  })
})
