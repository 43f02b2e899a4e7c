import { registerEndpoint } from '../http/endpoint.ts'
import { listVms } from '../http/vms.ts'

registerEndpoint(listVms)
