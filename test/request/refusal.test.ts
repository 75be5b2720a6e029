import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  BudgetExhaustedError,
  BulkheadFullError,
  CallTimeoutError,
  ClosedError,
  DeadlineError,
  FailedValueError,
  OptionError,
  QueueTimeoutError,
  UnavailableError,
  type CofferdamError,
} from '../../src/index.js'
import { refusalOf } from '../../src/request/refusal.js'

const refusals: [string, CofferdamError][] = [
  ['ERR_UNAVAILABLE', new UnavailableError('zdz-feed is unavailable')],
  ['ERR_BULKHEAD_FULL', new BulkheadFullError('zdz-feed: every slot is taken')],
  ['ERR_QUEUE_TIMEOUT', new QueueTimeoutError('zdz-feed: no slot within 500 ms')],
  ['ERR_BUDGET', new BudgetExhaustedError('the class pages is paused')],
  ['ERR_CLOSED', new ClosedError('zdz-feed was closed')],
]
const late: [string, CofferdamError][] = [
  ['ERR_DEADLINE', new DeadlineError('zdz-feed: no time left', { retryAfter: 5_000 })],
  ['ERR_CALL_TIMEOUT', new CallTimeoutError('zdz-feed: no answer within 800 ms')],
]

describe('what a client is told of an error', () => {
  it.each(refusals)('is 503 and when to come again: %s', (code, error) => {
    expect(refusalOf(error, 0)).toEqual({ status: 503, retryAfter: 1, message: 'Service Unavailable', code })
  })

  it.each(late)('is 504, and nothing of coming again: %s', (code, error) => {
    expect(refusalOf(error, 0.5)).toEqual({ status: 504, message: 'Gateway Timeout', code })
  })

  it.each([
    ['a bad option', new OptionError('guard', 'is missing')],
    ['a value that was judged failed', new FailedValueError('the value was judged failed')],
    ['an error of the app', new Error('ECONNREFUSED 10.0.0.7:5432')],
    ['an error with a code like ours', Object.assign(new Error('x'), { code: 'ERR_UNAVAILABLE', retryAfter: 5 })],
    ['a string', 'ERR_UNAVAILABLE'],
    ['nothing', undefined],
    ['null', null],
  ])('is not ours to say: %s', (_case, error) => {
    expect(refusalOf(error, 0.5)).toBeUndefined()
  })

  it('knows an error that another copy of the package made', () => {
    const foreign = { [Symbol.for('cofferdam.error')]: true, code: 'ERR_BULKHEAD_FULL', message: 'full' }
    expect(refusalOf(foreign, 0)).toMatchObject({ status: 503, code: 'ERR_BULKHEAD_FULL' })
  })

  it('names no dependency, no limit and no cause', () => {
    const error = new UnavailableError('zdz-feed is unavailable', {
      dependency: 'zdz-feed',
      cause: new Error('10.0.0.7'),
    })
    expect(JSON.stringify(refusalOf(error, 0.3))).not.toMatch(/zdz|10\.0/)
  })

  it('spreads those who come again over as long again as they have to wait', () => {
    const error = new UnavailableError('down', { retryAfter: 10_000 })
    expect(refusalOf(error, 0)!.retryAfter).toBe(10)
    expect(refusalOf(error, 0.5)!.retryAfter).toBe(15)
    expect(refusalOf(error, 0.999)!.retryAfter).toBe(20)
    expect(refusalOf(new UnavailableError('down'), 0.999)!.retryAfter).toBe(2)
  })

  it('is always a whole number of seconds, 1 or more', () => {
    const times = fc.oneof(fc.double(), fc.constantFrom(0, -5, 1, NaN, Infinity, 499, 30 * 60_000))
    const chance = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
    fc.assert(
      fc.property(times, chance, (retryAfter, random) => {
        const { retryAfter: seconds } = refusalOf(new UnavailableError('down', { retryAfter }), random)!
        expect(String(seconds)).toMatch(/^[1-9]\d*$/)
      }),
    )
  })
})
