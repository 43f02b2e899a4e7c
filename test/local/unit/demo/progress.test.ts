import { describe, expect, it } from 'vitest'
import { createProgressView, type DiskProgress } from '../../../../local/demo/progress.ts'

const disk = (phase: string, doneBytes: number, name = 'os'): DiskProgress => ({
  vm: 'web-01',
  disk: name,
  phase,
  doneBytes,
  totalBytes: 8 * 1024 * 1024,
  isEnded: phase === 'done',
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
    expect(written[1]).toContain('###########...........')
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
  const record = () => {
    const { written, screen } = recorder(false)
    const clock = { nowMs: 0 }
    return { written, clock, view: createProgressView(screen, () => clock.nowMs) }
  }

  it('is a line when a phase has lasted, one every ten seconds, and no control characters', () => {
    const { written, clock, view } = record()
    clock.nowMs = 2_000
    view.show([disk('transferring', 0)])
    clock.nowMs = 7_000
    view.show([disk('transferring', 1024 * 1024)])
    clock.nowMs = 12_000
    view.show([disk('transferring', 2 * 1024 * 1024)])
    expect(written).toHaveLength(2)
    expect(written.join('')).not.toContain('\u001b')
    expect(written[1]).toContain('2.0 MiB of 8.0 MiB')
  })

  it('leaves out phases that pass by, and shows each end once', () => {
    const { written, clock, view } = record()
    for (const phase of ['plan', 'transferring', 'sealing', 'done', 'done']) {
      clock.nowMs += 300
      view.show([disk(phase, 8 * 1024 * 1024)])
    }
    expect(written).toHaveLength(1)
    expect(written[0]).toContain('done')
  })
})
