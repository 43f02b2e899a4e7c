import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { projectFolder } from '../../support/documents.ts'

/** Debian's own: the packages come from there. */
const python = '/usr/bin/python3'
const script = join(projectFolder, 'reader/deltavault_reader.py')
const commandSecondsMax = 60

/** Why the second reader cannot run on this machine; null where it can. */
export const readerIsMissing = (): string | null => {
  try {
    execFileSync(python, ['-c', 'import zstandard, cryptography'], { stdio: 'pipe' })
    return null
  } catch {
    return `the tests of the second reader are left out: ${python} with python3-zstandard and python3-cryptography is not on this machine`
  }
}

export interface ReaderRun {
  readonly code: number
  readonly output: string
  readonly complaints: readonly string[]
}

/** One command of the second reader, as a person would call it. */
export const runReader = (args: readonly string[], environment: Record<string, string> = {}): Promise<ReaderRun> =>
  new Promise((resolve) => {
    const options = { env: { PATH: process.env.PATH ?? '', ...environment }, timeout: commandSecondsMax * 1000 }
    const child = execFile(python, [script, ...args], options, (_error, output, complaints) =>
      resolve({ code: child.exitCode ?? -1, output, complaints: complaints.split('\n').filter((line) => line !== '') }),
    )
  })

/** One case for the second reader: a vault with some objects replaced, or taken away where null. */
export interface ReaderCase {
  readonly base: string
  readonly objects: ReadonlyMap<string, Uint8Array | null>
  readonly vmKey: string
  readonly recoveryPointId: string
  readonly disk: string
  readonly keyFile: string | null
  /** Checks the vault instead of restoring the disk. */
  readonly check?: boolean
}

/** What a check found: a line each, and how many frames there are, are needed by restores, and were opened. */
export interface ReaderFindings {
  readonly damaged: readonly string[]
  /** Those of the damaged that restores need. */
  readonly needed: readonly string[]
  readonly touched: readonly string[]
  readonly locked: readonly string[]
  readonly frames: number
  readonly framesNeeded: number
  readonly opened: number
}

/** `digest` is that of shownPages. Anything but the first three fails a test. */
export type ReaderAnswer =
  | { readonly outcome: 'restored'; readonly digest: string }
  | { readonly outcome: 'refused'; readonly code: string; readonly name: string; readonly place: string }
  | ({ readonly outcome: 'checked' } & ReaderFindings)
  | { readonly outcome: 'crashed'; readonly what: string }
  | { readonly outcome: 'hung' }

/** The second reader as a process that answers cases in their order. */
export interface ReaderBatch {
  /** Loads a folder of objects under a name. */
  load(base: string, folder: string): void
  ask(readerCase: ReaderCase): Promise<ReaderAnswer>
  /** Ends the process; the most memory that it ever had, in bytes. */
  finish(): Promise<number>
}

export const startReaderBatch = (): ReaderBatch => {
  const child = spawn(python, [script, 'batch'], { stdio: ['pipe', 'pipe', 'inherit'] })
  const waiting: ((line: string) => void)[] = []
  const failed: ((error: Error) => void)[] = []
  createInterface({ input: child.stdout }).on('line', (line) => {
    failed.shift()
    waiting.shift()?.(line)
  })
  child.once('exit', (code) => {
    for (const fail of failed) fail(new Error(`the second reader ended with ${code} and cases open`))
  })
  const answer = (): Promise<string> =>
    new Promise((resolve, reject) => {
      waiting.push(resolve)
      failed.push(reject)
    })
  let count = 0
  return {
    load: (base, folder) => send(child, { base, folder }),
    ask: async ({ objects, ...of }) => {
      const encoded = [...objects].map(([name, bytes]) => [
        name,
        bytes === null ? null : Buffer.from(bytes).toString('base64'),
      ])
      const id = count
      count += 1
      const line = answer()
      send(child, { case: id, ...of, objects: Object.fromEntries(encoded) })
      const answered = JSON.parse(await line)
      if (answered.case !== id) throw new Error(`case ${id} was answered as ${answered.case}`)
      return answered
    },
    finish: async () => {
      const line = answer()
      child.stdin.end()
      return JSON.parse(await line).peakBytes
    },
  }
}

const send = (child: ChildProcess, message: object): void => {
  child.stdin?.write(`${JSON.stringify(message)}\n`)
}
