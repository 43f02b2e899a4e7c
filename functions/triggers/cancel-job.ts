import { registerEndpoint } from '../http/endpoint.ts'
import { cancelRunningJob } from '../http/jobs.ts'

registerEndpoint(cancelRunningJob)
