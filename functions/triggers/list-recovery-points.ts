import { registerEndpoint } from '../http/endpoint.ts'
import { listVmRecoveryPoints } from '../http/vms.ts'

registerEndpoint(listVmRecoveryPoints)
