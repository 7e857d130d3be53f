/** Runs every test from TypeScript sources: swc strips the types, package names map to their sources. */
export default {
  testMatch: ['**/*.test.ts'],
  testPathIgnorePatterns: ['/node_modules/', '/dist/'],
  modulePathIgnorePatterns: ['/dist/'],
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      {
        jsc: { parser: { syntax: 'typescript' }, target: 'es2023' },
        module: { type: 'es6' },
        sourceMaps: 'inline',
      },
    ],
  },
  moduleNameMapper: {
    '^fast-check$': '<rootDir>/scripts/seeded-draws.mjs',
    '^@keelson/proto$': '<rootDir>/proto/gen/index.ts',
    '^@keelson/([a-z-]+)$': '<rootDir>/packages/$1/src/index.ts',
  },
  maxWorkers: 2,
  // A worker keeps what each file's modules leave behind; two of them must fit beside the servers of the tests.
  workerIdleMemoryLimit: '1.5GB',
  // A worker of that size needs a third of a second to end by itself, and more than jest's half where others want the
  // processor: a test that leaves a handle is told of all the same.
  workerGracefulExitTimeout: 15_000,
  testSequencer: '<rootDir>/scripts/slow-first.mjs',
  // Of tests and hooks that set none: three times what the slowest takes on a machine with ten times the load.
  testTimeout: 180_000,
};
