import { fork } from 'node:child_process'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { chill } from './page-cache.ts'
import { message } from './processes.ts'
import { boundRow, type Row } from './row.ts'
import { median, medianRatio } from './statistics.ts'

const few = 10
const rounds = 3

/** Orchestration time of the next VM: many VMs backed up at once, against as many in groups of ten, one group after the other. Both in a
 * process and with a task hub of their own, in turn; so both collect their garbage and write out their hub as often as it takes. */
export const orchestrationRows = async (folder: string, vms: number): Promise<readonly Row[]> => {
  const seconds = { few: [] as number[], many: [] as number[] }
  const measure = {
    few: async () => seconds.few.push(await secondsPerVm(folder, vms, few)),
    many: async () => seconds.many.push(await secondsPerVm(folder, vms, vms)),
  }
  for (let round = 0; round < rounds; round += 1)
    for (const size of round % 2 === 0 ? (['few', 'many'] as const) : (['many', 'few'] as const)) await measure[size]()
  const milliseconds = (values: readonly number[]): string => (median(values) * 1000).toFixed(1)
  return [
    boundRow({
      goal: `orchestration time per VM, ${vms} VMs over ${few} VMs`,
      value: medianRatio(seconds.many, seconds.few),
      atMost: 1.1,
      unit: 'x',
      note: `${milliseconds(seconds.many)} over ${milliseconds(seconds.few)} ms`,
    }),
  ]
}

/** In a fresh process with an empty task hub, and nothing of what was measured before still on its way to the disk. */
const secondsPerVm = async (folder: string, vms: number, together: number): Promise<number> => {
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder, { recursive: true })
  await chill(folder)
  const child = fork(join(import.meta.dirname, '../orchestration.ts'), [folder, String(vms), String(together)], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    env: {
      ...process.env,
      VaultStorage: 'UseDevelopmentStorage=true',
      AZURE_SUBSCRIPTION_IDS: '5b0b3a3e-5d4f-4c39-9d4a-4d4f5e0f1c11',
    },
  })
  const measured = (await message(child)) as { readonly secondsPerVm: number }
  return measured.secondsPerVm
}
