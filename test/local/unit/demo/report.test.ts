import { describe, expect, it } from 'vitest'
import { deltaVerdict, runTable, type VmResult } from '../../../../local/demo/report.ts'
import type { ToldDisk } from '../../../../shared/jobs/told-outcome.ts'

const mebibyte = 1024 * 1024

const disk = (changes: Partial<ToldDisk> = {}): ToldDisk => ({
  disk: 'os',
  kind: 'transferred',
  transfer: 'incremental',
  fullReason: null,
  comparedWith: null,
  sizeBytes: 64 * mebibyte,
  allocatedBytes: null,
  changedBytes: 4 * mebibyte,
  readBytes: 5 * mebibyte,
  joinedBytes: mebibyte,
  storedPlainBytes: 4 * mebibyte,
  storedBytes: 2 * mebibyte,
  milliseconds: 1500,
  code: null,
  reason: null,
  hint: null,
  ...changes,
})

const result = (report: ToldDisk, changedBytes: number | null): VmResult => ({
  vm: 'web-01',
  vmKey: 'web-01-0123456789ab',
  statusUrl: 'http://127.0.0.1:7071/api/jobs/backup-1',
  measured: new Map([['os', { allocatedBytes: 24 * mebibyte, changedBytes }]]),
  outcome: {
    kind: 'completed',
    recoveryPointId: '20260101t000000z-0123456789',
    summary: { consistency: 'fileSystem', consistentAcrossDisks: true, disks: [report] },
  },
})

describe('the table of a run', () => {
  it('has a line for each disk and one for each VM', () => {
    const text = runTable([result(disk(), 4 * mebibyte)]).join('\n')
    expect(text).toMatch(
      /web-01 +os +64 MiB +24 MiB +4\.0 MiB +4\.0 MiB +5\.0 MiB +1\.0 MiB +4\.0 MiB +2\.0 MiB +1\.5 s +incremental/,
    )
    expect(text).toMatch(/web-01 +completed +fileSystem +20260101t000000z-0123456789 +http:/)
  })

  it('explains the columns that do not explain themselves, right under the disks', () => {
    const lines = runTable([result(disk(), null)])
    expect(lines[3]).toMatch(/^Named by diff: .* Joined: /)
  })

  it('says why a transfer was full, and nothing about a change that nobody measured', () => {
    const text = runTable([result(disk({ transfer: 'full', fullReason: 'first-backup' }), null)]).join('\n')
    expect(text).toMatch(/24 MiB +- +4\.0 MiB .* full \(first-backup\)/)
  })

  it('says where a full transfer stored only what differs', () => {
    const full = disk({ transfer: 'full', fullReason: 'base-gone', comparedWith: 'vault' })
    expect(runTable([result(full, null)]).join('\n')).toContain('full (base-gone, compared)')
  })

  it('gives reason and hint of a VM that failed', () => {
    const outcome = { kind: 'failed', code: 'disk-failed', reason: 'No.', hint: 'Look.', disks: [disk()] } as const
    const text = runTable([{ ...result(disk(), 0), outcome }]).join('\n')
    expect(text).toMatch(/web-01 +failed/)
    expect(text).toContain('disk-failed: No.\n  What to do: Look.')
  })

  it('gives the reason of each disk where more than one failed', () => {
    const disks = ['os', 'lun-0', 'lun-1'].map((label) =>
      disk(label === 'lun-1' ? { disk: label } : { disk: label, kind: 'failed', code: 'c', reason: `Of ${label}.` }),
    )
    const outcome = { kind: 'failed', code: 'c', reason: 'No.', hint: 'Look.', disks } as const
    const lines = runTable([{ ...result(disk(), 0), outcome }])
    expect(lines.slice(-4)).toEqual([
      'web-01 ended failed. c: No.',
      '  os: c: Of os.',
      '  lun-0: c: Of lun-0.',
      '  What to do: Look.',
    ])
  })

  it('has no table of disks where a run did not come to any', () => {
    const outcome = { kind: 'failed', code: 'vault-key-locked', reason: 'No.', hint: 'Look.', disks: [] } as const
    const lines = runTable([{ ...result(disk(), 0), outcome }])
    expect(lines[0]).toMatch(/^VM +Outcome/)
    expect(lines.join('\n')).not.toContain('Named by diff')
  })
})

describe('the verdict on an incremental run', () => {
  it.each([
    [4 * mebibyte, 4 * mebibyte, true],
    [40 * mebibyte, 43 * mebibyte, true],
    [40 * mebibyte, 43 * mebibyte + 1, false],
    [0, mebibyte, true],
    [0, mebibyte + 1, false],
  ])('allows 1.05 x the changed bytes and 1 MiB: %i changed, %i stored', (changedBytes, storedPlainBytes, isGood) => {
    expect(deltaVerdict([result(disk({ storedPlainBytes }), changedBytes)])?.isGood).toBe(isGood)
  })

  it('is not given where nothing was measured', () => {
    expect(deltaVerdict([result(disk(), null)])).toBeNull()
  })
})
