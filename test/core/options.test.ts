import * as v from 'valibot'
import { describe, expect, it } from 'vitest'
import { LONGEST_TIMER } from '../../src/core/clock.js'
import { OptionError } from '../../src/core/errors.js'
import {
  age,
  count,
  countOrZero,
  duration,
  durationOrZero,
  factor,
  flag,
  fn,
  group,
  oneOf,
  parse,
  ratio,
  text,
} from '../../src/core/options.js'

const notNumbers = [NaN, '5', null, undefined, true, 5n, {}, [5]]

describe('a number', () => {
  it.each([
    { name: 'duration', schema: duration, good: [0.5, 1, LONGEST_TIMER], bad: [0, -1, Infinity, LONGEST_TIMER + 1] },
    { name: 'durationOrZero', schema: durationOrZero, good: [0, 1, LONGEST_TIMER], bad: [-1, LONGEST_TIMER + 1] },
    { name: 'age', schema: age, good: [0, LONGEST_TIMER * 2], bad: [-1, Infinity] },
    { name: 'ratio', schema: ratio, good: [0.01, 1], bad: [0, 1.01, -0.5, Infinity] },
    { name: 'count', schema: count, good: [1, 50], bad: [0, -1, 1.5, Infinity, 2 ** 53] },
    { name: 'countOrZero', schema: countOrZero, good: [0, 50], bad: [-1, 0.5, Infinity] },
    { name: 'factor', schema: factor, good: [1, 5.5], bad: [0.99, -2, Infinity] },
  ])('that is a $name is within its limits, and nothing else passes for one', ({ schema, good, bad }) => {
    for (const value of good) expect(parse(schema, value, 'x')).toBe(value)
    for (const value of [...bad, ...notNumbers]) expect(() => parse(schema, value, 'x')).toThrow(OptionError)
  })
})

describe('a bad option', () => {
  const schema = group({
    timeout: v.optional(duration),
    name: v.optional(text),
    mode: v.optional(oneOf(['available', 'unavailable'])),
    enforce: v.optional(flag),
    hook: v.optional(fn<() => void>()),
    bulkhead: v.optional(group({ slots: count })),
  })
  const problem = (input: unknown, root?: string): string => {
    try {
      parse(schema, input, root)
    } catch (error) {
      expect(error).toBeInstanceOf(OptionError)
      const { path, message, code } = error as OptionError
      expect(code).toBe('ERR_OPTION')
      expect(message.startsWith(`${path}: `)).toBe(true)
      return message
    }
    return 'none'
  }

  it.each([
    [{ timeout: 0 }, `timeout: must be a number of milliseconds, more than 0 and at most ${LONGEST_TIMER}, got 0`],
    [{ timeout: NaN }, `timeout: must be a number of milliseconds, more than 0 and at most ${LONGEST_TIMER}, got NaN`],
    [{ tiemout: 5 }, 'tiemout: unknown option; known are timeout, name, mode, enforce, hook, bulkhead'],
    [{ bulkhead: { slots: -1 } }, 'bulkhead.slots: must be a whole number, 1 or more, got -1'],
    [{ bulkhead: { slots: 1, q: 2 } }, 'bulkhead.q: unknown option; known are slots'],
    [{ bulkhead: {} }, 'bulkhead.slots: is required'],
    [{ bulkhead: [] }, 'bulkhead: must be an object, got an array'],
    [{ bulkhead: 5 }, 'bulkhead: must be an object, got 5'],
    [{ name: '' }, 'name: must not be empty'],
    [{ name: 5 }, 'name: must be a string, got 5'],
    [{ mode: 'open' }, 'mode: must be "available" or "unavailable", got "open"'],
    [{ enforce: 'no' }, 'enforce: must be true or false, got "no"'],
    [{ hook: {} }, 'hook: must be a function, got a value of type object'],
    [{ hook: 'x'.repeat(41) }, 'hook: must be a function, got a long string'],
    [{ hook: [1] }, 'hook: must be a function, got an array'],
    [null, 'options: must be an object, got null'],
    ['timeout', 'options: must be an object, got "timeout"'],
  ])('%j is told by its path: %s', (input, message) => {
    expect(problem(input)).toBe(message)
  })

  it('is told with the path that it was given under', () => {
    expect(problem({ bulkhead: { slots: 0 } }, 'defaults')).toMatch(/^defaults\.bulkhead\.slots: /)
    expect(problem(5, 'defaults')).toMatch(/^defaults: /)
  })

  it('is the first of several', () => {
    expect(problem({ timeout: -1, name: '' })).toMatch(/^timeout: /)
  })
})

describe('good options', () => {
  it('come back as a copy, so that neither side can change the other’s', () => {
    const schema = group({ classes: v.record(text, group({ guaranteed: count })) })
    const given = Object.freeze({ classes: Object.freeze({ pages: Object.freeze({ guaranteed: 1 }) }) })
    const parsed = parse(schema, given)
    expect(parsed).toEqual(given)
    expect(parsed).not.toBe(given)
    expect(parsed.classes).not.toBe(given.classes)
    expect(parsed.classes['pages']).not.toBe(given.classes.pages)
  })
})
