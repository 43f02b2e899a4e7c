import { ArmError } from './arm-error.ts'

/** Regions of the public cloud, also those that are open to some subscriptions only. */
const regions: ReadonlySet<string> = new Set(
  `australiacentral australiacentral2 australiaeast australiasoutheast austriaeast belgiumcentral brazilsouth
  brazilsoutheast canadacentral canadaeast centralindia centralus chilecentral eastasia eastus eastus2 francecentral
  francesouth germanynorth germanywestcentral indonesiacentral israelcentral italynorth japaneast japanwest
  jioindiacentral jioindiawest koreacentral koreasouth malaysiawest mexicocentral newzealandnorth northcentralus
  northeurope norwayeast norwaywest polandcentral qatarcentral southafricanorth southafricawest southcentralus
  southeastasia southindia spaincentral swedencentral swedensouth switzerlandnorth switzerlandwest uaecentral uaenorth
  uksouth ukwest westcentralus westeurope westindia westus westus2 westus3`.split(/\s+/),
)

/** `West US` and `westus` are one region. */
export const normalLocation = (location: string): string => location.replaceAll(' ', '').toLowerCase()

/** @param location in any spelling */
export const isRegion = (location: string): boolean => regions.has(normalLocation(location))

/** The region that the body of a new or changed resource names, in its plain spelling.
 * @param resourceType as `Microsoft.Compute/disks`
 * @throws ArmError 400 `LocationRequired`, or `LocationNotAvailableForResourceType` for a region that there is not */
export const requireLocation = (body: unknown, resourceType: string): string => {
  const location = (body as { location?: unknown } | null | undefined)?.location
  if (typeof location !== 'string' || location.trim() === '')
    throw new ArmError({
      status: 400,
      code: 'LocationRequired',
      message: 'The location property is required for this definition.',
    })
  if (!isRegion(location))
    throw new ArmError({
      status: 400,
      code: 'LocationNotAvailableForResourceType',
      message: `The provided location '${location}' is not available for resource type '${resourceType}'. List of available regions for the resource type is '${[...regions].join(',')}'.`,
    })
  return normalLocation(location)
}
