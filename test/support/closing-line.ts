import type { Reporter, TestModule } from 'vitest/node'
import { saysWhy } from './servers/skipped.js'

/** Says the result once more in a line that any tool can read, and before it what this machine can't run. */
export default class ClosingLine implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    const counts = { passed: 0, failed: errors.length, skipped: 0 }
    for (const module of modules) {
      if (module.state() === 'failed' && module.errors().length > 0) counts.failed++
      for (const test of module.children.allTests()) {
        const { state } = test.result()
        if (state !== 'pending') counts[state]++
      }
      for (const suite of module.children.allSuites()) if (saysWhy(suite.name)) console.log(suite.fullName)
    }
    const skipped = counts.skipped === 0 ? '' : `, ${counts.skipped} skipped`
    console.log(`${counts.passed} passed, ${counts.failed} failed${skipped}`)
  }
}
