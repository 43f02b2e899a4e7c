import { execFile } from 'node:child_process'
import { copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, describe, expect, it } from 'vitest'
import { startEngineServer } from './support/engine-server.ts'
import { type LibraryApp, loadLibraryApp } from './support/library-app.ts'
import { expectFinished, lanesJob, plainJob, type RecordedJob, recordedOutcome } from './support/recorded-job.ts'
import { readRecording } from './support/recording.ts'

/**
 * Two methods. (a) While a job runs, the database file and its log are copied right after each commit: such a copy is what
 * a process killed there leaves behind. An engine is started on every copy and must bring the job to the recorded outcome.
 * (b) A child process (support/crash-child.ts) is really killed with SIGKILL, after chosen commits and at random moments.
 * In the end each activity has exactly one answer in the history, and nothing is left over.
 */
const folder = mkdtempSync(path.join(tmpdir(), 'durable-crash-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const timeScale = 0.02
const origin = (server: { readonly origin: string }) => `${server.origin}/durabletask`

async function untilDone(base: string): Promise<unknown> {
  for (;;) {
    const response = await fetch(`${base}/instances/job-1`)
    if (response.status === 200) return response.json()
    await sleep(5)
  }
}

/** Runs a job once and keeps the database as each commit leaves it. @returns the copies, in order */
async function copiesOf(job: RecordedJob, app: LibraryApp): Promise<string[]> {
  const databasePath = path.join(folder, `${job.name}.db`)
  const copies: string[] = []
  let commits = 0
  const afterCommit = () => {
    commits += 1
    const copy = path.join(folder, `${job.name}-${commits}.db`)
    copyFileSync(databasePath, copy)
    if (existsSync(`${databasePath}-wal`)) copyFileSync(`${databasePath}-wal`, `${copy}-wal`)
    copies.push(copy)
  }
  const server = await startEngineServer({ databasePath, worker: app, timeScale, afterCommit })
  await fetch(`${origin(server)}/orchestrators/${job.name}/job-1`, { method: 'POST', body: JSON.stringify(job.input) })
  await untilDone(origin(server))
  await server.stop()
  return copies
}

async function expectRecovery(job: RecordedJob, app: LibraryApp, copy: string): Promise<void> {
  const server = await startEngineServer({ databasePath: copy, worker: app, timeScale })
  const status = await untilDone(origin(server))
  await server.stop()
  expect(status, copy).toMatchObject({ runtimeStatus: 'Completed', output: recordedOutcome(job) })
  expectFinished(copy)
}

async function recoverAll(job: RecordedJob): Promise<number> {
  const app = loadLibraryApp(readRecording(job.recording).source, timeScale)
  const copies = await copiesOf(job, app)
  for (let at = 0; at < copies.length; at += 8)
    await Promise.all(copies.slice(at, at + 8).map((copy) => expectRecovery(job, app, copy)))
  return copies.length
}

interface Ending {
  readonly killed: boolean
  readonly status: unknown
}

const child = path.join(import.meta.dirname, 'support/crash-child.ts')

function runChild(
  databasePath: string,
  job: RecordedJob,
  crashAtCommit: number,
  killAfterMs?: number,
): Promise<Ending> {
  const args = [child, databasePath, job.recording, job.name, 'job-1', JSON.stringify(job.input), String(crashAtCommit)]
  return new Promise((resolve, reject) => {
    const started = execFile(process.execPath, args, { timeout: 60_000 }, (error, stdout, stderr) => {
      if (!error) resolve({ killed: false, status: JSON.parse(stdout.trim().split('\n').at(-1) ?? 'null') })
      else if (error.signal === 'SIGKILL') resolve({ killed: true, status: undefined })
      else reject(new Error(`${error.message}\n${stderr}`))
    })
    if (killAfterMs === undefined) return
    started.stdout?.once('data', () => setTimeout(() => started.kill('SIGKILL'), killAfterMs))
  })
}

/** @returns the status at the end, and how often the process was killed before */
async function runKilled(databasePath: string, job: RecordedJob, kills: readonly { commit?: number; ms?: number }[]) {
  let killed = 0
  for (const { commit = 0, ms } of kills) {
    const ending = await runChild(databasePath, job, commit, ms)
    if (!ending.killed) return { killed, status: ending.status }
    killed += 1
  }
  return { killed, status: (await runChild(databasePath, job, 0)).status }
}

describe('an engine that dies', () => {
  it('right after any commit of a job, still reaches the recorded outcome', async () => {
    const points = await recoverAll(plainJob)
    console.log(`${plainJob.name}: recovered from each of ${points} commits`)
    expect(points).toBeGreaterThan(25)
  })

  it('right after any commit of a job with lanes, still reaches the recorded outcome', async () => {
    const points = await recoverAll(lanesJob)
    console.log(`${lanesJob.name}: recovered from each of ${points} commits`)
    expect(points).toBeGreaterThan(60)
  })

  it('by SIGKILL, again and again, still reaches the recorded outcome', async () => {
    const databasePath = path.join(folder, 'killed.db')
    const atCommits = [1, 2, 5, 9].map((commit) => ({ commit }))
    const atRandom = Array.from({ length: 6 }, () => ({ ms: Math.random() * 250 }))
    const { killed, status } = await runKilled(databasePath, lanesJob, [...atCommits, ...atRandom])
    console.log(`${lanesJob.name}: killed ${killed} times`)
    expect(killed).toBeGreaterThanOrEqual(4)
    expect(status).toMatchObject({ runtimeStatus: 'Completed', output: recordedOutcome(lanesJob) })
    expectFinished(databasePath)
  })
})
