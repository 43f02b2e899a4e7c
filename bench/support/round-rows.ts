import type { Operation, Sample } from './contestant.ts'
import type { Samples } from './rounds.ts'
import { type Bound, boundRow, type Row } from './row.ts'
import { median, medianRatio } from './statistics.ts'
import type { WorkImages } from './work-images.ts'

const peers = ['restic', 'borg'] as const
type Peer = (typeof peers)[number]

/** Times faster than each peer, by operation and by our store. */
const speedGoals: readonly {
  readonly goal: string
  readonly ours: string
  readonly operation: Operation
  readonly atLeast: Readonly<Record<Peer, number>>
}[] = [
  { goal: 'full, to Azurite', ours: 'azurite', operation: 'full', atLeast: { restic: 2.5, borg: 1.5 } },
  { goal: 'full, to a file sink', ours: 'sink', operation: 'full', atLeast: { restic: 4, borg: 2 } },
  { goal: 'day A', ours: 'azurite', operation: 'dayA', atLeast: { restic: 40, borg: 25 } },
  { goal: 'day B', ours: 'azurite', operation: 'dayB', atLeast: { restic: 5, borg: 5 } },
  { goal: 'restore', ours: 'azurite', operation: 'restore', atLeast: { restic: 2, borg: 2 } },
]

const cpuAtMost: Readonly<Record<Peer, number>> = { restic: 0.25, borg: 0.7 }

/** The rows that come from rounds. Where a peer is missing, its rows say so. */
export const roundRows = (samples: Samples, images: WorkImages, cores: number): readonly Row[] => [
  ...speedGoals.flatMap(({ goal, ours, operation, atLeast }) =>
    peers.map((peer) => {
      const [theirs, own] = [samples.get(`${peer}/${operation}`), samples.get(`${ours}/${operation}`)]
      const value = ratioOf(theirs, own, ({ wallSeconds }) => wallSeconds)
      return boundRow({ goal: `${goal}, against ${peer}`, value, atLeast: atLeast[peer], unit: 'x faster' })
    }),
  ),
  ...peers.map((peer) =>
    boundRow({
      goal: `client CPU of a full, against ${peer}`,
      value: ratioOf(samples.get('azurite/full'), samples.get(`${peer}/full`), (sample) => sample.clientCpuSeconds),
      atMost: cpuAtMost[peer],
      unit: 'x',
    }),
  ),
  boundRow(busy(samples, cores)),
  boundRow({
    goal: 'day A with 10 ms of source latency, over without',
    value: ratioOf(samples.get('azurite/late'), samples.get('azurite/dayA'), ({ wallSeconds }) => wallSeconds),
    atMost: 1.6,
    unit: 'x',
  }),
  boundRow({
    goal: 'stored per byte changed, day A with zstd',
    value: storedBy(samples, 'dayA') / images.dayA.changedBytes,
    atMost: 0.7,
  }),
  boundRow({
    goal: 'stored per clone',
    value: storedBy(samples, 'clone') / mebibyte,
    atMost: 10,
    unit: ' MiB',
    note: `${(images.clone.changedBytes / mebibyte).toFixed(1)} MiB changed`,
  }),
]

const mebibyte = 2 ** 20

const storedBy = (samples: Samples, operation: Operation): number =>
  median((samples.get(`azurite/${operation}`) ?? []).map(({ storedBytes }) => storedBytes))

const busy = (samples: Samples, cores: number): Bound => ({
  goal: 'full: wall over (CPU of all processes / cores)',
  value: median(
    (samples.get('azurite/full') ?? []).map(
      ({ wallSeconds, allCpuSeconds }) => wallSeconds / ((allCpuSeconds ?? Number.NaN) / cores),
    ),
  ),
  atMost: 1.1,
  note: `${cores} cores`,
})

const ratioOf = (
  above: readonly Sample[] | undefined,
  below: readonly Sample[] | undefined,
  value: (sample: Sample) => number,
): number => medianRatio((above ?? []).map(value), (below ?? []).map(value))
