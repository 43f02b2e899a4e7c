import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { lockForStart } from '../../../../local/demo/start-lock.ts'

describe('the lock on a data folder', () => {
  let folder = ''
  beforeEach(async () => {
    folder = join(await mkdtemp(join(tmpdir(), 'deltavault-lock-')), 'data')
  })
  afterEach(() => rm(join(folder, '..'), { recursive: true, force: true }))

  const holder = async () => {
    const module = pathToFileURL(join(import.meta.dirname, '../../../../local/demo/start-lock.ts')).href
    const script = `await (await import('${module}')).lockForStart(process.argv[1]); console.log('held'); setInterval(() => {}, 1000)`
    const child = spawn(process.execPath, ['--input-type=module', '-e', script, folder], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await once(child.stdout, 'data')
    return child
  }

  it('is refused while another process holds it, which is named, and taken over when that is gone', async () => {
    const other = await holder()
    await expect(lockForStart(folder)).rejects.toThrow(
      `Another npm start (process ${other.pid}) is running on ${folder}. Stop it, or name another folder with --data.`,
    )
    other.kill('SIGKILL')
    await once(other, 'exit')
    await using taken = await lockForStart(folder)
    expect(taken).toBeDefined()
  })

  it('is free again once it is given back', async () => {
    await (await lockForStart(folder))[Symbol.asyncDispose]()
    await using again = await lockForStart(folder)
    expect(again).toBeDefined()
  })

  it('names no other start where the folder itself is the trouble', async () => {
    await (await lockForStart(folder))[Symbol.asyncDispose]()
    await writeFile(join(folder, 'start.lock'), 'not a database '.repeat(100))
    await expect(lockForStart(folder)).rejects.toThrow(/cannot be locked/)
  })
})
