// Style is argued in CONTRIBUTING.md; the directions between folders are in .dependency-cruiser.cjs.
import tseslint from 'typescript-eslint';
import prettier from 'eslint-config-prettier';

const worldAccess = [
  { object: 'Date', property: 'now', message: 'Inject a Clock (shared/model/ports.ts).' },
  { object: 'Math', property: 'random', message: 'Inject randomness.' },
  { object: 'process', property: 'env', message: 'Settings are compiled in shared/config.' },
];

/** Where the build lies is known to entry points, and handed down from them. */
const ownPlace = ['__dirname', '__filename'].map((name) => ({
  name,
  message: 'A bundle lies elsewhere: take the path from the entry point (cli/app.ts).',
}));

export default tseslint.config(
  { ignores: ['dist/**', 'node_modules/**', 'coverage/**', '.millrace/**'] },
  ...tseslint.configs.recommendedTypeChecked.map((config) => ({ ...config, files: ['**/*.ts'] })),
  {
    files: ['**/*.ts'],
    languageOptions: {
      parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname },
    },
    rules: {
      'max-lines': ['error', { max: 400, skipBlankLines: true, skipComments: true }],
      'max-lines-per-function': ['error', { max: 100, skipBlankLines: true, skipComments: true }],
      'no-empty': ['error', { allowEmptyCatch: false }],
      eqeqeq: 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/no-base-to-string': 'off',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_' }],
    },
  },
  {
    files: ['shared/**/*.ts'],
    ignores: ['shared/adapters/**'],
    rules: { 'no-restricted-properties': ['error', ...worldAccess] },
  },
  {
    files: ['cli/**/*.ts', 'functions/**/*.ts', 'local/**/*.ts', 'shared/**/*.ts'],
    ignores: ['cli/millrace.ts', 'local/functions-host/main.ts'],
    rules: { 'no-restricted-globals': ['error', ...ownPlace] },
  },
  {
    // Replayed from their histories: the same answers every time, and from nowhere but those.
    files: [
      'shared/**/orchestrat*.ts',
      'shared/orchestration/**/*.ts',
      'shared/supervision/plan-*.ts',
    ],
    rules: {
      'no-restricted-syntax': [
        'error',
        { selector: 'AwaitExpression', message: 'An orchestrator yields tasks; it never awaits.' },
        { selector: ':function[async=true]', message: 'An orchestrator is a plain generator.' },
        {
          selector: "NewExpression[callee.name='Date'][arguments.length=0]",
          message: 'Ask context.currentUtcDateTime.',
        },
        {
          selector: "NewExpression[callee.name='Promise']",
          message: 'An orchestrator waits for tasks alone.',
        },
      ],
      'no-restricted-globals': [
        'error',
        ...ownPlace,
        ...['setTimeout', 'setInterval', 'setImmediate', 'fetch', 'process', 'crypto'].map(
          (name) => ({ name, message: 'An orchestrator asks the world through activities alone.' }),
        ),
      ],
      'no-restricted-imports': [
        'error',
        { patterns: [{ regex: '^(node:|@azure/)', message: 'No world in an orchestrator.' }] },
      ],
    },
  },
  {
    files: ['test/**/*.ts', 'bench/**/*.ts'],
    rules: {
      'max-lines-per-function': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
    },
  },
  prettier,
);
