import { registerEndpoint } from '../http/endpoint.ts'
import { startBackup } from '../http/start-backup.ts'

registerEndpoint(startBackup)
