// One transformer for our TypeScript and for the ESM-only packages among our dependencies.
const transform = {
  '^.+\\.(ts|js|mjs)$': [
    '@swc/jest',
    { jsc: { parser: { syntax: 'typescript' }, target: 'es2022' }, module: { type: 'commonjs' } },
  ],
};
const esmOnly = [
  'hyparquet',
  'hyparquet-writer',
  'hyparquet-compressors',
  'hysnappy',
  'typebox',
  'croner',
  'string-width',
  'strip-ansi',
  'ansi-regex',
  'get-east-asian-width',
];

const project = (displayName) => ({
  displayName,
  testMatch: [`<rootDir>/test/${displayName}/**/*.test.ts`],
  testEnvironment: 'node',
  transform,
  transformIgnorePatterns: [`/node_modules/(?!(${esmOnly.join('|')})/)`],
  restoreMocks: true,
});

module.exports = {
  testTimeout: 120_000,
  projects: [
    'unit',
    'property',
    'simulation',
    'contract',
    'integration',
    'oracle',
    'fault',
    'docs',
    'infra',
  ].map(project),
};
