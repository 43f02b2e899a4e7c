import { transferDiskSlice } from '../../shared/jobs/transfer-disk-slice.ts'
import { transferSlice } from '../contracts.ts'
import { registerActivity } from '../services.ts'
import { transferSlots } from '../transfer-slots.ts'

/** Idempotent by the slice of the disk of the recovery point: its index is created once. */
registerActivity(transferSlice, (deps, input) => transferSlots(() => transferDiskSlice(deps, input)))
