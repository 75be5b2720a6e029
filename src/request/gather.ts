import * as v from 'valibot'
import { systemClock, type Clock } from '../core/clock.js'
import { OptionError } from '../core/errors.js'
import { clockSchema, duration, group, parse } from '../core/options.js'
import { isThenable } from '../core/thenable.js'
import { Scope } from './scope.js'

/** What came in time, and why the rest did not. */
export interface Gathered<Parts extends Record<string, unknown>> {
  values: { [Name in keyof Parts]?: Awaited<Parts[Name]> }
  missing: { [Name in keyof Parts]?: unknown }
}

const schema = group({
  within: duration,
  clock: v.optional(clockSchema),
})

/**
 * Partial results: all parts that come within the time, and for each that doesn't the reason. Never rejects because one
 * part did, and aborts what it no longer waits for. The parts are begun in a scope of their own, so guarded calls among
 * them keep to `within` by themselves; hand `signal` to the others.
 *
 * @param begin begins the parts and returns them by name
 * @param options `within`, ms
 * @throws OptionError (`ERR_OPTION`); whatever `begin` throws by itself
 * @example
 * const { values, missing } = await gather(() => ({ feed: loadFeed('art'), recs: loadRecs(user) }), { within: 300 })
 */
export async function gather<Parts extends Record<string, unknown>>(
  begin: (context: { signal: AbortSignal }) => Parts,
  options: { within: number; clock?: Clock },
): Promise<Gathered<Parts>> {
  const { within, clock = systemClock } = parse(schema, options, 'gather')
  if (typeof begin !== 'function') throw new OptionError('gather.begin', 'must be a function')
  const parent = Scope.current()
  const scope = new Scope(clock, within, parent?.floor ?? 0, parent)
  const timer = clock.setTimer(() => {
    // The loop may have been blocked: what has already arrived gets one poll phase to be read.
    clock.afterPoll(() => {
      scope.expire()
    })
  }, within)
  const { signal } = scope
  const values: [name: string, value: unknown][] = []
  const missing: [name: string, reason: unknown][] = []
  try {
    const parts = checked(scope.run(() => begin({ signal })))
    const waits = Object.entries(parts).map(([name, part]) =>
      Promise.race([part, ended(signal, clock)]).then(
        (value) => {
          values.push([name, value])
        },
        (error: unknown) => {
          missing.push([name, error])
        },
      ),
    )
    await Promise.all(waits)
  } catch (error) {
    scope.abort(error)
    throw error
  } finally {
    // What ended before its time stays as it is: a part that was given up may go on, and begins no more calls.
    if (!signal.aborted) scope.end()
    // Calls that nobody waits for have no other timer.
    if (scope.idle) clock.clearTimer(timer)
  }
  // A part may have any name, `__proto__` too.
  return { values: Object.fromEntries(values), missing: Object.fromEntries(missing) } as Gathered<Parts>
}

/** Rejects when the signal has aborted; parts that have something else to give at that moment go first. */
function ended(signal: AbortSignal, clock: Clock): Promise<never> {
  return new Promise((_, reject) => {
    const end = (): void => {
      clock.afterPoll(() => {
        reject(signal.reason)
      })
    }
    if (signal.aborted) end()
    else signal.addEventListener('abort', end, { once: true })
  })
}

/** In JavaScript anything may come back. */
function checked<Parts extends object>(parts: Parts): Parts {
  const given: unknown = parts
  if (isThenable(given)) given.then(undefined, () => undefined)
  if (typeof given !== 'object' || given === null || isThenable(given))
    throw new OptionError('gather.begin', 'must return the parts by name, and not a promise of them')
  return parts
}
