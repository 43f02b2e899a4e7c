import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startAzurite } from '../../local/azurite.ts'
import { sampleSeed } from '../../local/demo/prepare-fleet.ts'
import { makeSampleFleet } from '../../local/fleet/make-sample-fleet.ts'
import { connectStorage } from '../../shared/azure/storage-connection.ts'
import type { DiskReport } from '../../shared/domain/job.ts'
import { recentJobs } from '../../shared/jobs/job-records.ts'
import { changedBytesByCmp, cmp, e2fsckComplaint, mebibyte } from './support/images.ts'
import { runStart, type StartProcess } from './support/start-process.ts'

/**
 * `npm start -- --once` as a user runs it, on a fresh data folder. The sample fleet is the same on every machine, so a second one shows what
 * the disks were before the demo changed them; what changed is counted by `cmp`.
 */
describe('npm start -- --once', () => {
  let folder = ''
  let start: StartProcess
  let code: number | string = -1

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'deltavault-demo-'))
    start = runStart('npm', ['--once', '--data', join(folder, 'data')])
    code = await start.ended
  }, 240_000)
  afterAll(() => rm(folder, { recursive: true, force: true }))

  it('ends with 0, and says nothing of anything wrong', () => {
    expect(code, start.output()).toBe(0)
    expect(start.output()).not.toContain('WRONG')
  })

  it('ends with a table: disks, their bytes and times, and recovery points with their status URLs', () => {
    const output = start.output()
    const table = output.slice(output.indexOf('\nRun 1\n'))
    for (const title of ['Size', 'Allocated', 'Changed', 'Read', 'Stored', 'Time', 'Consistency', 'Recovery point'])
      expect(table).toContain(title)
    expect(table.match(/^web-01 +(os|lun-0|lun-1) /gm)).toHaveLength(6)
    expect(table.match(/^desk-01 +(os|lun-0) /gm)).toHaveLength(4)
    expect(table.match(/ full \(first-backup\)$/gm)).toHaveLength(5)
    expect(table.match(/ incremental$/gm)).toHaveLength(5)
    expect(table.match(/ completed .* http:\/\/127\.0\.0\.1:\d+\/api\/jobs\/backup-/g)).toHaveLength(4)
  })

  it('stores and reads in the second run little more than cmp finds changed', async () => {
    const before = await makeSampleFleet(join(folder, 'again'), sampleSeed, '02:00')
    expect(before.isNew).toBe(true)
    let changedBytes = 0
    for (const name of ['web-01-os', 'web-01-db', 'web-01-logs', 'desk-01-os', 'desk-01-files']) {
      const images = [
        join(folder, 'again', 'images', `${name}.raw`),
        join(folder, 'data', 'fleet', 'images', `${name}.raw`),
      ] as const
      changedBytes += await changedBytesByCmp(...images)
    }
    const reports = await secondRunReports(join(folder, 'data', 'azurite'))
    expect(reports).toHaveLength(5)
    expect(reports.every(({ transfer }) => transfer === 'incremental')).toBe(true)
    const stored = reports.reduce((sum, report) => sum + report.storedPlainBytes, 0)
    expect(changedBytes).toBeGreaterThan(8 * mebibyte)
    expect(stored).toBeLessThanOrEqual(1.05 * changedBytes + mebibyte)
    // Zeros are recorded, not stored: what is stored is little less than what changed, too.
    expect(stored).toBeGreaterThan(0.5 * changedBytes)
    for (const report of reports) expect(report.readBytes).toBeLessThanOrEqual(report.sizeBytes / 4)
  })

  it('restores disks that cmp finds identical and e2fsck finds clean', async () => {
    const pairs = [...start.output().matchAll(/To repeat: cmp (\S+) (\S+)/g)]
    expect(pairs).toHaveLength(3)
    for (const [, imagePath = '', restoredPath = ''] of pairs) {
      expect(await cmp(imagePath, restoredPath)).toBe('')
      expect((await e2fsckComplaint(restoredPath)) ?? '').toBe('')
    }
  })
})

/** The reports of the newest job of each VM, from the vault that the demo left behind. */
const secondRunReports = async (folder: string): Promise<readonly DiskReport[]> => {
  await using azurite = await startAzurite({ folder })
  const connection = { kind: 'connectionString', connectionString: azurite.connectionString } as const
  const { control } = connectStorage({ connection, vaultContainer: 'vault', controlContainer: 'control' })
  const records = (await recentJobs(control, 100)).filter(({ job }) => job.kind === 'backup')
  return ['web-01', 'desk-01'].flatMap((name) => {
    const outcome = records.find(({ job }) => job.vmKey.startsWith(name))?.outcome
    return outcome?.kind === 'completed' ? outcome.summary.disks : []
  })
}
