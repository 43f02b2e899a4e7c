import { registerEndpoint } from '../http/endpoint.ts'
import { vaultMaintenance } from '../http/maintenance.ts'

registerEndpoint(vaultMaintenance)
