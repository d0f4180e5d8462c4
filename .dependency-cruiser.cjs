// The import directions of docs/ARCHITECTURE.md, as rules. `npm run layers` enforces them.
const forbid = (name, from, to, comment) => ({
  name,
  comment,
  severity: 'error',
  from: { path: from },
  to: { path: to },
});

/**
 * The rooms of `shared`, lowest first. A room knows the rooms of lower lines and no others: not those
 * beside it, and none above. A room that stands in no line is refused.
 */
const floors = [
  ['model'],
  ['ingest', 'state', 'time', 'commit-log', 'lake', 'telemetry', 'config', 'orchestration'],
  ['operators'],
  ['dataflow'],
  ['planner'],
  ['execution'],
  ['delivery'],
  ['task'],
  ['ledger', 'breaker'],
  ['supervision'],
  ['operations'],
  ['world'],
  ['testing'],
];
/** On Azure's SDKs and in memory: known to those alone that compose an engine. */
const adapters = 'adapters';
const composers = ['testing', 'world'];

const roomRules = floors.flatMap((rooms, floor) =>
  rooms.map((room) => {
    const known = [...floors.slice(0, floor).flat(), room];
    if (composers.includes(room)) known.push(adapters);
    return forbid(
      `room-${room}`,
      `^shared/${room}/`,
      `^shared/(?!(${known.join('|')})/)`,
      'Arrows between rooms point downward: see the floors above.',
    );
  }),
);
const rooms = [...floors.flat(), adapters];

module.exports = {
  forbidden: [
    {
      name: 'no-cycles',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'resolvable',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true, pathNot: '^@azure/functions-core$' },
    },
    forbid(
      'shared-stands-alone',
      '^shared/',
      '^(functions|topologies|local|cli|bench|test)/',
      'The engine knows neither its users nor the stand-ins.',
    ),
    forbid(
      'shared-is-not-functions',
      '^shared/',
      'node_modules/(@azure/functions|durable-functions)/',
      'The engine runs outside Azure Functions too.',
    ),
    ...roomRules,
    {
      ...forbid('rooms-are-known', `^shared/(?!(${rooms.join('|')})/)`, '.'),
      comment: 'A new room needs its floor.',
    },
    forbid(
      'azure-sdk-in-adapters',
      '^shared/(?!adapters/)',
      'node_modules/@azure/',
      'The world is injected; Azure SDKs are named in shared/adapters only.',
    ),
    forbid(
      'adapters-know-model-only',
      '^shared/adapters/',
      '^shared/(?!model/|adapters/)',
      'Adapters implement the ports of the model.',
    ),
    forbid(
      'hub-log-knows-no-protocol',
      '^local/event-hubs/log/',
      '^local/event-hubs/(?!(log|message)/|errors\\.ts$)',
      'AMQP and Kafka are two ways to one log.',
    ),
    forbid(
      'hub-message-stands-alone',
      '^local/event-hubs/message/',
      '^local/event-hubs/(?!message/)',
      'How a message is written is known to the log and to protocols.',
    ),
    forbid(
      'durable-task-is-below-the-host',
      '^local/durable-task/',
      '^local/(?!durable-task/|settings/)',
      'The host runs the task hub; that must not know who runs it.',
    ),
    forbid(
      'local-leaves',
      '^local/(settings|storage)/',
      '^local/(?!(settings|storage)/)',
      'They know nothing else of local.',
    ),
    forbid(
      'topologies-use-shared',
      '^topologies/',
      '^(functions|local|cli|bench|test)/',
      'A topology is a dataflow and nothing else.',
    ),
    forbid(
      'functions-use-shared-and-topologies',
      '^functions/',
      '^(local|cli|bench|test)/',
      'Entry points never see the local stand-ins.',
    ),
    forbid(
      'local-is-a-stand-in',
      '^local/',
      '^(shared|functions|topologies|cli|bench|test)/',
      'What stands in for Azure must not know our engine.',
    ),
    forbid(
      'hub-emulator-stands-alone',
      '^local/event-hubs/',
      '^local/(?!event-hubs/)',
      'The emulator is a product of its own.',
    ),
    forbid(
      'topologies-are-given',
      '^(cli/(?!millrace\\.ts$)|functions/(?!app\\.ts$))',
      '^topologies/',
      'The entry points hand the topologies down: a user hands down others.',
    ),
    forbid(
      'cli-is-on-top',
      '^cli/',
      '^(functions|bench|test)/',
      'The host loads the built app as Azure does.',
    ),
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['require', 'node', 'default', 'import', 'types'],
      mainFields: ['main', 'types'],
    },
  },
};
