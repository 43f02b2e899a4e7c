import { registerEndpoint } from '../http/endpoint.ts'
import { expireRecoveryPointNow } from '../http/expire-recovery-point.ts'

registerEndpoint(expireRecoveryPointNow)
