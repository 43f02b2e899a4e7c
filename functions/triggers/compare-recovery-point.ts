import { compareRecoveryPoint } from '../http/compare-recovery-point.ts'
import { registerEndpoint } from '../http/endpoint.ts'

registerEndpoint(compareRecoveryPoint)
