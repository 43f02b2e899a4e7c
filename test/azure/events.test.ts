import { describe, expect, it } from 'vitest'
import { type BusinessEvent, eventsTo } from '../../shared/events.ts'

describe('an event', () => {
  it('carries its facts beside one sentence, under a stable name', () => {
    const written: BusinessEvent[] = []
    const events = eventsTo((event) => written.push(event))
    const job = { jobId: 'backup-vm-1', vmKey: 'vm', attempt: 2 }
    events.snapshotTaken({ ...job, source: 'restorePoints', asked: 'application', reached: 'crash' })
    events.jobFailed({ ...job, outcome: 'failed', reason: 'vm-agent-not-ready', hint: 'Check the agent.' })
    expect(written).toEqual([
      {
        name: 'snapshotTaken',
        level: 'information',
        message: 'The disks of vm are snapshotted, crash-consistent where application was asked for.',
        facts: { ...job, source: 'restorePoints', asked: 'application', reached: 'crash' },
      },
      {
        name: 'jobFailed',
        level: 'error',
        message: 'Job backup-vm-1 has ended: failed (vm-agent-not-ready). Check the agent.',
        facts: { ...job, outcome: 'failed', reason: 'vm-agent-not-ready', hint: 'Check the agent.' },
      },
    ])
  })
})
