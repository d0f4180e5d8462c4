/** The durableClient input binding's data, and the URLs in it. */

export const managementPath = '/runtime/webhooks/durabletask';

/** Where the API is and what opens it. */
export interface ApiAddress {
  readonly httpUrl: string;
  readonly hubName: string;
  /** For `code` in URLs: where the host asks for no key it is there because clients copy it. */
  readonly webhookKey: string;
  /** The API for the package's client: a path that nobody but this host's workers is told. */
  readonly rpcPath: string;
}

export function managementUrls(address: ApiAddress, instanceId: string): Record<string, string> {
  const query = requiredQuery(address);
  const instance = `${address.httpUrl}${managementPath}/instances/${encodeURIComponent(instanceId)}`;
  return {
    id: instanceId,
    statusQueryGetUri: `${instance}?${query}`,
    sendEventPostUri: `${instance}/raiseEvent/{eventName}?${query}`,
    terminatePostUri: `${instance}/terminate?reason={text}&${query}`,
    rewindPostUri: `${instance}/rewind?reason={text}&${query}`,
    purgeHistoryDeleteUri: `${instance}?${query}`,
    restartPostUri: `${instance}/restart?${query}`,
    suspendPostUri: `${instance}/suspend?reason={text}&${query}`,
    resumePostUri: `${instance}/resume?reason={text}&${query}`,
  };
}

/** JSON text, the same for every function of the app. */
export function clientBinding(address: ApiAddress): string {
  const { hubName, httpUrl, rpcPath, webhookKey } = address;
  const query = requiredQuery(address);
  const create = `${httpUrl}${managementPath}/orchestrators/{functionName}[/{instanceId}]`;
  return JSON.stringify({
    taskHubName: hubName,
    creationUrls: {
      createNewInstancePostUri: `${create}?${query}`,
      createAndWaitOnNewInstancePostUri: `${create}?timeout={timeoutInSeconds}&pollingInterval={intervalInSeconds}&${query}`,
    },
    managementUrls: managementUrls(address, 'INSTANCEID'),
    baseUrl: `${httpUrl}${managementPath}`,
    requiredQueryStringParameters: `code=${webhookKey}`,
    rpcBaseUrl: `${httpUrl}${rpcPath}/`,
  });
}

function requiredQuery({ hubName, webhookKey }: ApiAddress): string {
  return `taskHub=${hubName}&connection=Storage&code=${webhookKey}`;
}

/** Names of the inputs that want the durable client's data. */
export function durableClientBindings(
  bindings: Readonly<Record<string, { readonly type: string }>>,
): string[] {
  return Object.entries(bindings)
    .filter(([, { type }]) => type === 'durableClient' || type === 'orchestrationClient')
    .map(([name]) => name);
}
