// The import directions of docs/ARCHITECTURE.md, as rules. `npm run layers` enforces them.
const forbid = (name, from, to, comment) => ({
  name,
  comment,
  severity: 'error',
  from: { path: from },
  to: { path: to },
});

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
    forbid(
      'model-imports-nothing',
      '^shared/model/',
      '^shared/(?!model/)',
      'The model is the bottom layer.',
    ),
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
