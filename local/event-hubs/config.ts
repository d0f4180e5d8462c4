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

/** The hubs of a configuration; every fault is named with its path. */
export function hubsOf(config: unknown): ConfiguredHub[] {
  const faults: string[] = [];
  const namespaces = at(at(config, 'UserConfig'), 'NamespaceConfig');
  if (!Array.isArray(namespaces)) {
    throw new InvalidConfig(['UserConfig.NamespaceConfig: must be an array']);
  }
  const hubs = namespaces.flatMap((namespace: unknown, outer) => {
    const path = `UserConfig.NamespaceConfig[${outer}].Entities`;
    const entities = at(namespace, 'Entities');
    if (!Array.isArray(entities)) {
      faults.push(`${path}: must be an array`);
      return [];
    }
    return entities.map((entity: unknown, inner) => readHub(entity, `${path}[${inner}]`, faults));
  });
  const names = hubs.map(({ name }) => name.toLowerCase());
  names.forEach((name, index) => {
    if (names.indexOf(name) !== index) faults.push(`two hubs are called ${name}`);
  });
  if (faults.length > 0) throw new InvalidConfig(faults);
  return hubs;
}

function readHub(entity: unknown, path: string, faults: string[]): ConfiguredHub {
  const name = at(entity, 'Name');
  if (typeof name !== 'string' || !/^[a-z0-9][a-z0-9._-]{0,255}$/i.test(name)) {
    faults.push(`${path}.Name: must be letters, digits, dots, hyphens and underscores`);
  }
  const partitionCount = Number(at(entity, 'PartitionCount'));
  if (!Number.isInteger(partitionCount) || partitionCount < 1 || partitionCount > partitionsMax) {
    faults.push(`${path}.PartitionCount: must be a whole number from 1 to ${partitionsMax}`);
  }
  const groups = at(entity, 'ConsumerGroups') ?? [];
  const consumerGroups = (Array.isArray(groups) ? groups : []).map((group: unknown, index) => {
    const groupName = at(group, 'Name');
    if (typeof groupName !== 'string' || groupName === '') {
      faults.push(`${path}.ConsumerGroups[${index}].Name: must be a name`);
    } else if (groupName.toLowerCase() === '$default') {
      faults.push(`${path}.ConsumerGroups[${index}].Name: $default is always there: leave it out`);
    }
    return String(groupName);
  });
  if (!Array.isArray(groups)) faults.push(`${path}.ConsumerGroups: must be an array`);
  return { name: String(name), partitionCount, consumerGroups };
}

function at(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null
    ? (value as Record<string, unknown>)[name]
    : undefined;
}
