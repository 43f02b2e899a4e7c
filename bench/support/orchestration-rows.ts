import { fork } from 'node:child_process'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { message } from './processes.ts'
import { boundRow, type Row } from './row.ts'

/** Orchestration time of the next VM: many VMs backed up at once, against ten. */
export const orchestrationRows = async (folder: string, vms: number): Promise<readonly Row[]> => {
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder, { recursive: true })
  const child = fork(join(import.meta.dirname, '../orchestration.ts'), [folder, String(vms)], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    env: {
      ...process.env,
      VaultStorage: 'UseDevelopmentStorage=true',
      AZURE_SUBSCRIPTION_IDS: '5b0b3a3e-5d4f-4c39-9d4a-4d4f5e0f1c11',
    },
  })
  const { secondsPerVm } = (await message(child)) as { secondsPerVm: { readonly few: number; readonly many: number } }
  const milliseconds = (seconds: number): string => (seconds * 1000).toFixed(0)
  return [
    boundRow({
      goal: `orchestration time per VM, ${vms} VMs over 10 VMs`,
      value: secondsPerVm.many / secondsPerVm.few,
      atMost: 1.1,
      unit: 'x',
      note: `${milliseconds(secondsPerVm.many)} over ${milliseconds(secondsPerVm.few)} ms`,
    }),
  ]
}
