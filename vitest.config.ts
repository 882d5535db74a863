import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['__test__/**/*.spec.ts'],
    // One process a file: a crash of the addon is contained, and signal handlers do not meet.
    pool: 'forks',
    execArgv: ['--expose-gc'],
    globalSetup: ['scripts/vitest-global-setup.ts'],
    typecheck: {
      enabled: true,
      include: ['__test__/**/*.test-d.ts'],
      tsconfig: 'tsconfig.test.json',
    },
    testTimeout: 10_000,
    retry: 0,
  },
})
