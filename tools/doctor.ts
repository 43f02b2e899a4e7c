import { fileURLToPath } from 'node:url'
import { readAppSettings } from '../local/host/app-settings.ts'
import { safeMessage } from '../shared/jobs/step-failure.ts'
import { vmTrialOf } from './doctor/check-vm.ts'
import { helpText, parseOptions } from './doctor/options.ts'
import { runDoctor } from './doctor/run-doctor.ts'

/** `npm run doctor`: what only a real account can show. Exit codes: 0 all is well; 1 there are problems; 2 wrong options. */
const main = async (): Promise<number> => {
  const parsed = parseOptions(process.argv.slice(2))
  switch (parsed.kind) {
    case 'help':
      console.log(helpText)
      return 0
    case 'wrong':
      console.error(parsed.message)
      return 2
    case 'run':
      return run(parsed.vmId)
    default:
      return parsed satisfies never
  }
}

const run = async (vmId: string | null): Promise<number> => {
  const environment = await readAppSettings(fileURLToPath(new URL('..', import.meta.url)), process.env)
  // The identity and the SDKs read theirs from the process: IDENTITY_ENDPOINT, AZURE_TENANT_ID, HTTPS_PROXY and the like.
  Object.assign(process.env, environment)
  const trial = vmId === null ? null : vmTrialOf(vmId, interruption())
  return runDoctor({ environment, trial, say: (line) => console.log(line) })
}

/** Ctrl-C breaks the trial of a VM off and lets it clean up; a second one ends the process. */
const interruption = (): AbortSignal => {
  const interrupted = new AbortController()
  process.once('SIGINT', () => {
    console.log('Interrupted: what was made is removed. Ctrl-C again leaves it.')
    interrupted.abort(new Error('It was interrupted.'))
  })
  return interrupted.signal
}

process.exit(
  await main().catch((error: unknown) => {
    console.error(safeMessage(error))
    return 1
  }),
)
