import { describe, expect, it } from 'vitest'
import { listVaultDamage } from '../../functions/http/damage.ts'
import type { Endpoint } from '../../functions/http/endpoint.ts'
import { cancelRunningJob, getJob, listJobs } from '../../functions/http/jobs.ts'
import { startBackup } from '../../functions/http/start-backup.ts'
import { startRestore } from '../../functions/http/start-restore.ts'
import { listVmRecoveryPoints, listVms } from '../../functions/http/vms.ts'
import { fakeInstances, fakeWorld, sampleVm, vmId } from '../jobs/world.ts'
import { type Asked, ask } from './call-endpoint.ts'

const long = 'a'.repeat(4000)
const big = JSON.stringify({ vmId, excludedDisks: ['x'.repeat(10 * 1024 * 1024)] })
const { vmKey } = sampleVm()
const otherGroup = '/subscriptions/00000000-0000-0000-0000-000000000002/resourceGroups/other'

/** What is asked, and the status and the field that the problem must name. */
type Row = readonly [string, Endpoint, Asked, number, string]
const bodies = (endpoint: Endpoint, rows: readonly (readonly [string, unknown, number, string])[]): readonly Row[] =>
  rows.map(([what, body, status, field]) => [what, endpoint, { body }, status, field])
const ids = (endpoint: Endpoint, name: string, method: string): readonly Row[] => [
  ['an id with ..', endpoint, { method, params: { [name]: '../../claims' } }, 400, name],
  ['an id with two dots in it', endpoint, { method, params: { [name]: 'a..b' } }, 400, name],
  ['an id of 4,000 characters', endpoint, { method, params: { [name]: long } }, 400, name],
  ['an id in upper case', endpoint, { method, params: { [name]: 'ABC' } }, 400, name],
  ['an empty id', endpoint, { method, params: { [name]: '' } }, 400, name],
  ['an unknown id', endpoint, { method, params: { [name]: 'backup-nothing' } }, 404, name],
]

const rows: readonly Row[] = [
  ...bodies(startBackup, [
    ['nothing', undefined, 400, 'body'],
    ['text that is no JSON', '{"vmId": ', 400, 'body'],
    ['a list', [], 422, 'body'],
    ['null', 'null', 422, 'body'],
    ['a number', '5', 422, 'body'],
    ['an empty object', {}, 422, 'vmId'],
    ['an unknown VM', { vmId: `${vmId}-not` }, 404, 'vmId'],
    ['a number for the VM', { vmId: 5 }, 422, 'vmId'],
    ['something else than a VM id', { vmId: '/subscriptions/x' }, 422, 'vmId'],
    ['a VM id with ..', { vmId: vmId.replace('web-1', 'a..b') }, 422, 'vmId'],
    ['a VM id of 4,000 characters', { vmId: vmId + long }, 422, 'vmId'],
    ['an unknown field', { vmId, dryRun: true }, 422, 'dryRun'],
    ['__proto__ as a field', `{"vmId":"${vmId}","__proto__":{"a":1}}`, 422, '__proto__'],
    ['an unknown field in the selection', { selection: { names: [] } }, 422, 'selection.names'],
    ['VM and policy together', { vmId, policy: 'daily' }, 422, 'vmId'],
    ['an unknown policy', { policy: 'nothing' }, 404, 'policy'],
    ['a policy with ..', { policy: '../jobs' }, 422, 'policy'],
    ['a selection that matches nothing', { selection: { tags: { backup: 'never' } } }, 404, 'selection'],
    ['a wrong consistency', { vmId, consistency: 'best' }, 422, 'consistency'],
    ['a wrong disk', { vmId, excludedDisks: ['os', 'disk1'] }, 422, 'excludedDisks.1'],
    ['a window beyond five days', { vmId, windowHours: 121 }, 422, 'windowHours'],
    ['a compression that is not known', { vmId, compression: 'gzip' }, 422, 'compression'],
    ['text for the encryption', { vmId, encryption: 'yes' }, 422, 'encryption'],
    ['encryption without a wrapping key', { vmId, encryption: true }, 422, 'encryption'],
    ['text for the window', { vmId, windowHours: '24' }, 422, 'windowHours'],
    ['10 MB', big, 413, 'body'],
  ]),
  ...bodies(startRestore, [
    ['text that is no JSON', 'restore!', 400, 'body'],
    ['an empty object', {}, 422, 'vmKey'],
    ['an unknown VM', { vmKey, recoveryPointId: '20260101t000000z-0123456789' }, 404, 'vmKey'],
    ['the latest of a VM without recovery points', { vmKey, recoveryPointId: 'latest' }, 404, 'vmKey'],
    ['an id with ..', { vmKey: '..', recoveryPointId: 'latest' }, 422, 'vmKey'],
    ['an id of 4,000 characters', { vmKey, recoveryPointId: long }, 422, 'recoveryPointId'],
    ['an unknown field', { vmKey, recoveryPointId: 'latest', force: true }, 422, 'force'],
    [
      'a target that is no disk',
      { vmKey, recoveryPointId: 'latest', disks: [{ disk: 'os', targetDiskId: vmId }] },
      422,
      'disks.0.targetDiskId',
    ],
    ['no disks', { vmKey, recoveryPointId: 'latest', disks: [] }, 422, 'disks'],
    [
      'a group of a subscription that is not set up',
      { vmKey, recoveryPointId: 'latest', targetResourceGroupId: otherGroup },
      422,
      'targetResourceGroupId',
    ],
    [
      'a target in a subscription that is not set up',
      {
        vmKey,
        recoveryPointId: 'latest',
        disks: [{ disk: 'os', targetDiskId: `${otherGroup}/providers/Microsoft.Compute/disks/new` }],
      },
      422,
      'disks.0.targetDiskId',
    ],
    [
      'a group that is none',
      { vmKey, recoveryPointId: 'latest', targetResourceGroupId: 'rg' },
      422,
      'targetResourceGroupId',
    ],
    ['a location that begins with a digit', { vmKey, recoveryPointId: 'latest', location: '1west' }, 422, 'location'],
    ['a location with a path', { vmKey, recoveryPointId: 'latest', location: '../west' }, 422, 'location'],
    ['10 MB', big, 413, 'body'],
  ]),
  ...ids(getJob, 'jobId', 'GET'),
  ...ids(cancelRunningJob, 'jobId', 'POST'),
  ...ids(listVmRecoveryPoints, 'vmKey', 'GET'),
  ['a top of 0', listJobs, { method: 'GET', query: { top: '0' } }, 400, 'top'],
  ['a top of text', listJobs, { method: 'GET', query: { top: 'all' } }, 400, 'top'],
  ['a top of 4,000 digits', listJobs, { method: 'GET', query: { top: '1'.repeat(4000) } }, 400, 'top'],
  ...[startBackup, startRestore, cancelRunningJob].flatMap((endpoint): Row[] =>
    ['GET', 'PUT', 'DELETE', 'PATCH', 'HEAD', 'OPTIONS'].map((method) => [
      `the method ${method}`,
      endpoint,
      { method },
      405,
      'method',
    ]),
  ),
  ...[getJob, listJobs, listVms, listVmRecoveryPoints, listVaultDamage].flatMap((endpoint): Row[] =>
    ['POST', 'PUT', 'DELETE', 'PATCH'].map((method) => [`the method ${method}`, endpoint, { method }, 405, 'method']),
  ),
]

describe('bad input', () => {
  it.each(rows.map(([what, endpoint, ...rest]) => [what, endpoint.name, endpoint, ...rest] as const))(
    '%s to %s is refused with a problem that names the field and the fix, and changes nothing',
    async (_what, _name, endpoint, asked, status, field) => {
      const world = fakeWorld()
      const instances = fakeInstances()
      const answered = await ask(endpoint, world, instances, asked)
      expect(answered.status).toBe(status)
      expect(answered.headers['content-type']).toBe('application/problem+json')
      expect(answered.body).toMatchObject({
        type: expect.stringMatching(/^urn:/),
        title: expect.any(String),
        status,
        detail: expect.any(String),
        code: expect.stringMatching(/^[a-z-]+$/),
        reason: expect.stringMatching(/.{6}/),
        hint: expect.stringMatching(/.{6}/),
      })
      expect(answered.body.type).toBe(`urn:deltavault:problem:${answered.body.code}`)
      const errors = answered.body.errors as { field: string; detail: string; fix: string }[]
      expect(errors.map((error) => error.field)).toContain(field)
      for (const { detail, fix } of errors) expect(Math.min(detail.length, fix.length)).toBeGreaterThan(5)
      expect(JSON.stringify(answered.body).length).toBeLessThan(2000)
      if (status === 405) expect(answered.headers.allow).toBe(Object.keys(endpoint.methods).join(', '))
      expect(world.control.objects.size + world.vault.objects.size + instances.started.length).toBe(0)
      expect(answered.logged).toEqual([])
    },
  )

  it('refuses a body by its announced length before it reads it', async () => {
    const answered = await ask(startBackup, fakeWorld(), fakeInstances(), {
      headers: { 'content-length': '10485760' },
      body: '{}',
    })
    expect(answered.status).toBe(413)
  })
})
