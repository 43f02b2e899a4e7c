import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { blocksOf, commandsOf } from '../support/documents.ts'
import { makeImage, mebibyte } from './support/images.ts'
import { runStart, type StartProcess } from './support/start-process.ts'

/**
 * The documents' own requests, run as they stand against the documents' own fleet file. Only what differs from run to run is put in:
 * ports, the ids that the answers before have named, and the folder of the images.
 */

const run = promisify(execFile)

describe('the requests that the documents show', () => {
  let folder = ''
  let start: StartProcess
  const known: Record<string, string> = {}

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'deltavault-documents-'))
    await mkdir(join(folder, 'images'))
    for (const disk of ['web-01-os', 'web-01-db'])
      await makeImage(join(folder, 'images', `${disk}.raw`), 24 * mebibyte, disk, [
        { offsetBytes: mebibyte, lengthBytes: 2 * mebibyte },
      ])
    await writeFile(join(folder, 'my-fleet.json'), blocksOf('local/README.md', 'json')[0] ?? '')
    start = runStart('npm', ['--fleet', join(folder, 'my-fleet.json'), '--data', join(folder, '.local')])
    const [, origin = ''] = await start.until(/Functions host listens on (http:\S+)/)
    const [, arm = ''] = await start.until(/Compute emulator listens on (https:\S+)/)
    known['http://127.0.0.1:7071'] = origin
    known['https://127.0.0.1:7081'] = arm
    await start.until(/All is up until Ctrl-C/)
  }, 300_000)
  afterAll(async () => {
    await start[Symbol.asyncDispose]()
    await rm(folder, { recursive: true, force: true })
  })

  const shell = async (command: string): Promise<string> => {
    const filled = Object.entries(known).reduce((text, [name, value]) => text.replaceAll(name, value), command)
    const silent = filled.replace(/^curl /, 'curl --silent --show-error --fail-with-body ')
    return (await run('sh', ['-c', silent], { cwd: folder })).stdout
  }

  /** Ids named by an answer are what the next commands mean by `<jobId>` and the like. */
  const learn = (answer: Record<string, unknown>): void => {
    if (typeof answer.jobId === 'string') known['<jobId>'] = answer.jobId
    const [vm] = (answer.vms ?? []) as { readonly vmKey: string }[]
    const vmKey = answer.vmKey ?? vm?.vmKey
    if (typeof vmKey === 'string') known['<vmKey>'] = vmKey
    const [disk] = (answer.disks ?? []) as { readonly targetDiskId?: string }[]
    if (disk?.targetDiskId !== undefined) known.restoredDisk = disk.targetDiskId
    const image = ((answer.value ?? []) as { id: string; imagePath: string }[]).find(
      ({ id }) => id.toLowerCase() === known.restoredDisk?.toLowerCase(),
    )
    if (image !== undefined) known['<file>'] = basename(image.imagePath, '.img')
  }

  /** A job's state is looked at until it has ended, as a person would. */
  const follow = async (command: string): Promise<Record<string, unknown>> => {
    for (;;) {
      const answer = JSON.parse((await shell(command)) || '{}') as Record<string, unknown>
      const { outcome } = answer as { outcome?: { kind: string } | null }
      if (outcome === undefined) return answer
      if (outcome !== null) {
        expect(outcome.kind).toBe('completed')
        return answer
      }
      await sleep(500)
    }
  }

  it.each(['README.md', 'local/README.md'])('work as they stand in %s', async (document) => {
    const commands = commandsOf(document).filter((command) => /^(curl|cmp) /.test(command))
    expect(commands.length).toBeGreaterThan(3)
    for (const command of commands) {
      if (command.startsWith('cmp ')) expect(await shell(command)).toBe('')
      else learn(await follow(command))
      if (command.includes('/api/restores')) await follow('curl http://127.0.0.1:7071/api/jobs/<jobId>')
    }
  })
})
