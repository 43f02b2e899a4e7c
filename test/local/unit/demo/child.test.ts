import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { startChild } from '../../../../local/demo/child.ts'
import { choosePorts } from '../../../../local/demo/ports.ts'

describe('a child process', () => {
  let folder = ''
  const start = async (program: string) => {
    const main = join(folder, 'child.mjs')
    await writeFile(main, program)
    const logPath = join(folder, 'logs', 'child.log')
    return startChild<{ port: number }>({
      name: 'the sample child',
      main,
      args: ['--port', '5'],
      env: process.env,
      logPath,
    })
  }

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'child-'))
  })
  afterEach(() => rm(folder, { recursive: true }))

  it('is there when it says that it is ready, and ends when it is stopped', async () => {
    const child = await start(`
      console.log(process.argv.slice(2).join(' '))
      process.on('SIGTERM', () => process.exit(0))
      process.send({ ready: true, port: 5 })
      setInterval(() => {}, 1000)`)
    expect(child.ready.port).toBe(5)
    await child.stop()
    expect(await child.ended).toEqual({ code: 0, signal: null, asked: true })
    expect(await readFile(child.logPath, 'utf8')).toContain('--port 5')
    await child.stop()
  })

  it('reports an end that nobody asked for', async () => {
    const child = await start(`process.send({ ready: true, port: 5 }); setTimeout(() => process.exit(3), 20)`)
    expect(await child.ended).toEqual({ code: 3, signal: null, asked: false })
  })

  it('that ends before it is ready is an error with the end of its log', async () => {
    await expect(start(`console.error('the disk is full'); process.exit(7)`)).rejects.toThrow(
      /The sample child ended with code 7 before it was ready[\s\S]*the disk is full/,
    )
  })

  it('that refuses to start is an error in its own words', async () => {
    await expect(
      start(`process.send({ error: 'virtualMachines[0].name is missing' }); setInterval(() => {}, 1000)`),
    ).rejects.toThrow(/virtualMachines\[0\]\.name is missing/)
  })

  it('is killed at once when a crash is wanted', async () => {
    const child = await start(`
      process.on('SIGTERM', () => {})
      process.send({ ready: true, port: 5 })
      setInterval(() => {}, 1000)`)
    await child.kill()
    expect(await child.ended).toEqual({ code: null, signal: 'SIGKILL', asked: true })
  })
})

describe('chosen ports', () => {
  it('are the wanted ones where they are free, others where not, and all different', async () => {
    const taken = createServer()
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
    const address = taken.address()
    const busy = address !== null && typeof address === 'object' ? address.port : 0
    const [free] = await choosePorts([0])
    const [first, second, third] = await choosePorts([busy, free!, 0])
    expect(first).not.toBe(busy)
    expect(second).toBe(free)
    expect(new Set([first, second, third]).size).toBe(3)
    await new Promise((resolve) => taken.close(resolve))
  })
})
