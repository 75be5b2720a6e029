import * as v from 'valibot'
import { describe, expect, it } from 'vitest'
import { OptionError } from '../../src/core/errors.js'
import { drift } from '../../src/health/drift.js'
import { identity } from '../../src/health/identity.js'
import { inBandSchema, polledSchema, type InBandInvariant } from '../../src/health/invariant-definition.js'
import { invariant } from '../../src/health/invariant.js'
import { monotonic } from '../../src/health/monotonic.js'
import { watching } from '../support/watching.js'

const read = (): number => 1
const store = { get: () => undefined, set: () => undefined }

describe('an invariant', () => {
  it('is a frozen object with its defaults', () => {
    const all = [
      monotonic('a'),
      monotonic('a', read),
      drift('a', read, read, { atMost: 0 }),
      identity('a', read),
      invariant('a', () => true),
    ]
    for (const one of all) expect(one).toMatchObject({ name: 'a', every: 60_000, timeout: 1_000 })
    expect(all.map((one) => Object.isFrozen(one))).toEqual(all.map(() => true))
    expect(all.map(({ kind }) => kind)).toEqual(['monotonic', 'monotonic', 'drift', 'identity', 'check'])
  })

  it('takes its options with and without a function that reads', () => {
    const of = (row: { id: number }): number => row.id
    expect(monotonic('a', { store, timeout: 5, of })).toMatchObject({ read: undefined, store, timeout: 5, of })
    expect(monotonic('a', read, { store, every: 7, of })).toMatchObject({ read, store, every: 7, of })
    expect(identity('a', read, { store, every: 7, of })).toMatchObject({ read, store, every: 7, of })
    expect(drift('a', read, read, { atMost: 3, timeout: 9 })).toMatchObject({ atMost: 3, timeout: 9 })
    expect(invariant('a', () => true, { every: 4 })).toMatchObject({ every: 4 })
  })

  const bad = (make: (...args: never[]) => unknown, ...args: unknown[]): string => {
    try {
      make(...(args as never[]))
    } catch (error) {
      expect(error).toBeInstanceOf(OptionError)
      return (error as OptionError).message
    }
    return 'none'
  }

  it.each([
    [monotonic, ['a', read, { every: 0 }], /^monotonic\.every: /],
    [monotonic, ['a', { timeout: NaN }], /^monotonic\.timeout: /],
    [monotonic, ['a', { tiemout: 5 }], /^monotonic\.tiemout: unknown option; known are every, timeout, store, of$/],
    [monotonic, ['a', { every: 5 }], /^monotonic\.every: is of no use without a function that reads$/],
    [monotonic, ['a', 5], /^monotonic: must be an object, got 5$/],
    [monotonic, ['a', { store: { get: read } }], /^monotonic\.store: must be an object with get and set$/],
    [monotonic, ['a', { store: null }], /^monotonic\.store: /],
    [monotonic, ['a', { of: 'id' }], /^monotonic\.of: must be a function/],
    [monotonic, [''], /^monotonic\.name: must not be empty$/],
    [monotonic, ['a/b'], /^monotonic\.name: must not contain a slash$/],
    [drift, ['a', read, read, {}], /^drift\.atMost: is required$/],
    [drift, ['a', read, read, { atMost: -1 }], /^drift\.atMost: must be a finite number/],
    [drift, ['a', read, read, { atMost: Infinity }], /^drift\.atMost: /],
    [drift, ['a', read, read, { atMost: 1, store }], /^drift\.store: unknown option/],
    [drift, ['a', read, 5, { atMost: 1 }], /^drift\.b: must be a function/],
    [drift, ['a', 5, read, { atMost: 1 }], /^drift\.a: must be a function/],
    [identity, ['a'], /^identity\.read: must be a function/],
    [identity, ['a', read, { evry: 1 }], /^identity\.evry: unknown option/],
    [invariant, ['a', true], /^invariant\.check: must be a function/],
    [invariant, [5, read], /^invariant\.name: must be a string/],
    [invariant, ['a', read, { store }], /^invariant\.store: unknown option/],
  ])('is refused by the path of what is wrong: %s %j %s', (make, args, message) => {
    expect(bad(make, ...args)).toMatch(message)
  })
})

describe('where an invariant fits', () => {
  const inBandOnly = monotonic('a')
  const both = [monotonic('a', read), identity('a', read, { of: (row: { run: string }) => row.run })]
  const polledOnly = [identity('a', read), drift('a', read, read, { atMost: 1 }), invariant('a', () => true)]

  it('is told from what it can do', () => {
    for (const one of [...both, ...polledOnly]) expect(v.is(polledSchema, one)).toBe(true)
    for (const one of [...both, inBandOnly]) expect(v.is(inBandSchema, one)).toBe(true)
    for (const one of polledOnly) expect(v.is(inBandSchema, one)).toBe(false)
    for (const one of [inBandOnly, { ...both[0] }, null, undefined, read, 'a'])
      expect(v.is(polledSchema, one)).toBe(false)
    for (const one of [{ ...inBandOnly }, null, undefined, read]) expect(v.is(inBandSchema, one)).toBe(false)
  })

  it('is checked by its types as well', () => {
    const rows = (one: InBandInvariant<{ id: number }>): unknown => one
    const ids = (one: InBandInvariant<number>): unknown => one
    rows(monotonic('a', { of: (row: { id: number }) => row.id }))
    ids(monotonic('a'))
    ids(monotonic('a', read))
    // @ts-expect-error a row has no order
    rows(monotonic('a'))
    // @ts-expect-error a row isn't a number
    ids(monotonic('a', { of: (row: { id: number }) => row.id }))
    // @ts-expect-error it says nothing of results
    rows(drift('a', read, read, { atMost: 1 }))
    // @ts-expect-error polled only
    rows(invariant('a', () => true))
    // @ts-expect-error nothing to poll
    expect(() => monotonic('a', { every: 5 })).toThrow(OptionError)
  })
})

describe('invariants of one name', () => {
  const problem = (make: () => unknown): string => {
    try {
      make()
    } catch (error) {
      return (error as OptionError).message
    }
    return 'none'
  }

  it('are one, polled and in band, in any order and in any number of operations', () => {
    const ids = monotonic('ids', read)
    const { invariants } = watching()
    invariants.inBand(ids, 'invariant')
    const state = invariants.polled(ids, 'invariants.0')
    invariants.inBand(monotonic('ids'), 'invariant')
    invariants.inBand(ids, 'invariant')
    expect(invariants.states).toEqual([state])
    expect(invariants.get('ids')).toBe(state)
    expect(state).toMatchObject({ name: 'ids', kind: 'monotonic', every: 60_000 })
  })

  it('are not polled as long as no dependency asks for it', () => {
    const { invariants } = watching()
    invariants.inBand(monotonic('ids', read, { store }), 'invariant')
    invariants.inBand(identity('run', read, { of: () => 'x' }), 'invariant')
    expect(invariants.states.map(({ every }) => every)).toEqual([undefined, undefined])
  })

  it('can’t be two things, nor polled twice, nor kept in two stores', () => {
    const { invariants } = watching()
    const kept = monotonic('ids', read, { store })
    invariants.polled(kept, 'invariants.0')
    invariants.polled(identity('run', read), 'invariants.1')
    invariants.polled(
      invariant('ok', () => true),
      'invariants.2',
    )
    const at = 'invariants.3'
    expect(problem(() => invariants.polled(kept, at))).toBe('invariants.3: "ids" is polled already')
    expect(problem(() => invariants.polled(identity('run', read), at))).toBe('invariants.3: "run" is polled already')
    const taken = (name: string, kind: string): string =>
      `invariants.3: "${name}" is already the name of an invariant (${kind})`
    expect(problem(() => invariants.polled(identity('ids', read), at))).toBe(taken('ids', 'monotonic'))
    expect(problem(() => invariants.polled(monotonic('run', read), at))).toBe(taken('run', 'identity'))
    expect(problem(() => invariants.polled(drift('run', read, read, { atMost: 1 }), at))).toBe(taken('run', 'identity'))
    expect(
      problem(() =>
        invariants.polled(
          invariant('ok', () => true),
          at,
        ),
      ),
    ).toBe(taken('ok', 'check'))
    expect(problem(() => invariants.inBand(monotonic('ok'), 'invariant'))).toContain('invariant: "ok" is already')
    const another = monotonic('ids', { store: { ...store } })
    expect(problem(() => invariants.inBand(another, 'invariant'))).toBe('invariant: "ids" already has another store')
    expect(invariants.states.length).toBe(3)
  })
})
