import { describe, expect, it } from 'vitest'
import type { Fleet } from '../../../../local/compute/fleet.ts'
import { vmIdOf } from '../../../../local/demo/fleet-disks.ts'
import { curlHints } from '../../../../local/demo/hints.ts'
import { vmKeyOf } from '../../../../shared/domain/ids.ts'

describe('the requests to try', () => {
  const fleet = {
    subscription: '11111111-2222-4333-8444-555555555555',
    virtualMachines: [
      { name: 'Web_01', resourceGroup: 'shop' },
      { name: 'desk-01', resourceGroup: 'shop' },
    ],
  } as unknown as Fleet
  const lines = curlHints('http://127.0.0.1:40001', 'https://127.0.0.1:40002', fleet)

  it('hold the vmKey of the first VM, so that they run as they stand', () => {
    const vmKey = vmKeyOf(vmIdOf(fleet, fleet.virtualMachines[0]!))
    expect(vmKey).toMatch(/^web-01-[0-9a-f]{12}$/)
    expect(lines.join('\n')).toContain(`/api/vms/${vmKey}/recovery-points`)
    expect(lines.join('\n')).toContain(`"vmKey":"${vmKey}"`)
    expect(lines.join('\n').match(/<\w+>/g)).toEqual(['<jobId>'])
  })

  it('name what looks after the vault: a pass, the damage, the keys', () => {
    for (const path of ['-X POST http://127.0.0.1:40001/api/maintenance', '/api/damage', '/api/keys/rotate'])
      expect(lines.join('\n')).toContain(path)
  })

  it('name the ports of this start', () => {
    const origins = lines.flatMap((line) => line.match(/https?:\/\/[^/ ]+/g) ?? [])
    expect(new Set(origins)).toEqual(new Set(['http://127.0.0.1:40001', 'https://127.0.0.1:40002']))
    expect(lines).toContain('  curl -k https://127.0.0.1:40002/_emulator/images')
  })
})
