import type { Policy, PolicySelection } from '../../shared/domain/policy.ts'
import type { VmDescription } from '../../shared/domain/vm.ts'
import { listPolicies } from '../../shared/jobs/policies.ts'
import { selectVms } from '../../shared/jobs/select-vms.ts'
import type { Connected } from './connect.ts'
import { type Found, ok, problem } from './finding.ts'

export const readerHint =
  'Give the identity the roles Reader and Disk Snapshot Contributor on the subscriptions, or on the resource groups of the VMs and their disks.'

/** VMs of one policy that are read with all their disks; the others are counted. */
const describedMax = 3

/** Whether the policies can be followed. */
export async function* checkPolicies({ control }: Connected): AsyncGenerator<Found> {
  let count = 0
  for await (const found of listPolicies(control)) {
    count += 1
    yield found.kind === 'policy'
      ? ok(`The policy ${found.policy.name} can be followed.`)
      : problem(
          `The policy ${found.name} cannot be followed: ${found.problem}`,
          `Correct policies/${found.name}.json in the control container; docs/operations.md shows one.`,
        )
  }
  if (count === 0) yield ok('There is no policy: backups are made on request alone.')
}

/** Whether the VMs that the policies select can be listed and read, with their disks. Without a policy, those of all subscriptions. */
export async function* checkCompute(connected: Connected): AsyncGenerator<Found> {
  const policies: Policy[] = []
  for await (const found of listPolicies(connected.control)) if (found.kind === 'policy') policies.push(found.policy)
  for (const { name, selection } of policies) yield* checkSelection(connected, `The policy ${name}`, selection)
  if (policies.length === 0) yield* checkSelection(connected, 'AZURE_SUBSCRIPTION_IDS', {})
}

async function* checkSelection(connected: Connected, by: string, selection: PolicySelection): AsyncGenerator<Found> {
  const listed: string[] = []
  const isWanted = async (vmId: string) => listed.push(vmId) <= describedMax
  const described: VmDescription[] = []
  for await (const vm of selectVms(connected, selection, connected.config.subscriptionIds, isWanted)) described.push(vm)
  yield listed.length > 0
    ? ok(`${by} selects ${listed.length} VM${listed.length === 1 ? '' : 's'}.`)
    : problem(
        `${by} selects no VM.`,
        `Correct the selection, or AZURE_SUBSCRIPTION_IDS. VMs that the identity may not see are not listed: ${readerHint}`,
      )
  for (const vmId of listed.slice(0, describedMax)) {
    const vm = described.find((one) => one.vmId.toLowerCase() === vmId.toLowerCase())
    if (vm === undefined) yield problem(`${vmId} is listed and cannot be read.`, readerHint)
    else yield* disksOf(vm)
  }
}

function* disksOf(vm: VmDescription): Generator<Found> {
  for (const { disk, reason } of vm.unsupported)
    yield problem(
      `The disk ${disk} of ${vm.name} cannot be backed up: ${reason}.`,
      reason === 'not-authorized' ? readerHint : 'Leave the disk out by excludedDisks of the policy, or change it.',
    )
  if (vm.disks.length > 0)
    yield ok(`${vm.name} and its disks can be read (${vm.disks.map(({ disk }) => disk).join(', ')}).`)
}
