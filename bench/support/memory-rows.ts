import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { loadOrCreateTls } from '../../local/compute/tls.ts'
import { costOfDays } from './order-runner.ts'
import { ourContestant } from './ours.ts'
import { boundRow, type Row } from './row.ts'
import { sinkStorage } from './storage.ts'
import { manyRangesSpec, startTlsSource } from './structural-rows.ts'
import type { WorkImages } from './work-images.ts'

const mebibyte = 2 ** 20
const rssMiBMax = 256

/** Peak memory of one transfer over TLS, both ways, in a process that has loaded the whole app as its worker does. */
export const memoryRows = async (folder: string, images: WorkImages): Promise<readonly Row[]> => {
  await mkdir(join(folder, 'tls'), { recursive: true })
  const { certificatePath } = await loadOrCreateTls(join(folder, 'tls'))
  const tls = { certificatePath, keyPath: join(folder, 'tls/certificate-key.pem') }
  await using source = await startTlsSource(tls)
  await using sink = await sinkStorage(join(folder, 'memory/store'), tls)
  const operations = ['full', 'dayA', 'restore'] as const
  const parts = { name: 'tls', folder: join(folder, 'memory'), images, source, storage: sink, operations, tls }
  const ours = await ourContestant(parts)
  const full = await ours.backUp({ vm: 'measured', image: images.base, source: 'full' })
  const restored = await ours.run('restore')
  const [many] = await costOfDays({ source, sink, tls }, { ...manyRangesSpec, clusters: 1 }, [manyRangesSpec])
  const row = (goal: string, peakRssBytes: number, note: string): Row =>
    boundRow({ goal, value: peakRssBytes / mebibyte, atMost: rssMiBMax, unit: ' MiB', digits: 0, note })
  const most = Object.entries(many?.result.stepPeakBytes ?? {})
    .map(([step, bytes]) => `${step} ${(bytes / mebibyte).toFixed(0)}`)
    .join(', ')
  const idle = `${(full.result.idleRssBytes / mebibyte).toFixed(0)} MiB with the app loaded and idle`
  return [
    row('peak memory of a full transfer over TLS', full.sample.peakRssBytes, idle),
    row('peak memory of a restore over TLS', restored.peakRssBytes, idle),
    row(
      'peak memory with 2.6 million ranges on 32 TiB',
      many?.result.peakRssBytes ?? Number.NaN,
      `MiB after each step: ${most}`,
    ),
  ]
}
