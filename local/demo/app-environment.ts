/** What the compute emulator says of itself when it is ready. */
export interface ComputeReady {
  /** TLS on loopback: the official SDKs refuse tokens over plain http. */
  readonly armEndpoint: string
  readonly identityEndpoint: string
  readonly identityHeader: string
  /** The certificate that clients have to trust. */
  readonly certificatePath: string
  /** Where SAS URLs of disks point to. */
  readonly dataPlaneOrigin: string
}

/** The environment of the Functions host: the app settings that point the real Azure clients at the local Azure, over the parent's. Loopback
 * goes round any proxy of the parent's. */
export const appEnvironment = (from: {
  readonly parent: NodeJS.ProcessEnv
  readonly compute: ComputeReady
  readonly connectionString: string
  readonly subscriptionIds: readonly string[]
  readonly hostPort: number
}): NodeJS.ProcessEnv => {
  const direct = [from.parent.NO_PROXY ?? from.parent.no_proxy, '127.0.0.1', 'localhost'].filter(Boolean).join(',')
  return {
    ...from.parent,
    NO_PROXY: direct,
    no_proxy: direct,
    FUNCTIONS_WORKER_RUNTIME: 'node',
    WEBSITE_HOSTNAME: `127.0.0.1:${from.hostPort}`,
    VaultStorage: from.connectionString,
    AZURE_SUBSCRIPTION_IDS: from.subscriptionIds.join(','),
    AZURE_RESOURCE_MANAGER_ENDPOINT: from.compute.armEndpoint,
    IDENTITY_ENDPOINT: from.compute.identityEndpoint,
    IDENTITY_HEADER: from.compute.identityHeader,
    NODE_EXTRA_CA_CERTS: from.compute.certificatePath,
    BACKUP_SWEEP_SCHEDULE: sweepSchedule,
    MAINTENANCE_SCHEDULE: maintenanceSchedule,
    ACTIVITY_RETRY_FIRST_MS: '500',
  }
}

/** What the Functions runtime of Azure needs over that: a storage account with queues and tables for its own state, and this Node for its
 * worker, which it takes from the PATH.
 * @param nodeFolder the folder with the program `node` */
export const coreToolsEnvironment = (environment: NodeJS.ProcessEnv, nodeFolder: string): NodeJS.ProcessEnv => ({
  ...environment,
  AzureWebJobsStorage: environment.VaultStorage,
  PATH: `${nodeFolder}:${environment.PATH ?? ''}`,
  FUNCTIONS_CORE_TOOLS_TELEMETRY_OPTOUT: '1',
})

/** Each quarter of a minute: people who look on do not wait for minutes. */
const sweepSchedule = '*/15 * * * * *'

/** Once a day, as in Azure; `POST maintenance` begins a pass at once. */
const maintenanceSchedule = '0 30 3 * * *'
