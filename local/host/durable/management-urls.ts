/** Where the Durable HTTP API answers: for everybody with the system key, and for the app's own client library. */
export const webhookPath = '/runtime/webhooks/durabletask'
export const clientRpcPath = '/durabletask'

export interface HubAddress {
  /** Scheme, host and port, without a slash at the end. */
  readonly origin: string
  readonly hubName: string
  readonly systemKey: string | null
}

/** The URLs by which one instance is managed, keys in the order of the real 202 payload, which has no rewind. */
export function managementUrls(hub: HubAddress, instanceId: string) {
  const instance = `${hub.origin}${webhookPath}/instances/${encodeURIComponent(instanceId)}`
  const query = `taskHub=${hub.hubName}&connection=Storage${code(hub, '&')}`
  return {
    id: instanceId,
    statusQueryGetUri: `${instance}?${query}`,
    sendEventPostUri: `${instance}/raiseEvent/{eventName}?${query}`,
    terminatePostUri: `${instance}/terminate?reason={text}&${query}`,
    purgeHistoryDeleteUri: `${instance}?${query}`,
    restartPostUri: `${instance}/restart?${query}`,
    suspendPostUri: `${instance}/suspend?reason={text}&${query}`,
    resumePostUri: `${instance}/resume?reason={text}&${query}`,
  }
}

/** JSON text of the value of a `durableClient` input binding, as durable-functions 3.x reads it: where the client library
 * sends its calls (`rpcBaseUrl`), and templates for the URLs that it hands out. */
export function clientBinding(hub: HubAddress): string {
  const { statusQueryGetUri, sendEventPostUri, terminatePostUri, ...rest } = managementUrls(hub, 'INSTANCEID')
  const orchestrators = `${hub.origin}${webhookPath}/orchestrators/{functionName}[/{instanceId}]`
  return JSON.stringify({
    taskHubName: hub.hubName,
    creationUrls: {
      createNewInstancePostUri: `${orchestrators}${code(hub, '?')}`,
      createAndWaitOnNewInstancePostUri: `${orchestrators}?timeout={timeoutInSeconds}&pollingInterval={intervalInSeconds}${code(hub, '&')}`,
    },
    managementUrls: {
      ...rest,
      statusQueryGetUri,
      sendEventPostUri,
      terminatePostUri,
      rewindPostUri: terminatePostUri.replace('/terminate?', '/rewind?'),
    },
    baseUrl: `${hub.origin}${webhookPath}`,
    requiredQueryStringParameters: code(hub, ''),
    rpcBaseUrl: `${hub.origin}${clientRpcPath}/`,
  })
}

const code = (hub: HubAddress, before: string): string =>
  hub.systemKey === null ? '' : `${before}code=${encodeURIComponent(hub.systemKey)}`
