/**
 * Backs up many small VMs at once: the built app and the local Durable engine in this process, over a platform and a store in memory, so
 * that what is left is orchestration. Answers `{"secondsPerVm":{"10":...,"1000":...}}` by message. Started by
 * `bench/support/structural-rows.ts`. Arguments: folder of the task hub, then the large number of VMs.
 */
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createDurableEngine } from '../local/host/durable/engine.ts'
import type { InvocationRequest } from '../local/host/invocation.ts'
import { runInvocation } from '../local/host/worker/child/run-invocation.ts'
import { createVaultKeys } from '../shared/vault/vault-keys.ts'
import { startHubServer } from '../test/sim/support/hub-server.ts'
import { loadBuiltApp } from './support/loaded-app.ts'
import { manyVms } from './support/many-vms.ts'
import { createQuietStore } from './support/quiet-store.ts'
import { median } from './support/statistics.ts'

const few = 10
const rounds = 5
const [folder = '', many = '1000'] = process.argv.slice(2)

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

/** @returns seconds until every VM of the group has its recovery point and nothing is claimed any more */
const backUpGroup = async (group: string, count: number): Promise<number> => {
  const before = vault.countBelow('recovery-points')
  const began = performance.now()
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
  while (control.countBelow('claims') > 0 || vault.countBelow('recovery-points') < before + count) await sleep(5)
  return (performance.now() - began) / 1000
}

// Code that runs for the first time is slower; that is not what grows with the number of VMs.
await backUpGroup('vms-100-warm', 100)
const fewSeconds: number[] = []
for (let round = 0; round < rounds; round += 1) fewSeconds.push(await backUpGroup(`vms-${few}-${round}`, few))
const manySeconds = await backUpGroup(`vms-${many}-many`, Number(many))
process.send?.({ secondsPerVm: { few: median(fewSeconds) / few, many: manySeconds / Number(many) } }, () =>
  process.exit(),
)
