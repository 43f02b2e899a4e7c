import { planDiskTransfer } from '../../shared/jobs/plan-disk-transfer.ts'
import { planDisk } from '../contracts.ts'
import { registerActivity } from '../services.ts'
import { leanly, makeRoomForMany } from '../transfer-slots.ts'

/** Idempotent by the disk of the recovery point: the first plan stays. */
registerActivity(
  planDisk,
  async (deps, input) => {
    const outcome = await leanly(() => planDiskTransfer(deps, input))
    if (outcome.kind === 'planned' && outcome.slices > 1) makeRoomForMany()
    return outcome
  },
  (events, { facts, outcome }) => {
    if (outcome.kind !== 'planned' || outcome.unchanged === undefined) return
    const { disk, sizeBytes, changedBytes, readBytes, storedBytes, milliseconds } = outcome.unchanged
    const bytes = { sizeBytes, changedBytes, readBytes, storedBytes }
    events.diskTransferred({ ...facts, disk, transfer: 'incremental', ...bytes, milliseconds })
  },
)
