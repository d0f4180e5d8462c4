/** Which hub, and where its emulator listens. */
export interface HubPlace {
  readonly host: string;
  readonly port: number;
  readonly eventHubName: string;
  /** As checkpoint stores have it: the host without the port. */
  readonly fullyQualifiedNamespace: string;
  /** Null: the connection string has none, which an emulator started with --any-key lets in. */
  readonly key: { readonly name: string; readonly value: string } | null;
}

const emulatorPort = 5672;

/**
 * Reads a connection string of the Event Hubs emulator. Throws for any other: this host speaks plain
 * TCP without tokens, which only the emulator accepts.
 */
export function hubPlace(connectionString: string, eventHubName: string): HubPlace {
  const fields = new Map(
    connectionString
      .split(';')
      .filter((part) => part.trim() !== '')
      .map((part) => {
        const at = part.indexOf('=');
        return [part.slice(0, at).trim().toLowerCase(), part.slice(at + 1).trim()] as const;
      }),
  );
  const endpoint = /^[a-z]+:\/\/(\[[^\]]+\]|[^/:]+)(?::(\d+))?\/?$/i.exec(
    fields.get('endpoint') ?? '',
  );
  const [, host, port] = endpoint ?? [];
  if (host === undefined) {
    throw new Error(
      'the Event Hubs connection string has no Endpoint of the form sb://host[:port]',
    );
  }
  if (fields.get('usedevelopmentemulator')?.toLowerCase() !== 'true') {
    throw new Error(
      `the Event Hubs connection string for ${host} does not say UseDevelopmentEmulator=true: the local Functions host reads from the emulator alone (plain TCP, no TLS, no tokens). Point the setting at the emulator, or run the app on Azure.`,
    );
  }
  const entityPath = fields.get('entitypath') ?? '';
  if (entityPath !== '' && eventHubName !== '' && entityPath !== eventHubName) {
    throw new Error(
      `the connection string's EntityPath is ${entityPath}, and the trigger's eventHubName is ${eventHubName}: they must be the same, or leave one out`,
    );
  }
  const name = eventHubName || entityPath;
  if (name === '') {
    throw new Error('no hub is named: set eventHubName, or EntityPath in the connection string');
  }
  return {
    host: host.replace(/^\[|\]$/g, ''),
    port: port === undefined ? emulatorPort : Number(port),
    eventHubName: name,
    fullyQualifiedNamespace: host,
    key: keyOf(fields),
  };
}

function keyOf(fields: ReadonlyMap<string, string>): HubPlace['key'] {
  const name = fields.get('sharedaccesskeyname') ?? '';
  const value = fields.get('sharedaccesskey') ?? '';
  return name === '' || value === '' ? null : { name, value };
}
