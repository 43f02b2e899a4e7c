import { connectStorage } from '../../../shared/azure/storage-connection.ts'
import { collectGarbage } from '../../../shared/vault/collect-garbage.ts'

/** A collector in a process of its own, to be killed at any moment: `node worker.ts <connection string> <vault container> <control container> <id>`.
 * It makes pass after pass and prints one line for each call. */
const [connectionString = '', vaultContainer = '', controlContainer = '', id = ''] = process.argv.slice(2)
const { vault, control } = connectStorage({
  connection: { kind: 'connectionString', connectionString },
  vaultContainer,
  controlContainer,
})
const deps = { vault, control, clock: { now: () => new Date() } }

process.once('disconnect', () => process.exit())
console.log('begins 0')
for (let pass = 0; ; ) {
  const { kind, swept } = await collectGarbage(deps, { passId: `pass-${id}-${pass}`, objectsMax: 7 })
  if (kind === 'done') pass += 1
  console.log(`${kind} ${swept.removed}`)
}
