import { describe, expect, it } from 'vitest'
import { createProgressView, type DiskProgress } from '../../../../local/demo/progress.ts'

const disk = (phase: string, doneBytes: number, name = 'os'): DiskProgress => ({
  vm: 'web-01',
  disk: name,
  phase,
  doneBytes,
  totalBytes: 8 * 1024 * 1024,
})

const recorder = (isTTY: boolean) => {
  const written: string[] = []
  return { written, screen: { isTTY, columns: 80, write: (text: string) => written.push(text) } }
}

describe('progress on a terminal', () => {
  it('is one block that is drawn again in place', () => {
    const { written, screen } = recorder(true)
    const view = createProgressView(screen)
    view.show([disk('transferring', 0), disk('waiting', 0, 'lun-0')])
    view.show([disk('transferring', 4 * 1024 * 1024), disk('waiting', 0, 'lun-0')])
    expect(written[0]).not.toContain('\u001b[2A')
    expect(written[1]?.startsWith('\u001b[2A')).toBe(true)
    expect(written[1]).toContain('##############..............')
  })

  it('is not drawn again when nothing has changed', () => {
    const { written, screen } = recorder(true)
    const view = createProgressView(screen)
    view.show([disk('transferring', 0)])
    view.show([disk('transferring', 0)])
    expect(written).toHaveLength(1)
  })

  it('never writes a line wider than the screen, which would break the redrawing', () => {
    const { written, screen } = recorder(true)
    createProgressView({ ...screen, columns: 40 }).show([
      disk('transferring', 0, 'a-disk-with-a-very-long-name-indeed'),
    ])
    const text = written.join('').replaceAll('\u001b[2K', '').replaceAll('\u001b[0J', '').replaceAll('\r', '')
    expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThan(40)
  })

  it('goes below what it left on the screen once it has finished', () => {
    const { written, screen } = recorder(true)
    const view = createProgressView(screen)
    view.show([disk('done', 8)])
    view.finish()
    view.show([disk('transferring', 0)])
    expect(written[1]).not.toContain('\u001b[1A')
  })
})

describe('progress in a log', () => {
  it('is a line at each change of phase and one every ten seconds, without control characters', () => {
    const { written, screen } = recorder(false)
    let now = 0
    const view = createProgressView(screen, () => now)
    view.show([disk('transferring', 0)])
    now = 5_000
    view.show([disk('transferring', 1024 * 1024)])
    now = 12_000
    view.show([disk('transferring', 2 * 1024 * 1024)])
    now = 12_500
    view.show([disk('done', 8 * 1024 * 1024)])
    expect(written).toHaveLength(3)
    expect(written.join('')).not.toContain('\u001b')
    expect(written[1]).toContain('2.0 MiB of 8.0 MiB')
  })
})
