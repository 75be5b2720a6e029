import { defineConfig } from 'vitest/config'

const incidents = 'test/incidents/**/*.test.ts'

export default defineConfig({
  test: {
    setupFiles: ['test/support/seed.ts'],
    globalSetup: ['./test/support/servers/setup.ts'],
    // Every wait of the tests is on the manual clock or a gate; a real socket gets this long.
    testTimeout: 20_000,
    reporters: ['default', './test/support/closing-line.ts'],
    projects: [
      { extends: true, test: { name: 'all', include: ['test/**/*.test.ts'], exclude: [incidents] } },
      {
        extends: true,
        // What they claim is measured: each has the machine to itself, after all others, and where something else on a
        // shared machine got in between it is played again, twice at most.
        test: { name: 'incidents', include: [incidents], maxWorkers: 1, retry: 2, sequence: { groupOrder: 1 } },
      },
    ],
  },
})
