import { isId } from '../../shared/domain/ids.ts'
import type { Policy } from '../../shared/domain/policy.ts'
import type { RecoveryPoint } from '../../shared/domain/recovery-point.ts'
import type { VmDescription } from '../../shared/domain/vm.ts'
import { VaultError } from '../../shared/format/vault-error.ts'
import { forEachBounded } from '../../shared/jobs/for-each-bounded.ts'
import type { JobDeps } from '../../shared/jobs/job-deps.ts'
import { listPolicies, type PolicyProblem } from '../../shared/jobs/policies.ts'
import { selectVms } from '../../shared/jobs/select-vms.ts'
import type { Told } from '../../shared/jobs/told-outcome.ts'
import type { BlobReader } from '../../shared/ports/blob-store.ts'
import { listVmKeys } from '../../shared/vault/list-vm-keys.ts'
import {
  latestReadableRecoveryPoint,
  listRecoveryPoints,
  type RecoveryPointKey,
  readRecoveryPoint,
} from '../../shared/vault/recovery-points.ts'
import type { Services } from '../services.ts'
import { earlierRevision, nextIsFull } from './damaged-record.ts'
import { type Endpoint, json } from './endpoint.ts'
import { knownDamage } from './known-damage.ts'
import { unknownVm } from './known-vm.ts'
import { idParameter, topParameter } from './parameters.ts'

/** Records read at the same time. */
const readsAtOnce = 8

/** GET: the VMs that the policies select, and the others that the vault holds, each with its key and its last recovery point whose record can be read. */
export const listVms: Endpoint = {
  name: 'listVms',
  route: 'vms',
  methods: {
    GET: async ({ deps }) => {
      const { selected, problems } = await selectedVms(deps)
      const vms: unknown[] = []
      await forEachBounded(selected.values(), readsAtOnce, async ({ vm, policies }) => {
        vms.push(vmView(vm, policies, await latestReadableRecoveryPoint(deps.vault, vm.vmKey)))
      })
      return json(200, { vms, notSelected: await othersInVault(deps, selected), problems })
    },
  },
}

/** VMs that no policy selects, be they deleted: whoever has lost one needs its key. In order of their keys. */
const othersInVault = async (
  deps: Pick<Services, 'vault'>,
  selected: ReadonlyMap<string, unknown>,
): Promise<readonly unknown[]> => {
  const others: { readonly vmKey: string; readonly [field: string]: unknown }[] = []
  await forEachBounded(listVmKeys(deps.vault, null), readsAtOnce, async (vmKey) => {
    if (selected.has(vmKey)) return
    const { found, damaged } = await latestReadableRecoveryPoint(deps.vault, vmKey)
    if (found === null && damaged === 0) return
    const { vmId, name, location } = found?.recoveryPoint.vm ?? { vmId: null, name: null, location: null }
    others.push({ vmKey, vmId, name, location, ...lastOf({ found, damaged }) })
  })
  return others.sort((one, other) => (one.vmKey < other.vmKey ? -1 : 1))
}

const selectedVms = async (deps: Services) => {
  const selected = new Map<string, { readonly vm: VmDescription; readonly policies: string[] }>()
  const problems: (Told & { policy: string })[] = []
  for await (const found of listPolicies(deps.control)) {
    if (found.kind === 'problem') problems.push(toldPolicy(found))
    else await addVms(deps, found.policy, selected)
  }
  return { selected, problems }
}

const toldPolicy = ({ name, problem }: PolicyProblem): Told & { readonly policy: string } => ({
  policy: name,
  code: 'policy-invalid',
  reason: problem,
  hint: 'Correct the document in the control container; until then the policy is not followed.',
})

const addVms = async (
  deps: Services,
  policy: Policy,
  selected: Map<string, { readonly vm: VmDescription; readonly policies: string[] }>,
): Promise<void> => {
  for await (const vm of selectVms(deps, policy.selection, deps.subscriptionIds)) {
    const known = selected.get(vm.vmKey)
    if (known === undefined) selected.set(vm.vmKey, { vm, policies: [policy.name] })
    else known.policies.push(policy.name)
  }
}

const vmView = (vm: VmDescription, policies: readonly string[], latest: Latest) => ({
  vmKey: vm.vmKey,
  vmId: vm.vmId,
  name: vm.name,
  location: vm.location,
  osType: vm.osType,
  isRunning: vm.isRunning,
  policies,
  disks: vm.disks.map(({ disk, name, sizeBytes }) => ({ disk, name, sizeBytes })),
  unsupported: vm.unsupported.map(({ disk, reason }) => ({
    disk,
    code: 'unsupported-disk',
    reason,
    hint: 'Exclude it by excludedDisks of the policy or of the request.',
  })),
  ...lastOf(latest),
})

type Latest = Pick<Awaited<ReturnType<typeof latestReadableRecoveryPoint>>, 'found' | 'damaged'>

const lastOf = ({ found, damaged }: Latest) => ({
  lastRecoveryPoint: found === null ? null : recoveryPointView(found.recoveryPoint),
  /** Newer ones whose record is damaged; GET vms/{vmKey}/recovery-points names them. */
  newerUnreadable: damaged,
})

/** GET: a VM's recovery points, the newest first, each with the disks that are known to be damaged; those whose record cannot be read stand apart,
 * with what to do. */
export const listVmRecoveryPoints: Endpoint = {
  name: 'listRecoveryPoints',
  route: 'vms/{vmKey}/recovery-points',
  methods: {
    GET: async ({ request, deps }) => {
      const vmKey = idParameter(request, 'vmKey')
      const { recoveryPoints, unreadable } = await newest(deps, vmKey, topParameter(request, 200, 50))
      if (recoveryPoints.length + unreadable.length === 0) throw unknownVm(vmKey)
      const damagedDisks = await knownDamage(deps, vmKey)
      const views = recoveryPoints.map((recoveryPoint) => ({
        ...recoveryPointView(recoveryPoint),
        damaged: damagedDisks(recoveryPoint.recoveryPointId),
      }))
      return json(200, { vmKey, recoveryPoints: views, unreadable })
    },
  },
}

type UnreadablePoint = Told & { readonly recoveryPointId: string }

interface NewestPoints {
  readonly recoveryPoints: readonly RecoveryPoint[]
  readonly unreadable: readonly UnreadablePoint[]
}

const newest = async (deps: Pick<JobDeps, 'vault'>, vmKey: string, top: number): Promise<NewestPoints> => {
  const ids: string[] = []
  for await (const { recoveryPointId } of listRecoveryPoints(deps.vault, vmKey))
    if (isId(recoveryPointId)) ids.push(recoveryPointId)
  const found = new Map<string, RecoveryPoint>()
  const failed = new Map<string, UnreadablePoint>()
  const wanted = ids.reverse().slice(0, top)
  await forEachBounded(wanted, readsAtOnce, async (recoveryPointId) => {
    try {
      const record = await readRecoveryPoint(deps.vault, { vmKey, recoveryPointId })
      if (record !== null) found.set(recoveryPointId, record.recoveryPoint)
    } catch (error) {
      if (!(error instanceof VaultError)) throw error
      failed.set(recoveryPointId, await unreadableView(deps.vault, { vmKey, recoveryPointId }, error))
    }
  })
  return {
    recoveryPoints: wanted.flatMap((recoveryPointId) => found.get(recoveryPointId) ?? []),
    unreadable: wanted.flatMap((recoveryPointId) => failed.get(recoveryPointId) ?? []),
  }
}

const unreadableView = async (
  vault: BlobReader,
  key: RecoveryPointKey,
  error: VaultError,
): Promise<UnreadablePoint> => {
  const { vmKey, recoveryPointId } = key
  const told = { recoveryPointId, code: `vault-${error.fault.code}`, reason: error.message }
  if (error.fault.code === 'unsupported-version') return { ...told, hint: error.hint }
  const end = `To give it up, end it by POST vms/${vmKey}/recovery-points/${recoveryPointId}/expire.`
  return {
    ...told,
    hint: [error.hint, await earlierRevision(vault, key, error), nextIsFull, end].join(' ').replace(/ {2,}/g, ' '),
  }
}

const recoveryPointView = (recoveryPoint: RecoveryPoint) => ({
  recoveryPointId: recoveryPoint.recoveryPointId,
  jobId: recoveryPoint.jobId,
  takenAt: recoveryPoint.takenAt,
  committedAt: recoveryPoint.committedAt,
  consistency: recoveryPoint.consistency,
  consistentAcrossDisks: recoveryPoint.consistentAcrossDisks,
  baseRecoveryPointId: recoveryPoint.baseRecoveryPointId,
  keyId: recoveryPoint.keyId,
  disks: recoveryPoint.disks.map(
    ({
      disk,
      name,
      sizeBytes,
      transfer,
      fullReason,
      compression,
      changedBytes,
      readBytes,
      storedPlainBytes,
      storedBytes,
    }) => ({
      disk,
      name,
      sizeBytes,
      transfer,
      fullReason,
      compression,
      changedBytes,
      readBytes,
      storedPlainBytes,
      storedBytes,
    }),
  ),
})
