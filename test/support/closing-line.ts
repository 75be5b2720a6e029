import type { Reporter, TestModule } from 'vitest/node'

/** Says the result once more in a line that any tool can read. */
export default class ClosingLine implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    const counts = { passed: 0, failed: errors.length, skipped: 0 }
    for (const module of modules) {
      if (module.state() === 'failed' && module.errors().length > 0) counts.failed++
      for (const test of module.children.allTests()) {
        const { state } = test.result()
        if (state !== 'pending') counts[state]++
      }
    }
    const skipped = counts.skipped === 0 ? '' : `, ${counts.skipped} skipped`
    console.log(`${counts.passed} passed, ${counts.failed} failed${skipped}`)
  }
}
