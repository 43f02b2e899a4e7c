/**
 * Backs up many small VMs, so many at once: the built app and the local Durable engine in this process, over a platform and a store in
 * memory, so that what is left is orchestration. Answers `{"secondsPerVm":...}` by message. Started by
 * `bench/support/orchestration-rows.ts`. Arguments: folder of the task hub, VMs in all, VMs at once.
 */
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { createDurableEngine } from '../local/host/durable/engine.ts'
import type { InvocationRequest } from '../local/host/invocation.ts'
import { runInvocation } from '../local/host/worker/child/run-invocation.ts'
import { createVaultKeys } from '../shared/vault/vault-keys.ts'
import { startHubServer } from '../test/sim/support/hub-server.ts'
import { loadBuiltApp } from './support/loaded-app.ts'
import { manyVms } from './support/many-vms.ts'
import { createQuietStore } from './support/quiet-store.ts'

/** Code that runs for the first time is slower, however many VMs there are. */
const warmUpVms = 100
const [folder = '', all = '', atOnce = ''] = process.argv.slice(2)

const [vault, control] = [createQuietStore(), createQuietStore()]
const { app } = await loadBuiltApp((real) => {
  // Slices are moved in this thread: no other one reaches a store in memory.
  const { moveSlice: _, ...others } = real()
  const keys = createVaultKeys({ vault, control, clock: others.clock, wrappers: { wrapWith: null, unwrapWith: [] } })
  return { ...others, ...manyVms(), vault, control, keys }
})
const hub = await startHubServer()
const functions = [...app.loaded.functions.values()].map(({ metadata }) => ({
  name: metadata.name,
  bindings: Object.entries(metadata.bindings).map(([name, binding]) => ({ ...binding, name })),
}))
const invoke = (request: InvocationRequest) => runInvocation(app.loaded, request, () => undefined)
const engine = createDurableEngine({
  databasePath: join(folder, 'hub.sqlite'),
  worker: { functions, invoke },
  hubName: 'Bench',
  maxConcurrentActivityFunctions: 8,
  maxConcurrentOrchestratorFunctions: 16,
  publicOrigin: () => hub.origin,
  systemKey: null,
  onLog: () => undefined,
})
hub.engine = engine
await engine.start()

/** Ends when every VM of the group has its recovery point, nothing is claimed any more and the engine has nothing left to do. */
const backUpGroup = async (group: string, count: number): Promise<void> => {
  const before = vault.countBelow('recovery-points')
  const http = {
    method: 'POST',
    url: 'http://localhost/api/backups',
    headers: { 'content-type': 'application/json' },
    params: {},
    query: {},
    body: { string: JSON.stringify({ selection: { resourceGroups: [group] } }) },
  }
  const bindings = functions.find(({ name }) => name === 'startBackup')?.bindings ?? []
  const inputs = bindings
    .filter(({ direction }) => direction === 'in')
    .map(({ name, type }) => ({
      name,
      value: type === 'durableClient' ? { string: engine.clientBinding() } : { http },
    }))
  const started = await invoke({ invocationId: randomUUID(), functionName: 'startBackup', inputs, triggerMetadata: {} })
  if (started.kind !== 'succeeded') throw new Error(JSON.stringify(started))
  const status = started.returnValue?.http?.statusCode ?? ''
  if (!status.startsWith('20')) throw new Error(`startBackup answered ${JSON.stringify(started.returnValue)}`)
  await engine.idle()
  const [claims, points] = [control.countBelow('claims'), vault.countBelow('recovery-points') - before]
  if (claims > 0 || points !== count) throw new Error(`${group}: ${points} of ${count} backed up, ${claims} claimed`)
}

await backUpGroup(`vms-${warmUpVms}-warm`, warmUpVms)
const [vms, together] = [Number(all), Number(atOnce)]
const began = performance.now()
let done = 0
for (; done < vms; done += together) await backUpGroup(`vms-${together}-${done}`, together)
process.send?.({ secondsPerVm: (performance.now() - began) / 1000 / done }, () => process.exit())
