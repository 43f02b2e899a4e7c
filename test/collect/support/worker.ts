import { connectStorage } from '../../../shared/azure/storage-connection.ts'
import { collectGarbage } from '../../../shared/vault/collect-garbage.ts'
import { listVms } from '../../../shared/vault/list-vm-keys.ts'
import { markVm } from '../../../shared/vault/mark-vm.ts'

/** A collector in a process of its own, to be killed at any moment: `node worker.ts <connection string> <vault container> <control container> <id>`.
 * It makes pass after pass, each call after the VM was marked, and prints one line for each call. */
const [connectionString = '', vaultContainer = '', controlContainer = '', id = ''] = process.argv.slice(2)
const { vault, control } = connectStorage({
  connection: { kind: 'connectionString', connectionString },
  vaultContainer,
  controlContainer,
})
const deps = { vault, control, clock: { now: () => new Date() } }

process.once('disconnect', () => process.exit())
console.log('begins 0')
let from: string | null = null
for (let pass = 0; ; ) {
  for await (const vm of listVms(vault, null)) await markVm({ vault, control }, vm)
  const { kind, at, swept } = await collectGarbage(deps, { passId: `pass-${id}-${pass}`, objectsMax: 7, from })
  from = at
  if (kind === 'done') pass += 1
  console.log(`${kind} ${swept.removed}`)
}
