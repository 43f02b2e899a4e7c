import { ArmError, operationNotAllowed } from './arm-error.ts'
import type { EmulatorContext } from './emulator-context.ts'
import type { VmRecord } from './records.ts'
import { restorePointsOfVm } from './vm-conflicts.ts'

/** Least distance of two restore points of a VM (support matrix). The create page says 3 an hour of each kind instead; the
 * stricter of the two is emulated. */
const spacingMs = { application: 3 * 3600_000, crash: 3600_000 }

/** Refuses the 501st point, and with `spacing` on one too soon after the last of its kind.
 * @throws ArmError 409 `OperationNotAllowed`, or 429 with Retry-After */
export const refuseOverLimits = (context: EmulatorContext, vm: VmRecord, crash: boolean): void => {
  const points = restorePointsOfVm(context, vm.id)
  const { restorePointsPerVmMax, spacing } = context.settings()
  if (points.length >= restorePointsPerVmMax)
    throw operationNotAllowed(
      `Virtual machine '${vm.name}' already has ${points.length} restore points; ${restorePointsPerVmMax} are allowed.`,
    )
  if (!spacing) return
  const kind = crash ? 'crash' : 'application'
  const last = Math.max(
    ...points
      .filter((point) => (point.requestedMode === 'CrashConsistent') === crash && point.provisioningState !== 'Failed')
      .map((point) => Date.parse(point.timeCreated)),
  )
  const waitMs = last + spacingMs[kind] - context.nowMs()
  if (waitMs > 0)
    throw new ArmError({
      status: 429,
      code: 'OperationNotAllowed',
      message: `The last restore point of this kind of virtual machine '${vm.name}' is too recent.`,
      details: [
        { code: 'TooManyRequests', target: 'PutRestorePointResource', message: JSON.stringify({ kind, waitMs }) },
      ],
      headers: { 'Retry-After': String(Math.ceil(waitMs / 1000)) },
      unwrapped: true,
    })
}
