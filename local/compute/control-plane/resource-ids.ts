/** The parts of a Microsoft.Compute resource id; `segments` are type and name in turn. */
export interface ComputeResourceId {
  readonly subscriptionId: string
  readonly resourceGroup: string
  readonly segments: readonly string[]
}

/** The ARM id of a resource of Microsoft.Compute. @param segments type, name, child type, child name, … */
export const computeId = (subscriptionId: string, resourceGroup: string, ...segments: readonly string[]): string =>
  `/subscriptions/${subscriptionId}/resourceGroups/${resourceGroup}/providers/Microsoft.Compute/${segments.join('/')}`

/** Splits an ARM id of Microsoft.Compute; null where it is none. A missing leading slash is taken, as the service does. */
export const parseComputeId = (text: string): ComputeResourceId | null => {
  const match =
    /^\/?subscriptions\/([^/]+)\/resourceGroups\/([^/]+)\/providers\/Microsoft\.Compute\/([^/]+(?:\/[^/]+)*)$/i.exec(
      text,
    )
  const [, subscriptionId, resourceGroup, rest] = match ?? []
  if (subscriptionId === undefined || resourceGroup === undefined || rest === undefined) return null
  const segments = rest.split('/')
  return segments.length % 2 === 0 ? { subscriptionId, resourceGroup, segments } : null
}

/** ARM compares ids without case and with one leading slash. */
export const idKey = (id: string): string => (id.startsWith('/') ? id : `/${id}`).toLowerCase()

/** Last segment of an id. */
export const nameOf = (id: string): string => id.slice(id.lastIndexOf('/') + 1)
