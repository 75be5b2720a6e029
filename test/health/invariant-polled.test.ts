import { getEventListeners } from 'node:events'
import { describe, expect, it } from 'vitest'
import type { Comparable } from '../../src/core/comparable.js'
import { drift } from '../../src/health/drift.js'
import { identity } from '../../src/health/identity.js'
import type { InvariantState } from '../../src/health/invariant-state.js'
import { invariant } from '../../src/health/invariant.js'
import { monotonic } from '../../src/health/monotonic.js'
import { settle } from '../../src/testing.js'
import { watch } from '../support/calls.js'
import { gate } from '../support/gate.js'
import { MemoryStore, watching } from '../support/watching.js'

const SECRET = 73_519
const reason = async (state: InvariantState): Promise<string> => {
  const finding = await state.poll()
  return finding === 'holds' ? finding : finding.violation
}

/** A polled value that the test sets. */
function polled(first: unknown, options: { timeout?: number; store?: MemoryStore } = {}, world = watching()) {
  const source = { value: first }
  const read = (): Comparable => source.value as Comparable
  const state = world.invariants.polled(monotonic('ids', read, options), 'invariants.0')
  const after = async (value: unknown): Promise<string> => {
    source.value = value
    return reason(state)
  }
  return { ...world, source, state, after }
}

describe('a polled value that must not decrease', () => {
  it.each<[string, Comparable, Comparable, Comparable]>([
    ['number', 5, 5.5, 4],
    ['number', 0, 0, -1],
    ['bigint', 2n ** 64n, 2n ** 64n + 1n, 2n ** 64n - 1n],
    ['Date', new Date(1_000), new Date(1_001), new Date(999)],
    ['digits', '9223372036854775806', '9223372036854775807', '9223372036854775805'],
    ['digits', '9', '10', '8'],
    ['digits', '-10', '-9', '-11'],
    ['LSN', '16/B374D848', '16/B374D849', '16/B374D847'],
    ['LSN', '9/FFFFFFFF', 'A/0', '9/fffffffe'],
    ['LSN', '1/10', '1/100', '1/F'],
  ])(
    'of kind %s holds while it is equal or higher, and not below the highest so far: %s, %s, %s',
    async (kind, first, higher, lower) => {
      const { after } = polled(first)
      expect(await after(first)).toBe('holds')
      expect(await after(first)).toBe('holds')
      expect(await after(higher)).toBe('holds')
      expect(await after(lower)).toBe(`ids: the value went back (${kind} after ${kind})`)
      expect(await after(lower)).toBe(`ids: the value went back (${kind} after ${kind})`)
      expect(await after(higher)).toBe('holds')
    },
  )

  it.each([
    [NaN, 'NaN'],
    [Infinity, 'an infinite number'],
    [new Date(NaN), 'an invalid Date'],
    [undefined, 'undefined'],
    [null, 'null'],
    [true, 'boolean'],
    ['', 'string'],
    ['5 apples', 'string'],
    ['16/', 'string'],
    ['123456789/0', 'string'],
    ['1\n', 'string'],
    [{}, 'object'],
    [[5], 'array'],
  ])('is broken by a value without order: %s', async (value, kind) => {
    const { after } = polled(5)
    await after(5)
    expect(await after(value)).toBe(`ids: the value is not comparable (${kind})`)
    expect(await after(6)).toBe('holds')
  })

  it('is broken by another kind, even where that is higher', async () => {
    const { after } = polled(5)
    await after(5)
    expect(await after(6n)).toBe("ids: the value's kind changed from number to bigint")
    expect(await after('7')).toBe("ids: the value's kind changed from number to digits")
    expect(await after('1/0')).toBe("ids: the value's kind changed from number to LSN")
    expect(await after(new Date(SECRET))).toBe("ids: the value's kind changed from number to Date")
    expect(await after(6)).toBe('holds')
  })

  it('stays an open question when it can’t be read, and the mark stays', async () => {
    const { invariants, clock } = watching()
    let read: () => Promise<number> = async () => 10
    const state = invariants.polled(
      monotonic('ids', () => read(), { timeout: 200 }),
      '',
    )
    await state.poll()
    const down = new Error('down')
    read = async () => Promise.reject(down)
    await expect(state.poll()).rejects.toBe(down)
    read = () => {
      throw down
    }
    await expect(state.poll()).rejects.toBe(down)
    const hung = gate<number>()
    read = () => hung.promise
    const result = watch(state.poll())
    await clock.advance(199)
    expect(result.state).toBe('pending')
    await clock.advance(1)
    expect(result.error).toMatchObject({
      code: 'ERR_CALL_TIMEOUT',
      dependency: 'db',
      message: 'db (ids): not read within 200 ms',
    })
    // What comes after its time decides nothing.
    hung.open(1_000)
    await settle()
    read = async () => 9
    expect(await reason(state)).toBe('ids: the value went back (number after number)')
    read = async () => 11
    expect(await reason(state)).toBe('holds')
    expect(clock.pending()).toBe(0)
  })

  it('tells what reads when its time is over, or nobody waits any more', async () => {
    const { invariants, clock } = watching()
    const signals: AbortSignal[] = []
    const state = invariants.polled(
      monotonic('ids', ({ signal }) => {
        signals.push(signal)
        return gate<number>().promise
      }),
      '',
    )
    const late = watch(state.poll())
    await clock.advance(1_000)
    expect([late.state, signals[0]!.aborted, signals[0]!.reason]).toEqual(['rejected', true, late.error])
    const controller = new AbortController()
    const left = watch(state.poll(controller.signal))
    await settle()
    expect(signals[1]!.aborted).toBe(false)
    controller.abort('closed')
    await settle()
    expect([left.error, signals[1]!.aborted, signals[1]!.reason]).toEqual(['closed', true, 'closed'])
    expect(getEventListeners(controller.signal, 'abort')).toEqual([])
    await expect(state.poll(controller.signal)).rejects.toBe('closed')
    await settle()
    expect([signals.length, clock.pending()]).toEqual([2, 0])
  })

  it('is compared with what was known when reading began: values are handed out meanwhile', async () => {
    const { invariants, violations } = watching()
    const reading = gate<number>()
    const state = invariants.polled(
      monotonic('ids', () => reading.promise),
      '',
    )
    const run = invariants.inBand<number>(monotonic('ids'), '')
    await run(() => 5)
    const result = watch(state.poll())
    await settle()
    await run(() => 6)
    reading.open(5)
    await settle()
    expect([result.value, violations]).toEqual(['holds', []])
    // And what is read late doesn't lower the mark.
    await expect(run(() => 6)).rejects.toThrow('not above')
  })

  it('is taken as it is by accept, for the new baseline', async () => {
    const { state, after, source } = polled(100)
    await after(100)
    source.value = 50
    expect(await state.accept()).toBe('holds')
    expect(await after(50)).toBe('holds')
    expect(await after(49)).toContain('went back')
    source.value = 7n
    expect(await state.accept()).toBe('holds')
    expect(await after(8n)).toBe('holds')
    source.value = NaN
    expect(await state.accept()).toEqual({ violation: 'ids: the value is not comparable (NaN)' })
    expect(await after(7n)).toContain('went back')
    source.value = 9n
    expect(await state.accept()).toBe('holds')
    expect(await after(8n)).toContain('went back')
  })

  it('that was being read when a baseline was accepted is an open question', async () => {
    const { invariants } = watching()
    const readings = [gate<number>(), gate<number>(), gate<number>()]
    let count = 0
    const state = invariants.polled(
      monotonic('ids', () => readings[count++]!.promise),
      '',
    )
    const first = state.poll()
    readings[0]!.open(100)
    await first
    const before = watch(state.poll())
    const accepted = watch(state.accept())
    await settle()
    readings[2]!.open(10)
    await settle()
    expect(accepted.value).toBe('holds')
    readings[1]!.open(101)
    await settle()
    expect(before.error).toMatchObject({ message: 'ids: the baseline changed while it was read' })
  })
})

describe('two sources that must not drift apart', () => {
  const between = (a: unknown, b: unknown, atMost: number): Promise<string> =>
    reason(
      watching().invariants.polled(
        drift(
          'ids',
          () => a as Comparable,
          () => b as Comparable,
          { atMost },
        ),
        '',
      ),
    )

  it.each([
    ['number', 1, 1.5, 0.5, 0.4],
    ['bigint', 2n ** 64n, 2n ** 64n + 100n, 100, 99],
    ['bigint', 5n, 6n, 1, 0.5],
    ['Date', new Date(5_000), new Date(4_000), 1_000, 999],
    ['digits', '9223372036854775807', '9223372036854775707', 100, 99],
    ['LSN', '1/0', '0/FFFFFF00', 256, 255],
  ])('of kind %s may be as far apart as said, and no further: %s, %s', async (kind, a, b, enough, less) => {
    expect(await between(a, b, enough)).toBe('holds')
    expect(await between(b, a, enough)).toBe('holds')
    const broken = `ids: the values are more than ${less} apart (${kind} and ${kind})`
    expect(await between(a, b, less)).toBe(broken)
    expect(await between(b, a, less)).toBe(broken)
  })

  it('must be of one kind that has an order', async () => {
    expect(await between(5, 5n, 100)).toBe('ids: the values are of two kinds (number and bigint)')
    expect(await between(NaN, 5, 100)).toBe('ids: the value is not comparable (NaN)')
    expect(await between(5, null, 100)).toBe('ids: the value is not comparable (null)')
  })

  it('are read at the same time, within one bound; when one can’t be read, the other is told', async () => {
    const { invariants, clock } = watching()
    const sources = [gate<number>(), gate<number>()]
    const signals: AbortSignal[] = []
    const read = (index: number) => (context: { signal: AbortSignal }) => {
      signals.push(context.signal)
      return sources[index]!.promise
    }
    const state = invariants.polled(drift('ids', read(0), read(1), { atMost: 1, timeout: 50 }), '')
    const late = watch(state.poll())
    await settle()
    expect(signals.length).toBe(2)
    sources[0]!.open(1)
    await clock.advance(50)
    expect(late.error).toMatchObject({ code: 'ERR_CALL_TIMEOUT' })
    const failed = watch(state.poll())
    sources[1]!.fail(new Error('down'))
    await settle()
    expect(failed.error).toMatchObject({ message: 'down' })
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, true, true, true])
    const throws = (): never => {
      throw new Error('at once')
    }
    const one = invariants.polled(
      drift('b', throws, () => Promise.reject(new Error('too')), { atMost: 1 }),
      '',
    )
    await expect(one.poll()).rejects.toThrow('at once')
    await expect(one.accept()).rejects.toThrow('at once')
  })
})

describe('who answers', () => {
  it('must be the first that was seen', async () => {
    const { invariants } = watching()
    let value: unknown = 'abc'
    const state = invariants.polled(
      identity('run', () => value as string),
      '',
    )
    expect(await reason(state)).toBe('holds')
    expect(await reason(state)).toBe('holds')
    value = 'abd'
    expect(await reason(state)).toBe('run: another one answers (string after string)')
    value = 5
    expect(await reason(state)).toBe("run: the value's kind changed from string to number")
    for (const [none, kind] of [
      [undefined, 'undefined'],
      [NaN, 'NaN'],
      [{}, 'object'],
    ] as const) {
      value = none
      expect(await reason(state)).toBe(`run: the value is no identity (${kind})`)
    }
    value = 'abc'
    expect(await reason(state)).toBe('holds')
  })

  it('may be another after accept, and is that one from then on', async () => {
    const { invariants } = watching()
    let value: string | bigint = 'abc'
    const state = invariants.polled(
      identity('run', () => value),
      '',
    )
    await state.poll()
    value = 7n
    expect(await state.accept()).toBe('holds')
    expect(await reason(state)).toBe('holds')
    value = 'abc'
    expect(await reason(state)).toContain('kind changed from bigint to string')
  })

  it('and was asked before another was accepted, is an open question', async () => {
    const { invariants } = watching()
    const readings = ['a', 'b', 'a'].map(() => gate<string>())
    let count = 0
    const state = invariants.polled(
      identity('run', () => readings[count++]!.promise),
      '',
    )
    const first = state.poll()
    readings[0]!.open('a')
    await first
    const before = watch(state.poll())
    const accepted = watch(state.accept())
    await settle()
    readings[2]!.open('b')
    await settle()
    readings[1]!.open('a')
    await settle()
    expect(accepted.value).toBe('holds')
    expect(before.error).toMatchObject({ message: 'run: the baseline changed while it was read' })
  })
})

describe('a check of one’s own', () => {
  it('holds by true, is violated by false, and anything else is an open question', async () => {
    const { invariants, clock } = watching()
    let check: () => boolean | Promise<boolean> = () => true
    const state = invariants.polled(
      invariant('writable', () => check(), { timeout: 30 }),
      '',
    )
    expect(await reason(state)).toBe('holds')
    check = async () => false
    expect(await reason(state)).toBe('writable: the check said no')
    expect(await state.accept()).toEqual({ violation: 'writable: the check said no' })
    check = () => undefined as unknown as boolean
    await expect(state.poll()).rejects.toThrow('writable: a check must give true or false, got undefined')
    check = () => {
      throw new Error('down')
    }
    await expect(state.poll()).rejects.toThrow('down')
    check = () => gate<boolean>().promise
    const hung = watch(state.poll())
    await clock.advance(30)
    expect(hung.error).toMatchObject({ code: 'ERR_CALL_TIMEOUT', message: 'db (writable): not read within 30 ms' })
  })
})

describe('an invariant that is only checked in band', () => {
  it('speaks against nothing when it is polled, and forgets its mark when that is accepted', async () => {
    const { invariants, violations } = watching()
    const run = invariants.inBand<number>(monotonic('ids'), '')
    const state = invariants.get('ids')!
    await run(() => 100)
    expect(await state.poll()).toBe('holds')
    await expect(run(() => 50)).rejects.toMatchObject({ code: 'ERR_INVARIANT' })
    expect(await state.accept()).toBe('holds')
    expect(await run(() => 50)).toBe(50)
    await expect(run(() => 50)).rejects.toMatchObject({ code: 'ERR_INVARIANT' })
    expect(violations.length).toBe(2)
  })
})

describe('a violation', () => {
  it('says nothing of the values', async () => {
    const values = [SECRET, BigInt(SECRET), String(SECRET), new Date(SECRET), `x${SECRET}`, [SECRET], NaN, null]
    for (const a of values)
      for (const b of values) {
        const { invariants, violations } = watching()
        let value: unknown = a
        const one = invariants.polled(
          monotonic('m', () => value as number),
          '',
        )
        const two = invariants.polled(
          identity('i', () => value as number),
          '',
        )
        const three = invariants.polled(
          drift(
            'd',
            () => a as number,
            () => b as number,
            { atMost: 0 },
          ),
          '',
        )
        const run = invariants.inBand<unknown>(monotonic<unknown>('b', { of: (result) => result }), '')
        const told: string[] = []
        for (const seen of [a, b, b === SECRET ? 1 : b]) {
          value = seen
          for (const state of [one, two, three]) told.push(await reason(state))
          await run(() => value).catch((error: unknown) => told.push(String(error)))
        }
        expect(violations.length).toBeGreaterThan(0)
        expect([...told, ...violations].join()).not.toMatch(/73.?519/)
      }
  })
})
