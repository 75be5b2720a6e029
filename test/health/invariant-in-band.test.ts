import { describe, expect, it } from 'vitest'
import { InvariantError } from '../../src/core/errors.js'
import { identity } from '../../src/health/identity.js'
import type { MonotonicState } from '../../src/health/monotonic-state.js'
import { monotonic } from '../../src/health/monotonic.js'
import { settle } from '../../src/testing.js'
import { watch, type Watched } from '../support/calls.js'
import { gate, type Gate } from '../support/gate.js'
import { watching } from '../support/watching.js'

/** Calls whose results the test brings, in the order that it likes. */
function calls() {
  const world = watching()
  const run = world.invariants.inBand<number>(monotonic('ids'), 'invariant')
  const begin = (): Gate<number> & { result: Watched<number> } => {
    const work = gate<number>()
    return { ...work, result: watch(run(() => work.promise)) }
  }
  const get = async (value: number): Promise<string> => {
    const result = watch(run(() => value))
    await settle()
    return result.state
  }
  return { ...world, run, begin, get, state: world.invariants.get('ids') as MonotonicState }
}

const [ABOVE, AGAIN] = [
  'ids: the result is not above what was handed out before (number after number)',
  'ids: the result was handed out before (number)',
]

describe('a result in band', () => {
  it('that is above all before is handed on, and one that is not is withheld and told', async () => {
    const { run, violations } = calls()
    expect(await run(() => 5)).toBe(5)
    expect(await run(async () => 7)).toBe(7)
    const error: unknown = await run(() => 6).catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(InvariantError)
    expect(error).toMatchObject({
      code: 'ERR_INVARIANT',
      dependency: 'db',
      message: `db: ${ABOVE}; the result was withheld`,
    })
    expect('cause' in (error as object)).toBe(false)
    await expect(run(() => 7)).rejects.toThrow(InvariantError)
    expect(violations).toEqual([ABOVE, ABOVE])
    expect(await run(() => 8)).toBe(8)
  })

  it('starts the operation at once, and hands on its error as it is', async () => {
    const { run, violations } = calls()
    let begun = false
    const down = new Error('down')
    const failing = run(() => {
      begun = true
      throw down
    })
    expect(begun).toBe(true)
    await expect(failing).rejects.toBe(down)
    await expect(run(() => Promise.reject(down))).rejects.toBe(down)
    expect(violations).toEqual([])
  })

  it('may come in any order when calls are concurrent', async () => {
    const { begin, get, violations } = calls()
    await get(10)
    const [a, b, c] = [begin(), begin(), begin()]
    c.open(13)
    await settle()
    a.open(11)
    await settle()
    b.open(12)
    await settle()
    expect([a, b, c].map(({ result }) => result.value)).toEqual([11, 12, 13])
    expect(violations).toEqual([])
  })

  it('must differ from all that was handed out while it was running', async () => {
    const { begin, get, violations } = calls()
    const late = begin()
    await get(11)
    await get(12)
    late.open(11)
    await settle()
    expect([late.result.state, violations]).toEqual(['rejected', [AGAIN]])
  })

  it('must be above what was handed out before its own call started, however many are running', async () => {
    const { begin, get, violations } = calls()
    const hung = begin()
    await get(12)
    const later = begin()
    later.open(11)
    await settle()
    expect([later.result.state, violations]).toEqual(['rejected', [ABOVE]])
    // The first call has been running since before: for it 11 is as good as new.
    hung.open(11)
    await settle()
    expect(hung.result.value).toBe(11)
  })

  it('that nobody got is no reason to withhold another, but a second of it is', async () => {
    const { begin, violations } = calls()
    const [a, b] = [begin(), begin()]
    a.open(5)
    b.open(5)
    await settle()
    expect([a.result.state, b.result.state, violations]).toEqual(['resolved', 'rejected', [AGAIN]])
  })

  it('that has no order, or is of another kind, is withheld', async () => {
    const { run, violations } = calls()
    await run(() => 5)
    for (const value of [NaN, 6n, '7', undefined])
      await expect(run(() => value as number)).rejects.toThrow(InvariantError)
    expect(violations).toEqual([
      'ids: the value is not comparable (NaN)',
      "ids: the value's kind changed from number to bigint",
      "ids: the value's kind changed from number to digits",
      'ids: the value is not comparable (undefined)',
    ])
    expect(await run(() => 6)).toBe(6)
  })

  it('is judged by what is picked out of it; if that throws, it is withheld and nothing is told', async () => {
    const { invariants, violations } = watching()
    const run = invariants.inBand(monotonic('ids', { of: (row: { id: bigint }) => row.id }), '')
    const row = { id: 5n }
    expect(await run(() => row)).toBe(row)
    await expect(run(() => ({ id: 5n }))).rejects.toThrow(InvariantError)
    const broken = run(() => null as unknown as typeof row)
    await expect(broken).rejects.toMatchObject({
      message: 'db: ids: `of` threw; the result was withheld',
      cause: expect.any(TypeError) as unknown,
    })
    expect(violations.length).toBe(1)
  })

  it('is withheld also when nobody wants to hear of it', async () => {
    const thrown = new Error('listener')
    const { invariants, reported, violations } = watching()
    violations.push = () => {
      throw thrown
    }
    const run = invariants.inBand<number>(monotonic('ids'), '')
    await run(() => 5)
    await expect(run(() => 5)).rejects.toThrow(InvariantError)
    expect(reported).toEqual([thrown])
  })

  it('is judged together with those of other operations of the same invariant', async () => {
    const { invariants } = watching()
    const [one, other] = ['a', 'b'].map(() => invariants.inBand<number>(monotonic('ids'), ''))
    const third = invariants.inBand<number>(monotonic('other ids'), '')
    await one!(() => 5)
    await expect(other!(() => 5)).rejects.toThrow(InvariantError)
    expect(await third(() => 5)).toBe(5)
  })
})

describe('a polled value', () => {
  it('is a mark for the calls that start after it, at which a result may stand once', async () => {
    const { invariants, violations } = watching()
    const state = invariants.polled(
      monotonic('ids', () => 100),
      '',
    )
    const run = invariants.inBand<number>(monotonic('ids'), '')
    const running = gate<number>()
    const before = watch(run(() => running.promise))
    await state.poll()
    await expect(run(() => 99)).rejects.toThrow(InvariantError)
    // The number that a sequence will give next is read as its last before it has given any.
    const twice = [watch(run(() => 100)), watch(run(() => 100))]
    await settle()
    expect(twice.map((one) => one.state)).toEqual(['resolved', 'rejected'])
    await expect(run(() => 100)).rejects.toThrow(InvariantError)
    // What was running when it was read may have come before it.
    running.open(98)
    await settle()
    expect(before.value).toBe(98)
    expect(violations.length).toBe(3)
  })

  it('that stands where the last result was is no licence to hand that out again', async () => {
    const { invariants } = watching()
    const state = invariants.polled(
      monotonic('ids', () => 5),
      '',
    )
    const run = invariants.inBand<number>(monotonic('ids'), '')
    await run(() => 5)
    expect(await state.poll()).toBe('holds')
    await expect(run(() => 5)).rejects.toThrow(InvariantError)
  })

  it('below what was handed out is a violation', async () => {
    const { invariants } = watching()
    const state = invariants.polled(
      monotonic('ids', () => 5),
      '',
    )
    const run = invariants.inBand<number>(monotonic('ids'), '')
    await run(() => 6)
    expect(await state.poll()).toEqual({ violation: 'ids: the value went back (number after number)' })
  })
})

describe('calls that were running when a baseline was accepted', () => {
  it('are withheld, as theirs may be the other server’s values, and nothing is told', async () => {
    const { begin, get, state, violations } = calls()
    await get(100)
    const old = begin()
    await get(102)
    await state.accept()
    expect([await get(30), state.remembered]).toEqual(['resolved', 0])
    const fresh = begin()
    old.open(101)
    await settle()
    expect(old.result.error).toMatchObject({
      code: 'ERR_INVARIANT',
      message: 'db: ids: the baseline changed while the call was running; its result was withheld',
    })
    fresh.open(50)
    await settle()
    expect(fresh.result.value).toBe(50)
    expect([await get(50), await get(51)]).toEqual(['rejected', 'resolved'])
    expect(violations).toEqual([ABOVE])
    expect(state.remembered).toBe(0)
  })
})

describe('what is remembered for calls in flight', () => {
  it('is nothing as soon as none is left', async () => {
    const { begin, get, state } = calls()
    const hung = begin()
    for (let id = 1; id <= 1_000; id++) await get(id)
    expect(state.remembered).toBe(1_000)
    hung.fail(new Error('down'))
    await settle()
    expect(state.remembered).toBe(0)
  }, 20_000)

  it('is about what was handed out since the oldest of them, while they come and go', async () => {
    const { run, begin, state } = calls()
    let most = 0
    let last = begin()
    for (let id = 1; id <= 5_000; id += 2) {
      await run(() => id)
      const next = begin()
      last.open(id + 1)
      await settle()
      last = next
      most = Math.max(most, state.remembered)
    }
    expect(most).toBeLessThan(200)
    expect(most).toBeGreaterThan(0)
  })

  it('is enough to judge a call that is not among the longest, however long those hang', async () => {
    const { run, begin, violations } = calls()
    begin()
    const late = []
    for (let id = 1; id <= 10_500; id++) {
      if (id === 8_000) late.push(begin(), begin())
      if (id !== 8_000) await run(() => id)
    }
    late[0]!.open(8_000)
    late[1]!.open(8_001)
    await settle()
    expect(late.map(({ result }) => result.state)).toEqual(['resolved', 'rejected'])
    expect(violations).toEqual([AGAIN])
  }, 20_000)

  it('is bounded when one hangs: its result is withheld unless it is above all that was forgotten', async () => {
    const { run, begin, state, violations } = calls()
    await run(() => 1)
    const hung = [begin(), begin(), begin(), begin(), begin()]
    let most = 0
    for (let id = 10; id < 30_000; id++) {
      await run(() => id)
      most = Math.max(most, state.remembered)
    }
    expect(most).toBeLessThanOrEqual(10_001)
    expect(state.remembered).toBeGreaterThan(1_000)
    const later = begin()
    const [low, gap, twice, past, none] = hung
    low!.open(1)
    gap!.open(5)
    twice!.open(29_999)
    past!.open(30_000)
    none!.open(500)
    later.open(30_001)
    await settle()
    expect(violations).toEqual([ABOVE, AGAIN])
    expect(hung.map(({ result }) => result.state)).toEqual(['rejected', 'rejected', 'rejected', 'resolved', 'rejected'])
    const unknown = 'db: ids: the call took too long to tell whether its result is a new one; it was withheld'
    expect([gap!.result.error, none!.result.error]).toMatchObject([{ message: unknown }, { message: unknown }])
    expect([later.result.state, state.remembered]).toEqual(['resolved', 0])
  }, 30_000)
})

describe('an identity in band', () => {
  const of = (row: { run: string }): string => row.run

  it('withholds what another one answers', async () => {
    const { invariants, violations } = watching()
    const run = invariants.inBand(
      identity('run', () => 'polled', { of }),
      '',
    )
    expect(await run(() => ({ run: 'a' }))).toEqual({ run: 'a' })
    expect(await run(async () => ({ run: 'a' }))).toEqual({ run: 'a' })
    await expect(run(() => ({ run: 'b' }))).rejects.toMatchObject({ code: 'ERR_INVARIANT', dependency: 'db' })
    await expect(run(() => ({}) as { run: string })).rejects.toMatchObject({ code: 'ERR_INVARIANT' })
    await expect(run(() => null as unknown as { run: string })).rejects.toThrow('`of` threw')
    expect(violations).toEqual([
      'run: another one answers (string after string)',
      'run: the result is no identity (undefined)',
    ])
  })

  it('knows what was polled under its name, and the other way round', async () => {
    const { invariants } = watching()
    const state = invariants.polled(
      identity('run', () => 'a'),
      '',
    )
    const run = invariants.inBand(
      identity('run', () => 'unused', { of }),
      '',
    )
    await run(() => ({ run: 'b' }))
    expect(await state.poll()).toEqual({ violation: 'run: another one answers (string after string)' })
    await state.accept()
    await expect(run(() => ({ run: 'b' }))).rejects.toThrow(InvariantError)
    expect(await run(() => ({ run: 'a' }))).toEqual({ run: 'a' })
  })

  it('withholds results of calls that were running when another was accepted', async () => {
    const { invariants, violations } = watching()
    let value = 'a'
    const state = invariants.polled(
      identity('run', () => value),
      '',
    )
    const run = invariants.inBand(
      identity('run', () => 'unused', { of }),
      '',
    )
    await state.poll()
    const work = gate<{ run: string }>()
    const result = watch(run(() => work.promise))
    value = 'b'
    await state.accept()
    work.open({ run: 'a' })
    await settle()
    expect([result.state, violations]).toEqual(['rejected', []])
  })

  it('is read as the dependency reads it, also when an operation came first', async () => {
    const { invariants } = watching()
    invariants.inBand(
      identity('run', () => 'unused', { of }),
      '',
    )
    const state = invariants.polled(
      identity('run', () => 'a'),
      '',
    )
    await state.poll()
    const run = invariants.inBand(
      identity('run', () => 'unused', { of }),
      '',
    )
    expect(await run(() => ({ run: 'a' }))).toEqual({ run: 'a' })
    expect(await state.poll()).toBe('holds')
  })
})
