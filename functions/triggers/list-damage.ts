import { listVaultDamage } from '../http/damage.ts'
import { registerEndpoint } from '../http/endpoint.ts'

registerEndpoint(listVaultDamage)
