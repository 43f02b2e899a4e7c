import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { InvocationRequest } from '../../../../local/host/invocation.ts'
import { startEngineServer } from './engine-server.ts'
import { loadLibraryApp } from './library-app.ts'
import { readRecording } from './recording.ts'

/**
 * A process that runs one instance of a recorded app to its end, and is killed on the way: by itself right after a commit
 * (`crashAtCommit` counts from 1 in this process, 0 for never), or from outside. Started again with the same database it
 * goes on. Prints `running` once its engine has started, and the status of the instance as its last line.
 *
 *     node crash-child.ts <database> <recording> <function> <instance id> <input JSON> <crashAtCommit>
 */
const [databasePath = '', recording = '', name = '', id = '', input = 'null', crashAt = '0'] = process.argv.slice(2)
const timeScale = 0.02
let commits = 0

// The recorded apps keep in memory how often they were asked; here it has to outlive the process, as storage would.
const memory = `${databasePath}.memory.json`
const globals = existsSync(memory) ? JSON.parse(readFileSync(memory, 'utf8')) : {}
const app = loadLibraryApp(readRecording(recording).source, timeScale, globals)
const invoke = async (request: InvocationRequest) => {
  const result = await app.invoke(request)
  writeFileSync(`${memory}.new`, JSON.stringify(globals))
  renameSync(`${memory}.new`, memory)
  return result
}

const server = await startEngineServer({
  databasePath,
  worker: { functions: app.functions, invoke },
  timeScale,
  afterCommit: () => {
    commits += 1
    if (commits === Number(crashAt)) process.kill(process.pid, 'SIGKILL')
  },
})
process.stdout.write('running\n')
const instances = `${server.origin}/durabletask/instances/${id}`
if ((await fetch(instances)).status === 404) {
  await fetch(`${server.origin}/durabletask/orchestrators/${name}/${id}`, { method: 'POST', body: input })
}
for (;;) {
  const response = await fetch(instances)
  if (response.status === 200) {
    process.stdout.write(`${await response.text()}\n`)
    break
  }
  await sleep(5)
}
await server.stop()
