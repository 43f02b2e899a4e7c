import type { Operation, Sample } from './contestant.ts'
import type { Samples } from './rounds.ts'
import { type Bound, boundRow, type Row } from './row.ts'
import { median, medianRatio } from './statistics.ts'
import type { WorkImages } from './work-images.ts'

const peers = ['restic', 'borg'] as const
type Peer = (typeof peers)[number]
const ours = ['azurite', 'sink'] as const

const both = (wanted: Readonly<Record<Peer, number>>) => ({ azurite: wanted, sink: wanted })

/** Our stores: Azurite takes a share of the cores that a peer, which writes to a local disk, has for itself. */
const stores = { azurite: 'to Azurite', sink: 'to a file sink' } as const
const restores = { azurite: 'from Azurite', sink: 'from a file sink' } as const

/** Times faster than each peer, by operation and by our store. */
const speedGoals: readonly {
  readonly goal: string
  readonly operation: Operation
  /** What the peers did; the same where absent. */
  readonly theirs?: Operation
  readonly stores: Readonly<Record<'azurite' | 'sink', string>>
  readonly atLeast: Readonly<Record<'azurite' | 'sink', Readonly<Record<Peer, number>>>>
}[] = [
  {
    goal: 'full',
    operation: 'full',
    stores,
    atLeast: { azurite: { restic: 2.5, borg: 1.5 }, sink: { restic: 4, borg: 2 } },
  },
  { goal: 'day A', operation: 'dayA', stores, atLeast: both({ restic: 40, borg: 25 }) },
  {
    goal: 'day A in a worker that has done a backup before',
    operation: 'again',
    theirs: 'dayA',
    stores,
    atLeast: both({ restic: 40, borg: 25 }),
  },
  { goal: 'day B', operation: 'dayB', stores, atLeast: both({ restic: 5, borg: 5 }) },
  { goal: 'restore', operation: 'restore', stores: restores, atLeast: both({ restic: 2, borg: 2 }) },
]

const cpuAtMost: Readonly<Record<Peer, number>> = { restic: 0.25, borg: 0.7 }

/** The rows that come from rounds. Where a peer is missing, its rows say so. */
export const roundRows = (samples: Samples, images: WorkImages, cores: number): readonly Row[] => [
  ...speedGoals.flatMap(({ goal, operation, theirs = operation, stores: names, atLeast }) =>
    ours.flatMap((store) =>
      peers.map((peer) => {
        const [peers, own] = [samples.get(`${peer}/${theirs}`), samples.get(`${store}/${operation}`)]
        const value = ratioOf(peers, own, ({ wallSeconds }) => wallSeconds)
        const bound = { value, atLeast: atLeast[store][peer], unit: 'x faster' }
        return boundRow({ goal: `${goal}, ${names[store]}, against ${peer}`, ...bound })
      }),
    ),
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
