import { registerEndpoint } from '../http/endpoint.ts'
import { resumeEndedJob } from '../http/resume-job.ts'

registerEndpoint(resumeEndedJob)
