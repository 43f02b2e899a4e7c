import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'

const root = resolve(import.meta.dirname, '../..')
const tracked = execFileSync('git', ['ls-files', '-co', '--exclude-standard'], { cwd: root, encoding: 'utf8' })
  .split('\n')
  .filter((name) => name !== '')
const sources = tracked.filter((name) => /^(functions|shared|local|bench|tools)\/.*\.ts$/.test(name))
const read = (name: string) => readFileSync(join(root, name), 'utf8')

describe('the tree', () => {
  it('keeps nothing but registrations in the folders that the Functions host loads', () => {
    for (const folder of ['triggers', 'orchestrators', 'activities'])
      for (const name of readdirSync(join(root, 'functions', folder))) {
        const text = read(`functions/${folder}/${name}`)
        expect(name, folder).toMatch(/^[a-z][a-z0-9-]*\.ts$/)
        expect(text, `${folder}/${name} registers nothing`).toMatch(
          /app\.(http|timer|hook)|df\.app|register[A-Z]\w*\(|app\.(orchestration|activity)\(/,
        )
      }
  })

  it('has no source file over 300 lines', () => {
    const long = sources.filter((name) => read(name).split('\n').length > 301)
    expect(long).toEqual([])
  })

  it('leaves nothing open and no test switched off', () => {
    const open = tracked
      .filter((name) => /\.(ts|mjs|cjs)$/.test(name) && name !== 'test/architecture/tidy.test.ts')
      .filter((name) => /\b(TODO|FIXME|XXX)\b|\b(it|describe|test)\.(skip|only|todo)\(/.test(read(name)))
    expect(open).toEqual([])
  })

  it('draws the properties of tests from one seed', () => {
    const tests = tracked.filter((name) => name.startsWith('test/') && name !== 'test/support/fast-check.ts')
    expect(tests.filter((name) => name.endsWith('.ts') && /^import .*'fast-check'$/m.test(read(name)))).toEqual([])
  })

  it('has kebab-case file names and no default exports', () => {
    expect(sources.filter((name) => !/^[a-z0-9./-]+$/.test(name))).toEqual([])
    expect(sources.filter((name) => /^export default/m.test(read(name)))).toEqual([])
  })

  it('reads the clock in no orchestrator', () => {
    const stories = sources.filter(
      (name) => name.startsWith('functions/orchestrators/') || name === 'functions/durable.ts',
    )
    expect(stories.length).toBeGreaterThan(3)
    const impure = stories.filter((name) =>
      /\bDate\.now\(|\bnew Date\(\)|Math\.random|process\.env|\bawait\b|crypto\./.test(read(name)),
    )
    expect(impure).toEqual([])
  })
})
