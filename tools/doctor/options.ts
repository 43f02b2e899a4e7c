import { parseArgs } from 'node:util'
import { parseResourceId } from '../../shared/azure/resource-id.ts'

export type ParsedOptions =
  /** `vmId`: the VM of the deeper part; null without it. */
  | { readonly kind: 'run'; readonly vmId: string | null }
  | { readonly kind: 'help' }
  | { readonly kind: 'wrong'; readonly message: string }

export const helpText = `npm run doctor [-- OPTION...]

Tells, check by check, whether the app would work with these settings, and what to do where it would not. The settings are those of the
app: the environment, and under it local.settings.json in the folder of the project. Whoever is signed in here is who is checked.

  --vm VMID   also take two restore points of this VM, read a little of them, and remove them again
  --help      this text

Exit code: 0 all is well, 1 there are problems, 2 wrong options. Options go behind \`--\`, which npm needs:
npm run doctor -- --vm /subscriptions/<id>/resourceGroups/<group>/providers/Microsoft.Compute/virtualMachines/<name>`

export const parseOptions = (args: readonly string[]): ParsedOptions => {
  const wrong = (why: string): ParsedOptions => ({ kind: 'wrong', message: `${why}\n\n${helpText}` })
  try {
    const { values } = parseArgs({
      args: [...args],
      options: { vm: { type: 'string' }, help: { type: 'boolean', short: 'h' } },
    })
    if (values.help) return { kind: 'help' }
    if (values.vm === undefined) return { kind: 'run', vmId: null }
    if (parseResourceId(values.vm)?.kind === 'virtualMachine') return { kind: 'run', vmId: values.vm }
    return wrong('--vm is not the id of a virtual machine.')
  } catch (error) {
    return wrong(error instanceof Error ? error.message : String(error))
  }
}
