import { link, mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Parts, portsFor, startParts } from '../../local/demo/parts.ts'
import { workerPeakMiB } from './backup-over-http.ts'
import type { EngineResult } from './engine-order.ts'
import { chill, warm } from './page-cache.ts'
import { boundRow, type Row } from './row.ts'
import { runEngine } from './run-engine.ts'
import { median } from './statistics.ts'
import type { WorkImages } from './work-images.ts'

const subscription = '5b0b3a3e-5d4f-4c39-9d4a-4d4f5e0f1c11'
const vmName = 'measured'
const vmId = `/subscriptions/${subscription}/resourceGroups/bench/providers/Microsoft.Compute/virtualMachines/${vmName}`
const pollMs = 50

interface Round {
  readonly hostedSeconds: number
  readonly alone: EngineResult
  readonly workerPeakMiB: number
}

/** The same full backup as a job through the local Functions host, and by the engine in a process of its own; both ask a compute emulator for
 * everything, the restore point included, and write to an Azurite. */
export const hostRows = async (
  folder: string,
  images: WorkImages,
  runs: number,
  say: (line: string) => void,
): Promise<readonly Row[]> => {
  const rounds: Round[] = []
  for (let round = 0; round < runs; round += 1) {
    await rm(folder, { recursive: true, force: true })
    const measured = await oneRound(folder, images, round)
    rounds.push(measured)
    say(
      `host round ${round + 1}: job ${measured.hostedSeconds.toFixed(2)} s, engine ${measured.alone.wallSeconds.toFixed(2)} s`,
    )
  }
  await rm(folder, { recursive: true, force: true })
  const ratios = rounds.map(({ hostedSeconds, alone }) => hostedSeconds / alone.wallSeconds)
  const platform = median(rounds.map(({ alone }) => alone.stepSeconds.takeRestorePoint ?? 0))
  const without = rounds.map(({ hostedSeconds, alone }) => (hostedSeconds - platform) / (alone.wallSeconds - platform))
  return [
    boundRow({
      goal: 'whole job through the Functions host, over the engine alone, full',
      value: median(ratios),
      atMost: 1.15,
      unit: 'x',
      note: `${median(without).toFixed(2)}x without the ${platform.toFixed(1)} s of the platform's restore point`,
    }),
    boundRow({
      goal: "peak memory of the app's worker process in that job",
      value: median(rounds.map((round) => round.workerPeakMiB)),
      atMost: 256,
      unit: ' MiB',
      digits: 0,
      note: 'local host, plain HTTP',
    }),
  ]
}

/** Both orders in turn, each backup with a machine of its own: who comes second on one finds its storage busy with what the first has written. */
const oneRound = async (folder: string, images: WorkImages, round: number): Promise<Round> => {
  const hosted = () =>
    onParts(join(folder, 'hosted'), images, async ({ origin }) => ({
      hostedSeconds: await hostedBackup(origin),
      workerPeakMiB: await workerPeakMiB(origin),
    }))
  const alone = () => onParts(join(folder, 'alone'), images, ({ parts }) => runAlone(parts))
  const first = round % 2 === 0 ? null : await alone()
  const measured = await hosted()
  return { ...measured, alone: first ?? (await alone()) }
}

interface Started {
  readonly parts: Parts
  readonly origin: string
}

/** Everything that `npm start` starts, over one VM with the disk. */
const onParts = async <Measured>(
  folder: string,
  images: WorkImages,
  measure: (started: Started) => Promise<Measured>,
): Promise<Measured> => {
  const dataFolder = join(folder, 'azure')
  await mkdir(dataFolder, { recursive: true })
  // The emulator wants a file for each disk.
  await link(images.base.path, join(folder, 'disk.img'))
  const disks = [{ name: `${vmName}-os`, lun: 'os', image: 'disk.img' }]
  const virtualMachines = [{ name: vmName, resourceGroup: 'bench', osType: 'Linux', disks }]
  const fleetPath = join(folder, 'fleet.json')
  const resourceGroups = [{ name: 'bench', location: 'westeurope' }]
  await writeFile(fleetPath, JSON.stringify({ subscription, resourceGroups, virtualMachines }))
  await warm(images.base)
  await chill(dataFolder)
  const options = { dataFolder, fleetPath, subscriptionIds: [subscription], ports: 'any' as const }
  const ports = await portsFor(options)
  const parts = await startParts(options, ports)
  await using stack = new AsyncDisposableStack()
  stack.use(parts.azurite)
  stack.defer(() => parts.compute.stop())
  stack.defer(() => parts.host.stop())
  return await measure({ parts, origin: `http://127.0.0.1:${ports.hostPort}` })
}

const runAlone = ({ azurite, environment }: Parts): Promise<EngineResult> =>
  runEngine({ connectionString: azurite.connectionString, environment }, { kind: 'platformBackup', vmId })

const hostedBackup = async (origin: string): Promise<number> => {
  const began = performance.now()
  const accepted = await fetch(`${origin}/api/backups`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ vmId }),
  })
  const { jobId } = (await accepted.json()) as { readonly jobId: string }
  for (;;) {
    const asked = await fetch(`${origin}/api/jobs/${jobId}`)
    const { outcome } = (await asked.json()) as { readonly outcome: { readonly kind: string } | null }
    if (outcome?.kind === 'completed') return (performance.now() - began) / 1000
    if (outcome !== null && outcome !== undefined) throw new Error(JSON.stringify(outcome))
    await sleep(pollMs)
  }
}
