/** What was asked for or reached: `crash` (as if the power had failed), `fileSystem`, or `application`. */
export type Consistency = 'crash' | 'fileSystem' | 'application'

/** Which VMs a policy protects. All given conditions hold together; tags compare names without case, values with it. */
export interface VmSelection {
  readonly subscriptionIds: readonly string[]
  readonly resourceGroups?: readonly string[]
  readonly tags?: Readonly<Record<string, string>>
}

/** A managed disk of a VM, as the platform described it when it was asked. */
export interface VmDisk {
  /** `os`, or `lun-<n>` for a data disk: the disk's name inside this project, stable while it stays in its slot. */
  readonly disk: string
  readonly name: string
  readonly diskId: string
  /** Changes when the disk is made anew under the same name. */
  readonly uniqueId: string
  readonly sizeBytes: number
  readonly sku: string
  readonly zones: readonly string[]
  readonly caching: string | null
}

/** A virtual machine with all that a backup and a later restore need to know of it. */
export interface VmDescription {
  /** ARM id as the platform spells it; compared without case. */
  readonly vmId: string
  readonly vmKey: string
  readonly name: string
  readonly location: string
  readonly resourceGroup: string
  readonly osType: 'Linux' | 'Windows'
  readonly hyperVGeneration: 'V1' | 'V2' | null
  readonly isRunning: boolean
  readonly tags: Readonly<Record<string, string>>
  readonly imageReference: string | null
  /** The OS disk first, then data disks by LUN; unmanaged and ephemeral disks are named in `unsupported`. */
  readonly disks: readonly VmDisk[]
  readonly unsupported: readonly { readonly disk: string; readonly reason: string }[]
  /** The VM's resource as ARM returned it, for the restore; secrets are never part of it. */
  readonly configuration: Readonly<Record<string, unknown>>
}
