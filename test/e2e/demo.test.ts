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
import { readDiskPlan } from '../../shared/vault/disk-plan.ts'
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
    for (const title of [
      'Size',
      'Allocated',
      'Changed',
      'Read',
      'Joined',
      'Stored',
      'Time',
      'Consistency',
      'Recovery point',
    ])
      expect(table).toContain(title)
    expect(table.match(/^web-01 +(os|lun-0|lun-1) /gm)).toHaveLength(6)
    expect(table.match(/^desk-01 +(os|lun-0) /gm)).toHaveLength(4)
    expect(table.match(/ full \(first-backup\)$/gm)).toHaveLength(5)
    expect(table.match(/ incremental$/gm)).toHaveLength(5)
    expect(table.match(/ completed .* http:\/\/127\.0\.0\.1:\d+\/api\/jobs\/backup-/g)).toHaveLength(4)
  })

  it('stores in the second run, disk by disk, little more than cmp finds changed, and reads what was named and joined', async () => {
    const before = await makeSampleFleet(join(folder, 'again'), sampleSeed, '02:00')
    expect(before.isNew).toBe(true)
    const [second, first] = await lastTwoRuns(join(folder, 'data', 'azurite'))
    expect(second.map(({ image }) => image).sort()).toEqual([...sampleImages.values()].sort())
    let changedInAll = 0
    let storedInAll = 0
    for (const { image, report, namedBytes } of second) {
      const [old, now] = [join(folder, 'again'), join(folder, 'data', 'fleet')].map((at) => `${at}/images/${image}.raw`)
      const changedBytes = await changedBytesByCmp(old!, now!)
      changedInAll += changedBytes
      expect(report.transfer).toBe('incremental')
      expect(excessOf({ report, namedBytes, changedBytes }), image).toEqual([])
      storedInAll += report.storedPlainBytes
      expect(report.readBytes).toBeGreaterThanOrEqual(namedBytes + report.joinedBytes)
      expect(report.readBytes).toBeLessThanOrEqual(report.sizeBytes / 4)
      // The bounds are ones that a backup of everything would not keep.
      const everything = first.find((disk) => disk.image === image)!
      expect(everything.report.transfer).toBe('full')
      expect(excessOf({ ...everything, namedBytes, changedBytes }), image).toEqual(['stored', 'read'])
    }
    expect(changedInAll).toBeGreaterThan(8 * mebibyte)
    // Zeros are recorded, not stored: what is stored is little less than what changed, too.
    expect(storedInAll).toBeGreaterThan(0.5 * changedInAll)
    expect(second.some(({ report }) => report.joinedBytes > 0)).toBe(true)
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

/** The sample fleet's images by VM and disk label. */
const sampleImages = new Map([
  ['web-01/os', 'web-01-os'],
  ['web-01/lun-0', 'web-01-db'],
  ['web-01/lun-1', 'web-01-logs'],
  ['desk-01/os', 'desk-01-os'],
  ['desk-01/lun-0', 'desk-01-files'],
])

interface MovedDisk {
  readonly image: string
  readonly report: DiskReport
  /** In data ranges of the platform's answer: what there was to read. */
  readonly namedBytes: number
}

/** Which bounds of an incremental transfer a disk does not keep. */
const excessOf = (disk: Omit<MovedDisk, 'image'> & { readonly changedBytes: number }): readonly string[] => {
  const { report, namedBytes, changedBytes } = disk
  const isStoredGood = report.storedPlainBytes <= 1.05 * changedBytes + mebibyte
  const isReadGood = report.readBytes <= 1.05 * namedBytes + report.joinedBytes
  return [...(isStoredGood ? [] : ['stored']), ...(isReadGood ? [] : ['read'])]
}

/** The disks of the newest job of each VM, and of the one before, from the vault that the demo left behind. */
const lastTwoRuns = async (folder: string): Promise<readonly [readonly MovedDisk[], readonly MovedDisk[]]> => {
  await using azurite = await startAzurite({ folder })
  const connection = { kind: 'connectionString', connectionString: azurite.connectionString } as const
  const { control } = connectStorage({ connection, vaultContainer: 'vault', controlContainer: 'control' })
  const records = (await recentJobs(control, 100)).filter(({ job }) => job.kind === 'backup')
  const disksOf = async (vm: string, age: number): Promise<readonly MovedDisk[]> => {
    const outcome = records.filter(({ job }) => job.vmKey.startsWith(vm))[age]?.outcome
    if (outcome?.kind !== 'completed') return []
    const { recoveryPointId, summary } = outcome
    return Promise.all(
      summary.disks.map(async (report) => {
        const plan = await readDiskPlan(control, { recoveryPointId, disk: report.disk })
        const image = sampleImages.get(`${vm}/${report.disk}`) ?? ''
        return { image, report, namedBytes: plan?.dataBytes ?? Number.NaN }
      }),
    )
  }
  const run = async (age: number) => (await Promise.all(['web-01', 'desk-01'].map((vm) => disksOf(vm, age)))).flat()
  return [await run(0), await run(1)]
}
