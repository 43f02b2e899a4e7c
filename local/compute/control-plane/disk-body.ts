import * as v from 'valibot'
import { badRequest, invalidParameter } from './arm-error.ts'
import { tagsSchema } from './request-body.ts'

const mib = 2 ** 20

/** Sizes of an upload with its footer: CreationData.uploadSizeBytes of the specification. */
const uploadSizeBytesMin = 20_972_032
const uploadSizeBytesMax = 35_183_298_347_520

/** Largest managed disk of the emulator: 32 TiB less 1 GiB, as for all disk types but Ultra. */
const diskSizeGbMax = 32_767

const sizeGb = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(diskSizeGbMax))
const text = v.string()
const object = v.record(v.string(), v.unknown())

const creationDataSchema = v.strictObject({
  createOption: v.picklist(['Empty', 'Upload', 'Copy', 'Restore']),
  sourceResourceId: v.optional(text),
  uploadSizeBytes: v.optional(v.number()),
  logicalSectorSize: v.optional(v.picklist([512])),
})

/** Kept and given back without a meaning of their own here. */
const extraEntries = {
  purchasePlan: v.optional(object),
  supportedCapabilities: v.optional(object),
  securityProfile: v.optional(v.strictObject({ securityType: v.picklist(['TrustedLaunch']) })),
  encryption: v.optional(object),
  tier: v.optional(text),
  supportsHibernation: v.optional(v.boolean()),
  burstingEnabled: v.optional(v.boolean()),
  diskIOPSReadWrite: v.optional(v.number()),
  diskMBpsReadWrite: v.optional(v.number()),
  dataAccessAuthMode: v.optional(v.picklist(['None'])),
  diskAccessId: v.optional(text),
}

const sharedEntries = {
  osType: v.optional(v.picklist(['Linux', 'Windows'])),
  hyperVGeneration: v.optional(v.picklist(['V1', 'V2'])),
  diskSizeGB: v.optional(sizeGb),
  networkAccessPolicy: v.optional(v.picklist(['AllowAll', 'AllowPrivate', 'DenyAll'])),
  publicNetworkAccess: v.optional(v.picklist(['Enabled', 'Disabled'])),
  ...extraEntries,
}

const diskSku = v.strictObject({
  name: v.picklist(['Standard_LRS', 'StandardSSD_LRS', 'StandardSSD_ZRS', 'Premium_LRS', 'Premium_ZRS']),
})
const snapshotSku = v.strictObject({ name: v.picklist(['Standard_LRS', 'Standard_ZRS', 'Premium_LRS']) })

/** Body of Disks_CreateOrUpdate. Shared disks, Ultra and Premium v2 disks, and images as sources are not emulated. */
export const diskBodySchema = v.strictObject({
  location: v.string(),
  tags: v.optional(tagsSchema),
  sku: v.optional(diskSku),
  zones: v.optional(v.array(text)),
  properties: v.strictObject({ creationData: creationDataSchema, ...sharedEntries }),
})

/** Body of Disks_Update: what may change of a disk that exists. */
export const diskPatchSchema = v.strictObject({
  tags: v.optional(tagsSchema),
  sku: v.optional(diskSku),
  properties: v.optional(v.strictObject(sharedEntries)),
})

/** Body of Snapshots_CreateOrUpdate. */
export const snapshotBodySchema = v.strictObject({
  location: v.string(),
  tags: v.optional(tagsSchema),
  sku: v.optional(snapshotSku),
  properties: v.strictObject({
    creationData: creationDataSchema,
    incremental: v.optional(v.boolean()),
    ...sharedEntries,
  }),
})

/** Body of Snapshots_Update. */
export const snapshotPatchSchema = v.strictObject({
  tags: v.optional(tagsSchema),
  sku: v.optional(snapshotSku),
  properties: v.optional(v.strictObject(sharedEntries)),
})

export type SharedProperties = Partial<v.InferOutput<typeof diskBodySchema>['properties']>

/** The passed-through part of the properties. */
export const extraOf = (properties: SharedProperties): Record<string, unknown> =>
  Object.fromEntries(
    Object.keys(extraEntries)
      .map((name) => [name, (properties as Record<string, unknown>)[name]] as const)
      .filter(([, value]) => value !== undefined),
  )

/** Bytes of an upload disk without its footer.
 * @throws ArmError 400: out of range, or not whole MiB plus the footer of 512 bytes (the service's own rule) */
export const uploadBytes = (uploadSizeBytes: number | undefined): number => {
  const target = 'properties.creationData.uploadSizeBytes'
  if (uploadSizeBytes === undefined)
    throw invalidParameter(target, `Required parameter '${target}' is missing (null) for createOption Upload.`)
  if (
    !Number.isSafeInteger(uploadSizeBytes) ||
    uploadSizeBytes < uploadSizeBytesMin ||
    uploadSizeBytes > uploadSizeBytesMax
  )
    throw invalidParameter(
      target,
      `The value ${uploadSizeBytes} of '${target}' is out of range: ${uploadSizeBytesMin} to ${uploadSizeBytesMax}.`,
    )
  if ((uploadSizeBytes - 512) % mib !== 0)
    throw badRequest(
      `'${target}' less the VHD footer of 512 bytes must be a whole number of MiB; it is ${uploadSizeBytes}.`,
    )
  return uploadSizeBytes - 512
}
