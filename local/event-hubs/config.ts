/** The official emulator's Config.json, as far as it names hubs. */
export interface EmulatorConfig {
  readonly UserConfig: {
    readonly NamespaceConfig: readonly {
      readonly Entities: readonly {
        readonly Name: string;
        readonly PartitionCount: number | string;
        readonly ConsumerGroups?: readonly { readonly Name: string }[];
      }[];
    }[];
  };
}

export interface ConfiguredHub {
  readonly name: string;
  readonly partitionCount: number;
  readonly consumerGroups: readonly string[];
}

export class InvalidConfig extends Error {
  readonly faults: readonly string[];

  constructor(faults: readonly string[]) {
    super(
      `the emulator's configuration is not valid:\n${faults.map((fault) => `  ${fault}`).join('\n')}`,
    );
    this.faults = faults;
  }
}

const partitionsMax = 1_024;

/** A hub's folder is named after it: a name must leave room for its creation time. */
export function isHubName(name: string): boolean {
  return /^[a-z0-9][a-z0-9._-]{0,199}$/i.test(name);
}

function isGroupName(name: string): boolean {
  return /^[a-z0-9$][a-z0-9._-]{0,49}$/i.test(name);
}

/** The hubs of a configuration; every fault is named with its path. */
export function hubsOf(config: unknown): ConfiguredHub[] {
  const faults: string[] = [];
  const namespaces = at(at(config, 'UserConfig'), 'NamespaceConfig');
  if (!Array.isArray(namespaces)) {
    throw new InvalidConfig(['UserConfig.NamespaceConfig: must be an array']);
  }
  const hubs = namespaces.flatMap((namespace: unknown, outer) => {
    const path = `UserConfig.NamespaceConfig[${outer}].Entities`;
    const type = at(namespace, 'Type') ?? 'EventHub';
    if (type !== 'EventHub') {
      faults.push(`UserConfig.NamespaceConfig[${outer}].Type: must be EventHub`);
    }
    const entities = at(namespace, 'Entities');
    if (!Array.isArray(entities)) {
      faults.push(`${path}: must be an array`);
      return [];
    }
    return entities.map((entity: unknown, inner) => {
      const at = `${path}[${inner}]`;
      return { path: at, hub: readHub(entity, at, faults) };
    });
  });
  const known = new Set<string>();
  for (const { hub, path } of hubs) {
    const name = hub.name.toLowerCase();
    if (known.has(name) && isHubName(name))
      faults.push(`${path}.Name: two hubs are called ${name}`);
    known.add(name);
  }
  if (faults.length > 0) throw new InvalidConfig(faults);
  return hubs.map(({ hub }) => hub);
}

/** One hub of a configuration; what is wrong with it goes to `faults`. */
export function readHub(entity: unknown, path: string, faults: string[]): ConfiguredHub {
  const name = at(entity, 'Name');
  if (typeof name !== 'string' || !isHubName(name)) {
    faults.push(
      `${path}.Name: must be up to 200 letters, digits, dots, hyphens and underscores, and begin with a letter or digit`,
    );
  }
  const partitionCount = partitionCountOf(at(entity, 'PartitionCount'));
  if (partitionCount === null) {
    faults.push(`${path}.PartitionCount: must be a whole number from 1 to ${partitionsMax}`);
  }
  const consumerGroups = readGroups(at(entity, 'ConsumerGroups'), `${path}.ConsumerGroups`, faults);
  return { name: String(name), partitionCount: partitionCount ?? 0, consumerGroups };
}

/** A number, or one in a string, as Testcontainers' example has it. */
function partitionCountOf(value: unknown): number | null {
  const isWritten = typeof value === 'number' || (typeof value === 'string' && value !== '');
  const count = isWritten ? Number(value) : Number.NaN;
  return Number.isInteger(count) && count >= 1 && count <= partitionsMax ? count : null;
}

function readGroups(groups: unknown, path: string, faults: string[]): string[] {
  if (groups === undefined || groups === null) return [];
  if (!Array.isArray(groups)) {
    faults.push(`${path}: must be an array`);
    return [];
  }
  const names = groups.map((group: unknown) => String(at(group, 'Name')));
  const known = names.map((name) => name.toLowerCase());
  names.forEach((name, index) => {
    const where = `${path}[${index}].Name`;
    if (typeof at(groups[index], 'Name') !== 'string' || !isGroupName(name)) {
      faults.push(`${where}: must be up to 50 letters, digits, dots, hyphens and underscores`);
    } else if (known[index] === '$default') {
      faults.push(`${where}: $default is always there: leave it out`);
    } else if (known.indexOf(known[index] ?? '') !== index) {
      faults.push(`${where}: two groups are called ${name}`);
    }
  });
  return names;
}

function at(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null
    ? (value as Record<string, unknown>)[name]
    : undefined;
}
