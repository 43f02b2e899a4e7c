/** A resource as ARM's JSON has it. */
export type RawResource = Readonly<Record<string, unknown>>

/** Keeps the JSON of one answer beside what the SDK makes of it: a later restore sends the resource back in ARM's own form. */
export const rawOf = (): {
  readonly body: RawResource
  readonly keep: (answer: { readonly bodyAsText?: string | null }) => void
} => {
  let body: RawResource = {}
  return {
    get body() {
      return body
    },
    keep: ({ bodyAsText }) => {
      const parsed: unknown = bodyAsText ? JSON.parse(bodyAsText) : {}
      if (isObject(parsed)) body = parsed
    },
  }
}

/** The VM's resource with those of its disks below `disks`, by label. Left out: what may hold a secret (user data, custom data,
 * passwords, unattended set-up, settings of extensions), and what describes only the moment (instance view, etag). */
export const configurationOf = (vm: RawResource, disks: Readonly<Record<string, RawResource>>): RawResource => {
  const { resources, etag: _etag, ...kept } = vm
  return {
    ...(withoutSecrets(kept) as RawResource),
    ...(Array.isArray(resources) ? { resources: resources.filter(isObject).map(extensionOf) } : {}),
    disks: withoutSecrets(disks),
  }
}

const leftOut: ReadonlySet<string> = new Set([
  'adminpassword',
  'customdata',
  'userdata',
  'additionalunattendcontent',
  'protectedsettings',
  'protectedsettingsfromkeyvault',
  'settings',
  'instanceview',
])

const withoutSecrets = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(withoutSecrets)
  if (!isObject(value)) return value
  const kept = Object.entries(value).filter(([name]) => !leftOut.has(name.toLowerCase()))
  return Object.fromEntries(kept.map(([name, inner]) => [name, withoutSecrets(inner)]))
}

/** Which extension it is, without what it was told: settings are free text of its publisher. */
const extensionOf = (extension: RawResource): RawResource => {
  const properties = isObject(extension.properties) ? extension.properties : {}
  const { publisher, type, typeHandlerVersion, autoUpgradeMinorVersion, enableAutomaticUpgrade } = properties
  return {
    id: extension.id,
    name: extension.name,
    properties: { publisher, type, typeHandlerVersion, autoUpgradeMinorVersion, enableAutomaticUpgrade },
  }
}

const isObject = (value: unknown): value is RawResource =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
