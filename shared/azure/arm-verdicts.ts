import type { Failed, Pending } from '../domain/job-ref.ts'
import type { ArmFailure } from './arm-failure.ts'

/** Waits where the service names none. */
const throttledSeconds = 60
const conflictSeconds = 30

/** Decides whether a failure passes with time or needs somebody. The codes are those of the restore point troubleshooting guide
 * (Azure/Virtual-Machine-Restore-Points), of the Azure Backup troubleshooting pages, which describe the same extension, and of
 * Azure Resource Manager. */
export const verdictOf = (failure: ArmFailure): Pending | Failed => {
  const { status, code, message, retryAfterSeconds } = failure
  if (status === 429 || status === 503 || code === 'TooManyRequests')
    return { kind: 'pending', retryAfterSeconds: retryAfterSeconds ?? throttledSeconds }
  const known = knownRefusals[code] ?? said.find(({ words }) => words.test(message))?.known
  if (known !== undefined) return { kind: 'failed', ...known, message }
  const passes = passing.has(code) || soon.test(message) || (status === 409 && code !== 'OperationNotAllowed')
  if (passes) return { kind: 'pending', retryAfterSeconds: retryAfterSeconds ?? conflictSeconds }
  if (status === 403) return { kind: 'failed', ...notAuthorized, message }
  return {
    kind: 'failed',
    reason: 'platform-refused',
    message: `${code}: ${message}`,
    hint: 'Look the code up in the documentation of Azure Virtual Machines; start again when its cause is gone.',
  }
}

type Known = Pick<Failed, 'reason' | 'hint'>

/** Something else works on the resource, or an access is still open; both end by themselves. */
const passing: ReadonlySet<string> = new Set([
  'AnotherOperationInProgress',
  'Conflict',
  'ConcurrentOperation',
  'ConflictingConcurrentWriteNotAllowed',
  'DiskRestorePointUsedByCustomer',
  'OperationPreempted',
  'RetryableError',
])

const limitReached: Known = {
  reason: 'platform-limit',
  hint: 'Azure keeps at most 500 restore points of a VM and 500 snapshots of a disk, and gives access to 5 snapshots of a disk at once. Remove old ones, and check for locks on the resource group that keep them from being removed.',
}
const notAuthorized: Known = {
  reason: 'not-authorized',
  hint: 'Give the identity of the function app the role that the deployment defines, on the resource group of the VM and of the disks.',
}
const agentNotReady: Known = {
  reason: 'vm-agent-not-ready',
  hint: 'Check in the portal that the VM agent is Ready, and that the VM reaches 168.63.129.16 on ports 80 and 32526; crash consistency needs no agent.',
}
const extensionFailed: Known = {
  reason: 'extension-failed',
  hint: 'Look at the VM snapshot extension in the portal (Extensions); all extensions must be provisioned. Crash consistency needs none.',
}
const unsupportedDisk: Known = {
  reason: 'unsupported-disk',
  hint: 'Leave shared, ephemeral and too large disks out by the policy.',
}
const platformFault: Known = {
  reason: 'platform-fault',
  hint: 'Azure failed inside. Start the backup again; open a support request if it stays.',
}

/** Code `OperationNotAllowed` and status 409 stand for much; the text says whether it passes. */
const soon = /\b(in progress|being (created|updated|deleted|copied)|try again|retry|active shared access)\b/i

const said: readonly { readonly words: RegExp; readonly known: Known }[] = [
  {
    words: /\battached to running VM\b/i,
    known: { reason: 'disk-in-use', hint: 'A disk of a running VM cannot be read; its snapshots can.' },
  },
  {
    words: /\b(networkAccessPolicy|publicNetworkAccess|DenyAll)\b/i,
    known: {
      reason: 'export-denied',
      hint: 'The network settings of the disk forbid its export. Allow access (networkAccessPolicy), or leave the disk out by the policy.',
    },
  },
  {
    words: /\bcookie value 'conectix'/i,
    known: {
      reason: 'footer-missing',
      hint: 'The restored disk was not written to its end. Remove it and start the restore again.',
    },
  },
  { words: /\b(limit|quota|\d+ are allowed|maximum (number|allowed))\b/i, known: limitReached },
]

const knownRefusals: Readonly<Record<string, Known>> = {
  AuthorizationFailed: notAuthorized,
  LinkedAuthorizationFailed: notAuthorized,
  InvalidAuthenticationTokenTenant: {
    reason: 'wrong-tenant',
    hint: 'The identity of the function app belongs to another tenant than the subscription.',
  },
  SubscriptionNotFound: { reason: 'subscription-not-found', hint: 'Correct AZURE_SUBSCRIPTION_IDS.' },
  ReadOnlyDisabledSubscription: { reason: 'subscription-disabled', hint: 'Enable the subscription again.' },
  LocationNotAvailableForResourceType: {
    reason: 'region-not-available',
    hint: 'Name a region that Azure has and the subscription may use (az account list-locations), or leave location out: it is then that of the VM.',
  },
  ScopeLocked: {
    reason: 'resource-locked',
    hint: 'A lock keeps the resource from being changed or removed. Remove the lock from its resource group.',
  },
  RequestDisallowedByPolicy: {
    reason: 'disallowed-by-policy',
    hint: 'An Azure Policy forbids the resource. Exempt restore points and snapshots, or their tags, from it.',
  },
  VMRestorePointClientError: unsupportedDisk,
  UserErrorUnsupportedDiskSize: unsupportedDisk,
  VMAgentStatusCommunicationError: agentNotReady,
  UserErrorGuestAgentStatusUnavailable: agentNotReady,
  GuestAgentSnapshotTaskStatusError: agentNotReady,
  ExtensionOperationFailedForManagedDisks: extensionFailed,
  ExtensionSnapshotFailedNoNetwork: {
    reason: 'extension-no-network',
    hint: 'The snapshot extension reaches no network. Allow 168.63.129.16 on ports 80, 443 and 32526 in the guest.',
  },
  ExtensionSnapshotFailedCOM: {
    reason: 'com-plus-failed',
    hint: 'In the Windows guest, start the services COM+ System Application and Distributed Transaction Coordinator.',
  },
  ExtensionFailedVssWriterInBadState: {
    reason: 'vss-writer-failed',
    hint: 'In the Windows guest, run "vssadmin list writers" and restart the services of writers that are not Stable.',
  },
  UserErrorVmProvisioningStateFailed: {
    reason: 'vm-provisioning-failed',
    hint: 'The VM is in a failed provisioning state. Bring it to Succeeded (start it, or redeploy it) first.',
  },
  UserErrorRpCollectionLimitReached: limitReached,
  UserErrorKeyvaultPermissionsNotConfigured: {
    reason: 'key-vault-not-permitted',
    hint: 'Allow the backup to read the keys and secrets of the encrypted disks in their key vault.',
  },
  BackUpOperationFailed: platformFault,
  BackUpOperationFailedV2: platformFault,
  VMRestorePointInternalError: platformFault,
}
