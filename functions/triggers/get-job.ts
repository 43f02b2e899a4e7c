import { registerEndpoint } from '../http/endpoint.ts'
import { getJob } from '../http/jobs.ts'

registerEndpoint(getJob)
