import { sealPlannedDisk } from '../../shared/jobs/seal-planned-disk.ts'
import { sealDisk } from '../contracts.ts'
import { registerActivity } from '../services.ts'

/** Idempotent by the disk of the recovery point: the layer has one name. */
registerActivity(sealDisk, sealPlannedDisk, (events, { facts, outcome }) => {
  if (outcome.kind !== 'sealed') return
  const { disk, fullReason, transfer, sizeBytes, changedBytes, readBytes, storedBytes, milliseconds } = outcome.report
  if (fullReason !== null) events.fullTransferNeeded({ ...facts, disk, reason: fullReason })
  const bytes = { sizeBytes, changedBytes, readBytes, storedBytes }
  events.diskTransferred({ ...facts, disk, transfer: transfer ?? 'full', ...bytes, milliseconds })
})
