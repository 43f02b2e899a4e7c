import { registerEndpoint } from '../http/endpoint.ts'
import { startRestore } from '../http/start-restore.ts'

registerEndpoint(startRestore)
