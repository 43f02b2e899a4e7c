import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type LocalWorld, startLocalWorld, subscription, vmIdOf, waitForJob } from './support/local-world.ts'

/** Requests as a stranger may send them, on a real socket to the host. Nothing that is refused may leave a trace. */

const run = promisify(execFile)

interface Request {
  readonly method: string
  readonly path: string
  readonly body?: string
  readonly contentType?: string
}

interface Problem {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly detail: string
  readonly code: string
  readonly reason: string
  readonly hint: string
  readonly errors?: readonly { readonly field: string; readonly detail: string; readonly fix: string }[]
  readonly runningJobId?: string
}

let world: LocalWorld

beforeAll(async () => {
  world = await startLocalWorld({ os: { sizeMiB: 64, filledMiB: 48 } }, { BACKUP_SWEEP_SCHEDULE: '0 0 3 * * *' })
})
afterAll(async () => {
  await world[Symbol.asyncDispose]()
})

const send = async ({ method, path, body, contentType = 'application/json' }: Request) => {
  const response = await fetch(`${world.azure.hostOrigin}${path}`, {
    method,
    ...(body === undefined ? {} : { body, headers: { 'content-type': contentType } }),
  })
  const text = await response.text()
  return { status: response.status, type: response.headers.get('content-type'), headers: response.headers, text }
}

const backup = (body: unknown): Request => ({ method: 'POST', path: '/api/backups', body: JSON.stringify(body) })
const restore = (body: unknown): Request => ({ method: 'POST', path: '/api/restores', body: JSON.stringify(body) })
const get = (path: string): Request => ({ method: 'GET', path })
const longId = 'a'.repeat(4000)
const tenMegabytes = `{"vmId":"${'x'.repeat(10_000_000)}"}`
const wrongVm = `/subscriptions/${subscription}/resourceGroups/tests/providers/Microsoft.Compute/virtualMachines/nobody`
const dottedVm = `/subscriptions/${subscription}/resourceGroups/../providers/Microsoft.Compute/virtualMachines/machine`

describe('a request that cannot be followed', () => {
  it.each<[string, Request, readonly number[], string]>([
    ['an unknown VM', backup({ vmId: wrongVm }), [404], 'vmId'],
    ['a VM id that is none', backup({ vmId: 'machine' }), [422], 'vmId'],
    ['a VM id with ..', backup({ vmId: dottedVm }), [422], 'vmId'],
    ['a VM id of 4,000 characters', backup({ vmId: `${wrongVm}${longId}` }), [422], 'vmId'],
    ['a number as VM id', backup({ vmId: 7 }), [422], 'vmId'],
    ['nothing to back up', backup({}), [422], 'vmId'],
    ['a body that is no object', backup([1]), [422], 'body'],
    ['an unknown field', backup({ vmId: vmIdOf('machine'), force: true }), [422], 'force'],
    ['a wrong consistency', backup({ vmId: vmIdOf('machine'), consistency: 'perfect' }), [422], 'consistency'],
    ['a wrong disk label', backup({ vmId: vmIdOf('machine'), excludedDisks: ['sda'] }), [422], 'excludedDisks.0'],
    ['an unknown policy', backup({ policy: 'never' }), [404], 'policy'],
    ['a selection of nothing', backup({ selection: { tags: { nobody: 'has this' } } }), [404], 'selection'],
    ['malformed JSON', { method: 'POST', path: '/api/backups', body: '{"vmId":' }, [400], 'body'],
    ['an empty body', { method: 'POST', path: '/api/backups', body: '' }, [400], 'body'],
    ['a body of 10 MB', { method: 'POST', path: '/api/backups', body: tenMegabytes }, [413], 'body'],
    ['a wrong method on backups', get('/api/backups'), [405], 'method'],
    ['malformed JSON for a restore', { method: 'POST', path: '/api/restores', body: 'vm' }, [400], 'body'],
    [
      'a restore of an unknown VM',
      restore({ vmKey: 'nobody-000000000000', recoveryPointId: 'latest' }),
      [404],
      'vmKey',
    ],
    ['a restore without recovery point', restore({ vmKey: 'nobody' }), [422], 'recoveryPointId'],
    ['a restore of a key with ..', restore({ vmKey: '../claims', recoveryPointId: 'latest' }), [422], 'vmKey'],
    ['a restore with a long id', restore({ vmKey: longId, recoveryPointId: 'latest' }), [422], 'vmKey'],
    ['a restore with a wrong type', restore({ vmKey: {}, recoveryPointId: 'latest' }), [422], 'vmKey'],
    ['a restore with an unknown field', restore({ vmKey: 'a', recoveryPointId: 'latest', now: 1 }), [422], 'now'],
    [
      'a restore into another subscription',
      restore({
        vmKey: 'a',
        recoveryPointId: 'latest',
        targetResourceGroupId: '/subscriptions/00000000-0000-0000-0000-0000000000ff/resourceGroups/other',
      }),
      [422],
      'targetResourceGroupId',
    ],
    ['a restore to a place', restore({ vmKey: 'a', recoveryPointId: 'latest', location: 'a/b' }), [422], 'location'],
    ['disks as text', restore({ vmKey: 'a', recoveryPointId: 'latest', disks: 'os' }), [422], 'disks'],
    ['an address that is none', get('/api/job'), [404], 'path'],
    ['an address below a route', { method: 'POST', path: '/api/backups/now', body: '{}' }, [404], 'path'],
    ['the prefix alone', get('/api/'), [404], 'path'],
    ['a restore of 10 MB', { method: 'POST', path: '/api/restores', body: tenMegabytes }, [413], 'body'],
    ['a wrong method on restores', { method: 'DELETE', path: '/api/restores' }, [405], 'method'],
    ['an unknown job', get('/api/jobs/backup-nobody'), [404], 'jobId'],
    ['a job id with ..', get('/api/jobs/a..b'), [400], 'jobId'],
    ['a job id of 4,000 characters', get(`/api/jobs/${longId}`), [400, 414], 'jobId'],
    ['a job id with a slash inside', get('/api/jobs/..%2F..%2Fclaims'), [400, 404], 'jobId'],
    ['a wrong method on a job', { method: 'DELETE', path: '/api/jobs/backup-nobody' }, [405], 'method'],
    ['a wrong method on jobs', { method: 'PUT', path: '/api/jobs', body: '{}' }, [405], 'method'],
    ['too many jobs at once', get('/api/jobs?top=100000'), [400], 'top'],
    ['the end of a job that never was', { method: 'POST', path: '/api/jobs/backup-nobody/cancel' }, [404], 'jobId'],
    ['recovery points of an unknown VM', get('/api/vms/nobody-000000000000/recovery-points'), [404], 'vmKey'],
    ['recovery points of a key with ..', get('/api/vms/a..b/recovery-points'), [400], 'vmKey'],
    ['recovery points of a long key', get(`/api/vms/${longId}/recovery-points`), [400, 414], 'vmKey'],
    [
      'a wrong method on recovery points',
      { method: 'POST', path: '/api/vms/a/recovery-points', body: '{}' },
      [405],
      'method',
    ],
    ['a wrong method on VMs', { method: 'POST', path: '/api/vms', body: '{}' }, [405], 'method'],
  ])('is answered with a problem that names field and fix: %s', async (_name, request, statuses, field) => {
    const answer = await send(request)
    expect(statuses, answer.text).toContain(answer.status)
    expect(answer.type).toContain('application/problem+json')
    const problem = JSON.parse(answer.text) as Problem
    expect(problem.status).toBe(answer.status)
    expect(problem.type).toMatch(/^urn:/)
    expect(problem.title.length).toBeGreaterThan(5)
    expect(problem.errors?.map((error) => error.field)).toContain(field)
    expect(problem.type).toBe(`urn:deltavault:problem:${problem.code}`)
    expect(Math.min(problem.reason.length, problem.hint.length)).toBeGreaterThan(5)
    expect(problem.errors?.every(({ detail, fix }) => detail.length > 3 && fix.length > 3)).toBe(true)
    expect(answer.text.length, 'what was sent is not sent back at length').toBeLessThan(2000)
  })

  it('leaves no job and no claim behind', async () => {
    expect(await world.api.listJobs()).toEqual([])
  })
})

describe('two starts of one VM at the same moment, from two processes', () => {
  it('run one job, and tell the other caller which', async () => {
    const curl = async () => {
      const data = JSON.stringify({ vmId: world.vmId })
      const header = ['-H', 'content-type: application/json']
      const url = `${world.azure.hostOrigin}/api/backups`
      const { stdout } = await run('curl', ['-s', '-w', '\n%{http_code}', '-X', 'POST', ...header, '-d', data, url])
      const [body = '', status] = stdout.split('\n')
      return { status: Number(status), body: JSON.parse(body) as { jobId?: string } & Problem }
    }
    const answers = await Promise.all([curl(), curl()])
    const accepted = answers.filter(({ status }) => status === 202)
    const refused = answers.filter(({ status }) => status === 409)
    expect(accepted).toHaveLength(1)
    expect(refused).toHaveLength(1)
    const jobId = accepted[0]?.body.jobId ?? ''
    expect(refused[0]?.body.runningJobId).toBe(jobId)
    expect((await waitForJob(world, jobId)).outcome).toMatchObject({ kind: 'completed' })
    expect(await world.api.listJobs()).toHaveLength(1)
  })
})
