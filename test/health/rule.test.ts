import { describe, expect, it } from 'vitest'
import { judge } from '../../src/health/rule.js'

const rule = { minimumCalls: 20, failureRate: 0.5, slowRate: 0.8, consecutiveFailures: 10 as number | false }

describe('the rule', () => {
  it.each([
    ['half of the calls failed: equality trips', { calls: 20, failures: 10, slow: 0 }, 1, /10 of 20 calls failed/],
    ['one less than half failed', { calls: 20, failures: 9, slow: 0 }, 9, undefined],
    ['all failed, but one call less than the minimum', { calls: 19, failures: 19, slow: 0 }, 9, undefined],
    ['ten in a row below the minimum', { calls: 10, failures: 10, slow: 0 }, 10, /10 calls failed in a row/],
    ['ten in a row among enough calls: the rate decides', { calls: 40, failures: 10, slow: 0 }, 10, undefined],
    ['four in five were slow: equality trips', { calls: 20, failures: 0, slow: 16 }, 0, /16 of 20 calls were slow/],
    ['three in four were slow', { calls: 20, failures: 0, slow: 15 }, 0, undefined],
    ['no calls at all', { calls: 0, failures: 0, slow: 0 }, 0, undefined],
  ])('%s', (_case, figures, inARow, reason) => {
    const verdict = judge(figures, inARow, rule)
    if (reason === undefined) expect(verdict).toBeUndefined()
    else expect(verdict).toMatch(reason)
  })

  it('takes no notice of failures in a row when that is off', () => {
    expect(judge({ calls: 15, failures: 15, slow: 0 }, 15, { ...rule, consecutiveFailures: false })).toBeUndefined()
  })
})
