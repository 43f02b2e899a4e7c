import { vmKeyOf } from '../../shared/domain/ids.ts'
import type { Fleet } from '../compute/fleet.ts'
import { timerRoute } from './app-api.ts'
import { vmIdOf } from './fleet-disks.ts'

/** Requests to try while the local Azure stays up, with the ids of the fleet's first VM.
 * @param armEndpoint of the compute emulator, without a slash at its end */
export const curlHints = (hostOrigin: string, armEndpoint: string, fleet: Fleet): readonly string[] => {
  const vm = fleet.virtualMachines[0]
  const vmId = vm === undefined ? '<id of a VM>' : vmIdOf(fleet, vm)
  const vmKey = vm === undefined ? '<vmKey>' : vmKeyOf(vmIdOf(fleet, vm))
  const json = `-H 'content-type: application/json'`
  return [
    'The virtual machines, their recovery points and the jobs:',
    `  curl ${hostOrigin}/api/vms`,
    `  curl ${hostOrigin}/api/vms/${vmKey}/recovery-points`,
    `  curl ${hostOrigin}/api/jobs`,
    'Back a VM up now, and see how it goes; the answer names the jobId:',
    `  curl -X POST ${hostOrigin}/api/backups ${json} -d '{"vmId":"${vmId}"}'`,
    `  curl ${hostOrigin}/api/jobs/<jobId>`,
    'Restore the disks of its newest recovery point into new disks:',
    `  curl -X POST ${hostOrigin}/api/restores ${json} -d '{"vmKey":"${vmKey}","recoveryPointId":"latest"}'`,
    'See the raw file behind each disk, those of a restore included:',
    `  curl -k ${armEndpoint}/_emulator/images`,
    'Compare its newest recovery point, byte by byte, with the copies that it was made from; the answer names the jobId:',
    `  curl -X POST ${hostOrigin}/api/vms/${vmKey}/recovery-points/latest/compare`,
    'Go over the vault now, as each night: of each day the policy keeps the newest recovery point. See what was done, and what is damaged:',
    `  curl -X POST ${hostOrigin}/api/maintenance`,
    `  curl ${hostOrigin}/api/maintenance`,
    `  curl ${hostOrigin}/api/damage`,
    'Encrypt what comes from now on under a new data key:',
    `  curl -X POST ${hostOrigin}/api/keys/rotate ${json} -d '{"what":"data-key"}'`,
    'Let the timer look for what is due:',
    `  curl -X POST ${hostOrigin}${timerRoute} ${json} -d '{"input":""}'`,
  ]
}
