import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { makeImage, mebibyte } from './support/images.ts'
import { subscription } from './support/local-world.ts'
import { isAlive, runStart } from './support/start-process.ts'

/** How `npm start` begins and ends, with a fleet of the user's own that has nothing to back up by itself: that is quick. */
describe('npm start', () => {
  let folder = ''
  let fleetPath = ''

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'deltavault-start-'))
    fleetPath = join(folder, 'fleet.json')
    await makeImage(join(folder, 'os.raw'), 32 * mebibyte, 'start', [{ offsetBytes: 0, lengthBytes: mebibyte }])
    await writeFleet({})
  })
  afterEach(() => rm(folder, { recursive: true, force: true }))

  const writeFleet = (changes: object) =>
    writeFile(
      fleetPath,
      JSON.stringify({
        subscription,
        resourceGroups: [{ name: 'tests', location: 'westeurope' }],
        virtualMachines: [
          {
            name: 'machine',
            resourceGroup: 'tests',
            osType: 'Linux',
            disks: [{ name: 'os', lun: 'os', image: 'os.raw' }],
          },
        ],
        ...changes,
      }),
    )

  const start = (...more: string[]) => runStart('node', ['--fleet', fleetPath, '--data', join(folder, 'data'), ...more])
  const childPids = async (pid: number): Promise<readonly number[]> =>
    (await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')).trim().split(' ').filter(Boolean).map(Number)

  const groupOf = async (pid: number): Promise<number> =>
    Number((await readFile(`/proc/${pid}/stat`, 'utf8')).replace(/^.*\) /, '').split(' ')[2])

  it.each(['SIGINT', 'SIGTERM'] as const)(
    'stays up with requests to try, until %s, and then stops everything',
    async (signal) => {
      await using started = start()
      const [, origin] = await started.until(/curl (http:\/\/127\.0\.0\.1:\d+)\/api\/vms\n/)
      const answer = await fetch(`${origin}/api/jobs`)
      expect(answer.status).toBe(200)
      const children = await childPids(started.process.pid!)
      expect(children).toHaveLength(3)
      // Ctrl-C reaches none of them before its parent has decided on the order.
      expect(await Promise.all(children.map(groupOf))).toEqual(children)
      // As a terminal does it: to the whole group of the foreground.
      process.kill(-started.process.pid!, signal)
      expect(await started.ended).toBe(0)
      expect(started.output()).toContain('Everything is stopped.')
      expect(children.filter(isAlive)).toEqual([])
    },
  )

  /** The process of the start itself, below npm and its shell. */
  const startBelow = async (pid: number): Promise<number | null> => {
    if (/node\0local\/start\.ts\0/.test(await readFile(`/proc/${pid}/cmdline`, 'utf8'))) return pid
    for (const child of await childPids(pid)) {
      const found = await startBelow(child)
      if (found !== null) return found
    }
    return null
  }

  it('stops everything in order at a Ctrl-C through npm, which hands on the signal that the terminal sent to all', async () => {
    await using started = runStart('npm', ['--fleet', fleetPath, '--data', join(folder, 'data')])
    await started.until(/All is up until Ctrl-C/)
    const pid = await startBelow(started.process.pid!)
    expect(pid).not.toBeNull()
    const all = [pid!, ...(await childPids(pid!))]
    expect(all).toHaveLength(4)
    process.kill(-started.process.pid!, 'SIGINT')
    // npm hands it on by itself, too; a second sender makes that sure with every version of npm.
    await sleep(20)
    if (isAlive(pid!)) process.kill(pid!, 'SIGINT')
    // npm ends with the code of what it ran.
    expect(await started.ended).toBe(0)
    expect(started.output().trim().split('\n').at(-1)).toMatch(/^Everything is stopped\. The data stays in /)
    expect(all.filter(isAlive)).toEqual([])
  })

  /** Stands for `func` of Azure Functions Core Tools, which are not to be had everywhere: takes the same arguments, says what storage it was
   * given, and runs the app on the built-in host. As with the npm package of the real one, the program found is not the one that serves. */
  const writeFunc = async (program: string): Promise<Readonly<Record<string, string>>> => {
    await mkdir(join(folder, 'bin'))
    await writeFile(join(folder, 'bin', 'func'), `#!/bin/sh\n${program}\n`)
    await chmod(join(folder, 'bin', 'func'), 0o755)
    return { PATH: `${join(folder, 'bin')}:${process.env.PATH}` }
  }
  const standIn = () => `[ "$#" = 3 ] && [ "$1" = start ] && [ "$2" = --port ] && [ -f host.json ] || exit 64
echo "$AzureWebJobsStorage" > '${folder}/storage'
node local/host/main.ts --app . --data '${folder}/func-data' --port "$3" &
echo $! > '${folder}/pid'
wait`

  it.each(['SIGINT', 'SIGKILL'] as const)(
    'runs the app on the func of the PATH when asked to, with the storage that it needs, and ends it with %s',
    async (signal) => {
      await using started = runStart(
        'node',
        ['--fleet', fleetPath, '--data', join(folder, 'data'), '--host', 'func'],
        await writeFunc(standIn()),
      )
      const [, origin] = await started.until(/curl (http:\/\/127\.0\.0\.1:\d+)\/api\/vms\n/)
      expect((await fetch(`${origin}/api/jobs`)).status).toBe(200)
      const settings = (await readFile(join(folder, 'storage'), 'utf8')).trim().split(';')
      for (const service of ['Blob', 'Queue', 'Table']) {
        const endpoint = settings.find((setting) => setting.startsWith(`${service}Endpoint=`))?.split('=')[1] ?? ''
        expect((await fetch(`${endpoint}?comp=list`)).headers.get('server'), service).toContain(`Azurite-${service}`)
      }
      const serving = Number(await readFile(join(folder, 'pid'), 'utf8'))
      const all = [...(await childPids(started.process.pid!)), serving]
      expect(all.filter(isAlive)).toHaveLength(4)
      started.process.kill(signal)
      expect(await started.ended).toBe(signal === 'SIGINT' ? 0 : signal)
      for (let tries = 0; tries < 100 && all.some(isAlive); tries += 1) await sleep(200)
      expect(all.filter(isAlive)).toEqual([])
    },
  )

  it('refuses a data folder that another start runs on, before anything starts, and leaves that one be', async () => {
    await using first = start()
    const [, origin] = await first.until(/curl (http:\/\/127\.0\.0\.1:\d+)\/api\/vms\n/)
    await using second = start()
    expect(await second.ended).toBe(1)
    expect(second.output().trim()).toBe(
      `Another npm start (process ${first.process.pid}) is running on ${join(folder, 'data')}. Stop it, or name another folder with --data.`,
    )
    expect((await fetch(`${origin}/api/jobs`)).status).toBe(200)
    const children = await childPids(first.process.pid!)
    first.process.kill('SIGKILL')
    await first.ended
    for (let tries = 0; tries < 100 && children.some(isAlive); tries += 1) await sleep(200)
    await using third = start('--once')
    expect(await third.ended).toBe(0)
    expect(third.output()).toContain('The fleet file has 1 virtual machine and no policy, so nothing was due')
  })

  it('says what to install, and that it need not be, where --host func finds no func', async () => {
    await using started = runStart('node', ['--fleet', fleetPath, '--host', 'func', '--once'], { PATH: folder })
    expect(await started.ended).toBe(1)
    expect(started.output()).toMatch(
      /needs Azure Functions Core Tools[\s\S]*npm install[\s\S]*the default host needs nothing/,
    )
    expect(started.output()).not.toContain('The local Azure starts')
  })

  it('shows the end of the log where func does not start', async () => {
    const path = await writeFunc('echo "Value cannot be null. (Parameter provider)"; exit 1')
    await using started = runStart(
      'node',
      ['--fleet', fleetPath, '--data', join(folder, 'data'), '--host', 'func'],
      path,
    )
    expect(await started.ended).toBe(1)
    expect(started.output()).toMatch(/The Functions host says: func has ended with code 1\.[\s\S]*Value cannot be null/)
  })

  it('leaves nothing running when it is killed itself', async () => {
    await using started = start()
    await started.until(/All is up until Ctrl-C/)
    const children = await childPids(started.process.pid!)
    started.process.kill('SIGKILL')
    await started.ended
    for (let tries = 0; tries < 100 && children.some(isAlive); tries += 1) await sleep(200)
    expect(children.filter(isAlive)).toEqual([])
  })

  it('ends with a clear message and not with 0 when one of its parts dies', async () => {
    await using started = start()
    await started.until(/All is up until Ctrl-C/)
    const children = await childPids(started.process.pid!)
    const commands = await Promise.all(children.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8')))
    const compute = children[commands.findIndex((command) => command.includes('local/compute/main.ts'))]!
    process.kill(compute, 'SIGKILL')
    expect(await started.ended).toBe(1)
    expect(started.output()).toMatch(/The compute emulator has ended with SIGKILL/)
    expect(children.filter(isAlive)).toEqual([])
  })

  it('takes other ports where the usual ones are in use, and says so', async () => {
    const busy = createServer()
    await new Promise<void>((resolve) => busy.once('error', () => resolve()).listen(7071, '127.0.0.1', resolve))
    await using started = start('--once')
    expect(await started.ended).toBe(0)
    expect(started.output()).toMatch(/Port 7071 is in use by another program, so the Functions host takes \d+\./)
    await new Promise((resolve) => busy.close(resolve))
  })

  it('refuses options that it does not know, with the list of those it does', async () => {
    await using started = start('--twice')
    expect(await started.ended).toBe(2)
    expect(started.output()).toMatch(/--twice[\s\S]*--fleet FILE/)
  })

  it.each([
    [{ subscription: 'mine' }, 'subscription', 'GUID'],
    [{ virtualMachines: [{ name: 'machine' }] }, 'virtualMachines.0.', 'missing'],
    [{ policies: {} }, 'policies', 'list'],
    [
      { policies: [{ name: 'daily', selection: {}, schedule: { kind: 'daily', times: ['25:00'], timeZone: 'UTC' } }] },
      'schedule.times.0',
      '02:00',
    ],
    [{ fleet: [] }, 'fleet', 'not known'],
  ])('refuses a fleet file with the field and the fix: %j', async (changes, field, fix) => {
    await writeFleet(changes)
    await using started = start('--once')
    expect(await started.ended).toBe(1)
    expect(started.output()).toContain(fleetPath)
    expect(started.output()).toContain(field)
    expect(started.output()).toContain(fix)
    expect(started.output()).not.toMatch(/\n +at /)
  })

  it('refuses a fleet file that is not there', async () => {
    await using started = runStart('node', [
      '--fleet',
      join(folder, 'none.json'),
      '--data',
      join(folder, 'data'),
      '--once',
    ])
    expect(await started.ended).toBe(1)
    expect(started.output()).toMatch(/none\.json[\s\S]*cannot be read/)
  })
})
