/** A resource of Microsoft.Compute that this project works on, taken apart. */
export type ComputeResource = { readonly subscriptionId: string; readonly resourceGroup: string } & (
  | { readonly kind: 'virtualMachine' | 'disk' | 'snapshot'; readonly name: string }
  | {
      readonly kind: 'diskRestorePoint'
      readonly collection: string
      readonly restorePoint: string
      readonly name: string
    }
)

/** Ids are compared without case; names keep the case they came in. */
const idPattern = /^\/subscriptions\/([^/]+)\/resourceGroups\/([^/]+)\/providers\/Microsoft\.Compute\/(.+)$/i
const restorePointPattern = /^restorePointCollections\/([^/]+)\/restorePoints\/([^/]+)\/diskRestorePoints\/([^/]+)$/i
const simplePattern = /^(virtualMachines|disks|snapshots)\/([^/]+)$/i

/** Takes an ARM id apart.
 * @returns null where the text is not the id of a VM, disk, snapshot or disk restore point */
export const parseResourceId = (id: string): ComputeResource | null => {
  const [, subscriptionId = '', resourceGroup = '', rest = ''] = idPattern.exec(id) ?? []
  const scope = { subscriptionId, resourceGroup }
  const [, collection, restorePoint, diskRestorePoint] = restorePointPattern.exec(rest) ?? []
  if (collection !== undefined && restorePoint !== undefined && diskRestorePoint !== undefined)
    return { ...scope, kind: 'diskRestorePoint', collection, restorePoint, name: diskRestorePoint }
  const [, type, name] = simplePattern.exec(rest) ?? []
  if (type === undefined || name === undefined) return null
  const kind =
    type.toLowerCase() === 'disks' ? 'disk' : type.toLowerCase() === 'snapshots' ? 'snapshot' : 'virtualMachine'
  return { ...scope, kind, name }
}

/** ARM ids are compared without case. */
export const isSameId = (one: string | undefined, other: string | undefined): boolean =>
  one !== undefined && one.toLowerCase() === other?.toLowerCase()
