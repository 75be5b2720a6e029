import { beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import * as errors from '../../src/core/errors.js'
import { createRegistry } from '../../src/index.js'
import { ManualClock } from '../../src/testing.js'

const { CofferdamError, OptionError, UnavailableError, CallTimeoutError, BulkheadFullError } = errors

let copy: typeof errors

beforeAll(async () => {
  vi.resetModules()
  copy = await import('../../src/core/errors.js')
})

describe('an error of ours', () => {
  it.each([
    ['UnavailableError', 'UnavailableError', 'ERR_UNAVAILABLE'],
    ['BulkheadFullError', 'BulkheadFullError', 'ERR_BULKHEAD_FULL'],
    ['QueueTimeoutError', 'QueueTimeoutError', 'ERR_QUEUE_TIMEOUT'],
    ['CallTimeoutError', 'TimeoutError', 'ERR_CALL_TIMEOUT'],
    ['DeadlineError', 'DeadlineError', 'ERR_DEADLINE'],
    ['ClosedError', 'ClosedError', 'ERR_CLOSED'],
    ['FailedValueError', 'FailedValueError', 'ERR_FAILED_VALUE'],
    ['InvariantError', 'InvariantError', 'ERR_INVARIANT'],
  ] as const)('of class %s has the name %s and the code %s, which are no own fields', (kind, name, code) => {
    const error = new errors[kind]('what happened', { dependency: 'feed' })
    expect(error).toMatchObject({ name, code, message: 'what happened', dependency: 'feed' })
    expect(Object.keys(error)).toEqual(['dependency'])
    expect(String(error)).toBe(`${name}: what happened`)
    expect(error).toBeInstanceOf(Error)
    expect(error).toBeInstanceOf(CofferdamError)
    expect(error).toBeInstanceOf(errors[kind])
  })

  it('shows only details that it was given', () => {
    const bare = new UnavailableError('down', { dependency: undefined, retryAfter: undefined })
    expect(Object.keys(bare)).toEqual([])
    expect('cause' in bare).toBe(false)
    const cause = new Error('why')
    expect(new UnavailableError('down', { cause, retryAfter: 10.2 })).toMatchObject({ cause, retryAfter: 11 })
    expect(new UnavailableError('down', { retryAfter: -5 }).retryAfter).toBe(0)
  })

  it('has no stack when it is a refusal, and leaves the limit as it was', () => {
    const limit = Error.stackTraceLimit
    expect(new UnavailableError('down').stack).not.toContain('\n')
    expect(Error.stackTraceLimit).toBe(limit)
    expect(new Error('another').stack).toContain('errors.test')
  })

  it('has a stack that begins with the developer’s own code when an option is bad', () => {
    const error = new OptionError('timeout', 'must be more')
    expect(error).toMatchObject({ path: 'timeout', message: 'timeout: must be more', code: 'ERR_OPTION' })
    expect(error.stack!.split('\n')[1]).toContain('errors.test')
    expect(new OptionError('', 'must be more').message).toBe('must be more')
  })

  it('is made all the same when the stack limit can’t be changed', () => {
    const descriptor = Object.getOwnPropertyDescriptor(Error, 'stackTraceLimit')!
    Object.defineProperty(Error, 'stackTraceLimit', { ...descriptor, writable: false })
    try {
      expect(new UnavailableError('down')).toMatchObject({ message: 'down', code: 'ERR_UNAVAILABLE' })
    } finally {
      Object.defineProperty(Error, 'stackTraceLimit', descriptor)
    }
  })
})

describe('instanceof', () => {
  it('tells the classes apart', () => {
    const error = new UnavailableError('down')
    expect(error instanceof BulkheadFullError).toBe(false)
    expect(new CofferdamError('base') instanceof UnavailableError).toBe(false)
  })

  it('holds between two copies of the package, class by class', () => {
    expect(copy.UnavailableError).not.toBe(UnavailableError)
    const theirs = new copy.CallTimeoutError('late')
    expect(Function.prototype[Symbol.hasInstance].call(CallTimeoutError, theirs)).toBe(false)
    expect(theirs instanceof CofferdamError).toBe(true)
    expect(theirs instanceof CallTimeoutError).toBe(true)
    expect(theirs instanceof UnavailableError).toBe(false)
    expect(new OptionError('x', 'y') instanceof copy.OptionError).toBe(true)
  })

  it('is true of nothing else, whatever code or name it has', () => {
    for (const other of [null, undefined, 'ERR_UNAVAILABLE', new Error('x'), { code: 'ERR_UNAVAILABLE' }, () => 1]) {
      expect((other as unknown) instanceof CofferdamError).toBe(false)
      expect((other as unknown) instanceof UnavailableError).toBe(false)
    }
    const theirs = Object.assign(new Error('x'), { code: 'ERR_UNAVAILABLE', name: 'UnavailableError' })
    expect(theirs instanceof UnavailableError).toBe(false)
  })

  it('tells a subclass of somebody’s own from its base', () => {
    class FeedDown extends UnavailableError {}
    const own = new FeedDown('down')
    expect(own instanceof UnavailableError).toBe(true)
    expect(own instanceof FeedDown).toBe(true)
    expect(new UnavailableError('down') instanceof FeedDown).toBe(false)
  })
})

describe('a refusal', () => {
  const refusing = () => {
    const registry = createRegistry({ clock: new ManualClock() })
    const dependency = registry.dependency('feed')
    registry.setMode('feed', 'unavailable', { reason: 'upgrade' })
    return dependency
  }

  it('is an error of its own for each caller, who may write on it', async () => {
    const load = refusing().wrap(() => 'live')
    const [one, other] = await Promise.all([load().catch(String), load().catch((error: unknown) => error)])
    const again: unknown = await load().catch((error: unknown) => error)
    expect(one).toBe('UnavailableError: feed is unavailable')
    expect([other, again]).toMatchObject([{ code: 'ERR_UNAVAILABLE' }, { code: 'ERR_UNAVAILABLE' }])
    expect(other).not.toBe(again)
  })

  it('is one of its own also where something is served instead: in the outcome, and for a fallback', async () => {
    const seen: unknown[] = []
    const load = refusing().wrap(() => 'live', {
      fallback: ({ error }) => {
        seen.push(error)
        return 'served'
      },
    })
    const outcomes = [await load.outcome(), await load.outcome()]
    expect(outcomes.map(({ value, error }) => [value, (error as errors.CofferdamError).code])).toEqual([
      ['served', 'ERR_UNAVAILABLE'],
      ['served', 'ERR_UNAVAILABLE'],
    ])
    expect(new Set([...seen, ...outcomes.map(({ error }) => error)]).size).toBe(4)
  })

  it('is no unhandled rejection for a caller who listens at once', async () => {
    const warned: string[] = []
    const warn = (): unknown => warned.push('unhandled')
    process.on('unhandledRejection', warn)
    onTestFinished(() => void process.off('unhandledRejection', warn))
    const load = refusing().wrap(() => 'live')
    await expect(load()).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE' })
    await new Promise((resolve) => setImmediate(resolve))
    expect(warned).toEqual([])
  })
})
