import { registerEndpoint } from '../http/endpoint.ts'
import { listJobs } from '../http/jobs.ts'

registerEndpoint(listJobs)
