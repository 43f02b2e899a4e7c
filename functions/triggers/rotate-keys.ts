import { registerEndpoint } from '../http/endpoint.ts'
import { rotateKeys } from '../http/rotate-keys.ts'

registerEndpoint(rotateKeys)
