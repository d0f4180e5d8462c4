import type { DefaultAzureCredential } from '@azure/identity';
import { EventHubConsumerClient, EventHubProducerClient } from '@azure/event-hubs';
import { StreamError } from '../model/errors';
import { EventHubReader, EventHubSender, hubRetryOptions } from './event-hubs';
import { guardLinkAddresses } from './link-address';

/** Where the hubs are: a connection string (the emulator), or a namespace and who we are to it. */
export interface HubAccount {
  readonly connectionString: string | null;
  readonly namespace: string | null;
}

/** Reads one hub with one consumer group. Connects with the first use. */
export function connectReader(account: HubAccount, hub: string, group: string): EventHubReader {
  const options = { retryOptions: hubRetryOptions };
  const { connectionString } = account;
  guardLinkAddresses();
  const client =
    connectionString === null
      ? new EventHubConsumerClient(group, namespaceOf(account), hub, managedIdentity(), options)
      : new EventHubConsumerClient(group, connectionString, hub, options);
  return new EventHubReader(client);
}

/** Sends to any hub of the account. */
export function connectSender(account: HubAccount): EventHubSender {
  const options = { retryOptions: hubRetryOptions };
  const { connectionString } = account;
  guardLinkAddresses();
  return new EventHubSender((hub) =>
    connectionString === null
      ? new EventHubProducerClient(namespaceOf(account), hub, managedIdentity(), options)
      : new EventHubProducerClient(connectionString, hub, options),
  );
}

/** Host name of the namespace without its port, as checkpoint stores have it; null: none is set. */
export function namespaceHost({ connectionString, namespace }: HubAccount): string | null {
  if (connectionString === null) return namespace;
  return /(?:^|;)\s*Endpoint=[a-z]+:\/\/(\[[^\]]+\]|[^/:;]+)/i.exec(connectionString)?.[1] ?? null;
}

function namespaceOf({ namespace }: HubAccount): string {
  if (namespace !== null) return namespace;
  throw new StreamError(
    'STREAM_CONFIGURATION_INVALID',
    'set EventHubConnection (a connection string) or EventHubConnection__fullyQualifiedNamespace (managed identity)',
  );
}

/** Loaded only where it is needed: it costs a quarter of a second of every cold start. */
function managedIdentity(): DefaultAzureCredential {
  // eslint-disable-next-line @typescript-eslint/no-require-imports -- lazily, see above
  const identity = require('@azure/identity') as {
    DefaultAzureCredential: new () => DefaultAzureCredential;
  };
  return new identity.DefaultAzureCredential();
}
