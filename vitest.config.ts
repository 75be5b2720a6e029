import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    setupFiles: ['test/support/seed.ts'],
    include: ['test/**/*.test.ts'],
    globalSetup: ['./test/support/servers/setup.ts'],
    // Every wait of the tests is on the manual clock or a gate; a real socket gets this long.
    testTimeout: 20_000,
    reporters: ['default', './test/support/closing-line.ts'],
  },
})
