import * as v from 'valibot'
import { LONGEST_TIMER, type Clock } from './clock.js'
import { OptionError } from './errors.js'

const kind = (received: unknown): string => {
  if (typeof received === 'number' || typeof received === 'boolean' || received == null) return String(received)
  if (typeof received === 'string') return received.length > 40 ? 'a long string' : JSON.stringify(received)
  return Array.isArray(received) ? 'an array' : `a value of type ${typeof received}`
}

const must = (what: string) => (issue: { input: unknown }) => `must be ${what}, got ${kind(issue.input)}`

function numeric(what: string, fits: (value: number) => boolean) {
  return v.custom<number>((value) => typeof value === 'number' && fits(value), must(what))
}

/** A duration in ms that a timer can hold, more than 0. */
export const duration = numeric(
  `a number of milliseconds, more than 0 and at most ${LONGEST_TIMER}`,
  (ms) => ms > 0 && ms <= LONGEST_TIMER,
)

/** A duration in ms that may be 0. */
export const durationOrZero = numeric(
  `a number of milliseconds, from 0 to ${LONGEST_TIMER}`,
  (ms) => ms >= 0 && ms <= LONGEST_TIMER,
)

/** How long something may be kept, in ms; no timer runs for it, so it may be longer, but not endless. */
export const age = numeric('a finite number of milliseconds, 0 or more', (ms) => ms >= 0 && Number.isFinite(ms))

/** A share, more than 0 and at most 1. */
export const ratio = numeric('a ratio, more than 0 and at most 1', (share) => share > 0 && share <= 1)

/** A share, from 0 to 1. */
export const ratioOrZero = numeric('a ratio, from 0 to 1', (share) => share >= 0 && share <= 1)

/** So much a second, more than 0; less than 1 is once in a while. */
export const frequency = numeric('a finite number, more than 0', (n) => n > 0 && Number.isFinite(n))

/** The same, or 0. */
export const frequencyOrZero = numeric('a finite number, 0 or more', (n) => n >= 0 && Number.isFinite(n))

/** A whole number, 1 or more. */
export const count = numeric('a whole number, 1 or more', (n) => Number.isSafeInteger(n) && n >= 1)

/** A whole number, 0 or more. */
export const countOrZero = numeric('a whole number, 0 or more', (n) => Number.isSafeInteger(n) && n >= 0)

/** A factor, 1 or more. */
export const factor = numeric('a finite number, 1 or more', (n) => n >= 1 && Number.isFinite(n))

export const flag = v.boolean(must('true or false'))
export const text = v.pipe(v.string(must('a string')), v.minLength(1, 'must not be empty'))

/** A function of a known type; only that it is a function can be checked. */
export const fn = <F>() => v.custom<F>((value) => typeof value === 'function', must('a function'))

const CLOCK = ['now', 'wall', 'random', 'setTimer', 'clearTimer', 'afterPoll'] as const satisfies (keyof Clock)[]
export const clockSchema = v.custom<Clock>(
  (given) => {
    const clock = Object(given) as Record<string, unknown>
    return CLOCK.every((name) => typeof clock[name] === 'function')
  },
  `must be a clock, with ${CLOCK.join(', ')}`,
)

/** Anything but the given kinds is refused with a message that says what was expected. */
export const oneOf = <const Values extends readonly string[]>(values: Values) =>
  v.picklist(values, must(values.map((value) => JSON.stringify(value)).join(' or ')))

/** Arrays, dates and the like pass for objects elsewhere. */
const plain = v.custom<object>((given) => {
  if (typeof given !== 'object' || given === null) return false
  const proto: unknown = Object.getPrototypeOf(given)
  return proto === Object.prototype || proto === null
}, must('an object'))

/** An object that refuses names it does not know. */
export const group = <const Entries extends v.ObjectEntries>(entries: Entries) =>
  v.pipe(
    plain,
    v.strictObject(entries, (issue) =>
      issue.expected === 'never'
        ? `unknown option; known are ${Object.keys(entries).join(', ')}`
        : issue.received === 'undefined' && issue.expected !== 'Object'
          ? 'is required'
          : must('an object')(issue),
    ),
  )

/** What `false` switches off. */
export const orFalse = <const Schema extends v.GenericSchema>(schema: Schema) =>
  v.lazy((given): v.GenericSchema<unknown, false | v.InferOutput<Schema>> =>
    given === false ? v.literal(false) : schema,
  )

/** Names that valibot would drop without a word. */
const UNSAFE = ['__proto__', 'prototype', 'constructor']

/** An object of things by their names. */
export const named = <const Schema extends v.GenericSchema>(schema: Schema, what: string) =>
  v.pipe(
    v.custom<object>((given) => v.is(plain, given), must(`an object of ${what} by name`)),
    v.check(
      (given) => !UNSAFE.some((name) => Object.hasOwn(given, name)),
      `must not use the names ${UNSAFE.join(', ')}`,
    ),
    v.record(text, schema),
  )

/**
 * Checks `input` once, at construction, and hands back a copy.
 *
 * @param root what the path in the error starts with; empty for the outermost options
 * @throws OptionError (`ERR_OPTION`) naming the path of the first problem
 */
export function parse<const Schema extends v.GenericSchema>(
  schema: Schema,
  input: unknown,
  root = '',
): v.InferOutput<Schema> {
  const result = v.safeParse(schema, input, { abortEarly: true })
  if (result.success) return result.output
  const issue = result.issues[0]
  const path = [root, v.getDotPath(issue)].filter((part) => part !== null && part !== '').join('.')
  throw new OptionError(path === '' ? 'options' : path, issue.message)
}
