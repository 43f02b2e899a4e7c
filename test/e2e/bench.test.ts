import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'

const run = promisify(execFile)

/** What the bench measures is for people to read; here it only has to work from end to end, on small images and without peers. */
describe('npm run bench', () => {
  it('names its parts', async () => {
    const { stdout } = await run('npm', ['run', '--silent', 'bench', '--', '--help'])
    for (const part of ['full', 'dayA', 'restore', 'structure']) expect(stdout).toContain(part)
  })

  it('measures and prints a table of goals', async () => {
    const { stdout } = await run('npm', [
      'run',
      '--silent',
      'bench',
      '--',
      '--quick',
      '--alone',
      '--runs',
      '1',
      '--only',
      'structure',
    ])
    expect(stdout).toMatch(/^\| Goal \| Wanted \| Measured \|/m)
    expect(stdout).toMatch(/^\| index of an increment, 32 TiB over 32 GiB \| <= 1\.05 \| [\d.]+ .* \| met \|$/m)
    expect(stdout).toMatch(/^\| stored per byte changed, any data, before compression \| <= 1\.01 \| .* \| met \|$/m)
  }, 300_000)
})
