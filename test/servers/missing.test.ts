import { spawnSync } from 'node:child_process'
import { describe, expect, it } from 'vitest'

/** The fixture's own run, which needs what no machine has. */
function run(environment: Record<string, string>): { status: number | null; stdout: string } {
  const args = ['node_modules/vitest/vitest.mjs', 'run', '--config', 'test/servers/fixtures/vitest.config.ts']
  return spawnSync(process.execPath, args, { encoding: 'utf8', env: { PATH: process.env['PATH'], ...environment } })
}

describe('a suite whose server is missing', () => {
  it('is skipped and says why, next to the closing line', () => {
    const { status, stdout } = run({})
    expect(stdout.trim().split('\n')).toEqual([
      'needs a vacuum (skipped: vacuum-server is not installed)',
      '1 passed, 0 failed, 2 skipped',
    ])
    expect(status).toBe(0)
  })

  it('fails in CI', () => {
    const { status, stdout } = run({ CI: 'true' })
    expect(stdout.trim()).toBe('1 passed, 1 failed')
    expect(status).toBe(1)
  })
})
