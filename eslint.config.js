// Only what needs types, and the direction of imports; Biome does the rest.
import tseslint from 'typescript-eslint'

/** Rooms in the order in which they may import: each only what stands before it. */
const rooms = [
  {
    files: 'host/{errors,logger,metrics,lifecycle,turn}.ts',
    forbidden: ['log', 'tables', 'processor', 'functions', 'cluster', 'http', 'testing'],
  },
  {
    files: 'host/log/**',
    forbidden: ['tables', 'processor', 'functions', 'cluster', 'http', 'testing'],
  },
  { files: 'host/tables/**', forbidden: ['processor', 'functions', 'cluster', 'http', 'testing'] },
  { files: 'host/processor/**', forbidden: ['functions', 'cluster', 'http', 'testing'] },
  { files: 'host/functions/**', forbidden: ['cluster', 'control', 'http', 'testing'] },
  { files: 'host/cluster/**', forbidden: ['control', 'http', 'testing'] },
  { files: 'host/control/**', forbidden: ['http', 'testing'] },
  { files: 'host/http/**', forbidden: ['control', 'testing'] },
  { files: 'host/move/**', forbidden: ['processor', 'functions', 'http', 'testing'] },
  // Of functions it needs what a definition says of itself: the rest builds, loads and watches files.
  { files: 'host/testing/**', forbidden: ['http', 'embedded'] },
]

/** Packages with a wide interface, each imported from one room. */
const narrow = [
  {
    name: 'classic-level',
    allowed: ['host/tables/level.ts', 'host/log/embedded/**', 'host/leveldb/**'],
  },
  { name: 'esbuild', allowed: ['host/functions/bundle.ts', 'host/functions/native-packages.ts'] },
  { name: 'chokidar', allowed: ['host/functions/watch.ts'] },
  { name: 'commander', allowed: ['host/main.ts', 'host/commands/**'] },
  { name: 'kafkajs', allowed: ['host/log/kafka/**'] },
]

const roomsOnly = (forbidden) => ({
  patterns: [
    {
      group: forbidden.map((room) => `**/${room}/**`),
      message: 'Imports point one way: see ARCHITECTURE.md.',
    },
    {
      group: ['**/host.js', '**/main.js'],
      message: 'The composition imports the rooms, not the reverse.',
    },
  ],
})

export default tseslint.config(
  { ignores: ['dist/**', 'node_modules/**', '.tap/**', 'scripts/**', 'eslint.config.js'] },
  {
    files: ['**/*.ts'],
    languageOptions: {
      parser: tseslint.parser,
      parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname },
    },
    plugins: { '@typescript-eslint': tseslint.plugin },
    rules: {
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/await-thenable': 'error',
      '@typescript-eslint/return-await': ['error', 'error-handling-correctness-only'],
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
    },
  },
  // tap runs subtests one after another by itself.
  {
    files: ['test/**/*.ts', 'test-kafka/**/*.ts'],
    rules: {
      '@typescript-eslint/no-floating-promises': [
        'error',
        {
          allowForKnownSafePromises: [
            { from: 'package', name: 'PromiseWithSubtest', package: '@tapjs/core' },
          ],
        },
      ],
      'no-restricted-syntax': [
        'error',
        {
          selector: 'CallExpression[callee.property.name="testdir"]',
          message: 'testFolder() of test/support/folder.ts goes after what the test tears down.',
        },
      ],
    },
  },
  { files: ['test/support/folder.ts'], rules: { 'no-restricted-syntax': 'off' } },
  // So does node:test.
  {
    files: ['templates/**', 'examples/*/test/**'],
    rules: {
      '@typescript-eslint/no-floating-promises': [
        'error',
        { allowForKnownSafeCalls: [{ from: 'package', name: 'test', package: 'node:test' }] },
      ],
    },
  },
  {
    files: ['host/**/*.ts'],
    rules: {
      'no-restricted-imports': [
        'error',
        { paths: narrow.map(({ name }) => ({ name, message: 'One room imports this package.' })) },
      ],
    },
  },
  ...narrow.map(({ name, allowed }) => ({
    files: allowed,
    rules: {
      'no-restricted-imports': [
        'error',
        {
          paths: narrow
            .filter((other) => other.name !== name)
            .map((other) => ({ name: other.name, message: 'One room imports this package.' })),
        },
      ],
    },
  })),
  ...rooms.map(({ files, forbidden }) => ({
    files: [files],
    rules: { '@typescript-eslint/no-restricted-imports': ['error', roomsOnly(forbidden)] },
  })),
  {
    files: ['sdk/**'],
    rules: {
      '@typescript-eslint/no-restricted-imports': [
        'error',
        {
          patterns: [
            {
              group: ['../*', '**/host/**', '!@standard-schema/spec'],
              message: 'The SDK imports nothing outside itself.',
            },
          ],
        },
      ],
    },
  },
)
