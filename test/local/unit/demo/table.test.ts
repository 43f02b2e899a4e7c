import { describe, expect, it } from 'vitest'
import { formatTable } from '../../../../local/demo/table.ts'
import { formatBytes, formatDuration } from '../../../../local/demo/units.ts'

describe('a table', () => {
  it('has columns as wide as their widest cell, and no trailing blanks', () => {
    const lines = formatTable(
      [
        { title: 'Disk', align: 'left' },
        { title: 'Size', align: 'right' },
        { title: 'Note', align: 'left' },
      ],
      [
        ['os', '256 MiB', ''],
        ['lun-10', '4.0 KiB', 'full'],
      ],
    )
    expect(lines).toEqual([
      'Disk       Size  Note',
      '------  -------  ----',
      'os      256 MiB',
      'lun-10  4.0 KiB  full',
    ])
  })
})

describe('bytes for people', () => {
  it.each([
    [0, '0'],
    [512, '512 B'],
    [4096, '4.0 KiB'],
    [1024 * 1024 - 1, '1024.0 KiB'],
    [64 * 1024 * 1024, '64 MiB'],
    [58_010_000, '55.3 MiB'],
    [32 * 1024 ** 3, '32 GiB'],
  ])('%i is %s', (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text)
  })
})

describe('durations for people', () => {
  it('are seconds with a tenth, and minutes from the first minute on', () => {
    expect([formatDuration(449), formatDuration(59_940), formatDuration(185_000)]).toEqual([
      '0.4 s',
      '59.9 s',
      '3 min 5 s',
    ])
  })
})
