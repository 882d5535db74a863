import { defineConfig } from 'vitest/config'

/** What depends on how a base is run inside the host's loop: tested once for each driver. */
const driven = ['run', 'signals', 'wait', 'workers'].map((folder) => `__test__/${folder}/**/*.spec.ts`)

export default defineConfig({
  test: {
    // One process a file: a crash of the addon is contained, and signal handlers do not meet.
    pool: 'forks',
    execArgv: ['--expose-gc'],
    globalSetup: ['scripts/vitest-global-setup.ts'],
    // Only what hangs gets to its end: a busy machine may need many times what a test usually takes.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    retry: 0,
    projects: [
      { extends: true, test: { name: 'host', include: ['__test__/**/*.spec.ts'] } },
      {
        extends: true,
        test: { name: 'thread', include: driven, env: { EVENT_BASE_DRIVER: 'thread' } },
      },
      {
        extends: true,
        test: {
          name: 'types',
          include: [],
          typecheck: {
            enabled: true,
            only: true,
            include: ['__test__/types/**/*.test-d.ts'],
            tsconfig: 'tsconfig.types.json',
          },
        },
      },
    ],
  },
})
