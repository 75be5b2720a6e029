import { describe, expect, expectTypeOf, it } from 'vitest'
import { createRegistry, gather, type Gathered } from '../../src/index.js'
import { Scope } from '../../src/request/scope.js'
import { ManualClock, settle } from '../../src/testing.js'
import { watch, type Watched } from '../support/calls.js'
import { gate } from '../support/gate.js'

const never = (): Promise<number> => new Promise(() => undefined)

describe('gather', () => {
  it('gives what came in time, and for the rest the reason', async () => {
    const clock = new ManualClock()
    const broken = new Error('broken')
    const all = watch(
      gather(() => ({ plain: 1, soon: Promise.resolve('two'), failed: Promise.reject(broken), hung: never() }), {
        within: 300,
        clock,
      }),
    )
    await clock.advance(299)
    expect(all.state).toBe('pending')
    await clock.advance(1)
    expect(all.value).toMatchObject({ values: { plain: 1, soon: 'two' } })
    expect(all.value!.missing).toMatchObject({ failed: broken, hung: { code: 'ERR_DEADLINE' } })
  })

  it.each<[string, unknown]>([
    ['no function', 'x'],
    ['nothing', () => undefined],
    ['a promise of parts', () => Promise.resolve({ a: 1 })],
    ['one that rejects', () => Promise.reject(new Error('none'))],
  ])('refuses what gives no parts: %s', async (_, begin) => {
    await expect(gather(begin as never, { within: 10 })).rejects.toMatchObject({
      code: 'ERR_OPTION',
      path: 'gather.begin',
    })
  })

  it('has the types of its parts', async () => {
    const { values, missing } = await gather(() => ({ feed: Promise.resolve(['a']), count: 1 }), { within: 10 })
    expectTypeOf(values.feed).toEqualTypeOf<string[] | undefined>()
    expectTypeOf(values.count).toEqualTypeOf<number | undefined>()
    expectTypeOf(missing).toHaveProperty('feed')
    // @ts-expect-error there is no such part
    expect(values.fed).toBeUndefined()
  })

  it('aborts what it no longer waits for, and nothing that it has', async () => {
    const clock = new ManualClock()
    const signals: AbortSignal[] = []
    const part = ({ signal }: { signal: AbortSignal }): { a: number; b: Promise<number> } => {
      signals.push(signal)
      return { a: 1, b: never() }
    }
    const late = watch(gather(part, { within: 100, clock }))
    await clock.advance(100)
    expect(late.state).toBe('resolved')
    expect(signals[0]!.reason).toMatchObject({ code: 'ERR_DEADLINE' })
    await gather(({ signal }) => ({ a: signals.push(signal) }), { within: 100, clock })
    expect(signals[1]!.aborted).toBe(false)
    expect(clock.pending()).toBe(0)
  })

  it('gives the stale value of a guarded part at the end of its time', async () => {
    const clock = new ManualClock()
    const feed = createRegistry({ clock }).dependency('feed')
    let answer = (): Promise<number> => Promise.resolve(7)
    const load = feed.wrap(() => answer(), { name: 'load', key: () => 'k', scope: 'public' })
    await load()
    answer = never
    const all = watch(gather(() => ({ load: load() }), { within: 100, clock }))
    await clock.advance(100)
    await settle()
    expect(all.value).toEqual({ values: { load: 7 }, missing: {} })
  })

  it('ends with the request that it is part of', async () => {
    const clock = new ManualClock()
    const request = new Scope(clock, Infinity, 0)
    const all = request.run(() => watch(gather(() => ({ hung: never() }), { within: 10_000, clock })))
    request.abort(new Error('gone'))
    await clock.advance(0)
    expect(all.value!.missing).toMatchObject({ hung: { message: 'gone' } })
    expect(clock.pending()).toBe(0)
  })

  it('passes on what beginning the parts throws, and refuses a bad time', async () => {
    const clock = new ManualClock()
    const begin = (): never => {
      throw new Error('no parts')
    }
    await expect(gather(begin, { within: 10, clock })).rejects.toThrow('no parts')
    expect(clock.pending()).toBe(0)
    await expect(gather(() => ({}), { within: 0 })).rejects.toMatchObject({ code: 'ERR_OPTION', path: 'gather.within' })
  })
})

describe('gather in the course of a request', () => {
  function inside(within = 1_000, floor = 0) {
    const clock = new ManualClock()
    const feed = createRegistry({ clock }).dependency('feed', {
      timeout: 5_000,
      bulkhead: { slots: 10, classes: { stats: { guaranteed: 2 } } },
    })
    return { clock, feed, request: new Scope(clock, within, floor) }
  }

  it('has its class, and the sooner of its own time and the request’s', async () => {
    const { clock, feed, request } = inside(200)
    request.class = 'stats'
    const seen: unknown[] = []
    const part = (): Promise<unknown> =>
      feed.run(({ remaining }) => seen.push([feed.inFlight().at(-1)!.class, remaining]))
    await request.run(() => gather(() => ({ part: part() }), { within: 100, clock }))
    await request.run(() => gather(() => ({ part: part() }), { within: 900, clock }))
    expect(seen).toEqual([
      ['stats', 100],
      ['stats', 200],
    ])
  })

  it('is over when the request’s time is, before its own', async () => {
    const { clock, feed, request } = inside(200)
    const all = request.run(() =>
      watch(gather(() => ({ quick: 1, guarded: feed.run(never), other: never() }), { within: 900, clock })),
    )
    await clock.advance(200)
    request.expire()
    await clock.advance(0)
    expect(all.value).toMatchObject({
      values: { quick: 1 },
      missing: { guarded: { code: 'ERR_DEADLINE' }, other: { code: 'ERR_DEADLINE' } },
    })
    expect(clock.pending({ referenced: true })).toBe(0)
  })

  it('aborts the work of a guarded part that did not come, and leaves what the request does beside it alone', async () => {
    const { clock, feed, request } = inside()
    const signals: AbortSignal[] = []
    const hang = (): Promise<number> =>
      feed.run(({ signal }) => {
        signals.push(signal)
        return never()
      })
    const all = request.run(() => {
      watch(hang())
      return watch(gather(() => ({ part: hang() }), { within: 100, clock }))
    })
    await clock.advance(100)
    expect(all.state).toBe('resolved')
    expect(signals.map(({ aborted }) => aborted)).toEqual([false, true])
    expect(feed.health().counts).toMatchObject({ cuts: 1, failures: 0, timeouts: 0 })
  })

  it('gives what is stale for every part at its end, whoever of them began the call that they share', async () => {
    const { clock, feed, request } = inside()
    let answer = (): Promise<number> => Promise.resolve(7)
    const load = feed.wrap(() => answer(), { name: 'load', key: () => 'k', scope: 'public', coalesce: true })
    await load()
    answer = never
    const elsewhere = watch(load())
    const parts = (): Record<string, Promise<number>> =>
      Object.fromEntries(Array.from({ length: 5 }, (_, i) => [`part ${i}`, load()]))
    const all = request.run(() => watch(gather(parts, { within: 100, clock })))
    await clock.advance(100)
    expect(all.value).toEqual({
      values: Object.fromEntries(Array.from({ length: 5 }, (_, i) => [`part ${i}`, 7])),
      missing: {},
    })
    expect(elsewhere.state).toBe('pending')
  })

  it('lets what came while the loop was blocked be read before it gives a part up', async () => {
    const { feed, request } = inside()
    const work = gate<string>()
    const clock = new (class extends ManualClock {
      override afterPoll(fire: () => void): void {
        super.afterPoll(() => {
          work.open('here')
          void settle().then(fire)
        })
      }
    })()
    const all = request.run(() => watch(gather(() => ({ part: feed.run(() => work.promise) }), { within: 100, clock })))
    clock.block(1_000)
    await clock.advance(0)
    await settle()
    expect(all.value).toEqual({ values: { part: 'here' }, missing: {} })
  })

  it('still bounds a call that it has begun and not waited for, which ends with the request too', async () => {
    const { clock, feed, request } = inside()
    const left: Watched<number>[] = []
    const begin = (): { one: number } => {
      left.push(watch(feed.run(never)))
      return { one: 1 }
    }
    const signals: AbortSignal[] = []
    await request.run(() =>
      gather(({ signal }) => ({ ...begin(), signal: signals.push(signal) }), { within: 100, clock }),
    )
    expect(request.idle).toBe(false)
    await clock.advance(100)
    expect(left[0]!.error).toMatchObject({ code: 'ERR_DEADLINE' })
    expect(signals[0]!.aborted).toBe(false)
    expect(request.idle).toBe(true)
    await request.run(() => gather(begin, { within: 500, clock }))
    const gone = new Error('gone')
    request.abort(gone)
    await settle()
    expect(left[1]!.error).toBe(gone)
  })

  it('that is over leaves what its parts go on to do to the request', async () => {
    const { clock, feed, request } = inside(1_000)
    request.class = 'stats'
    const wait = gate()
    const seen: unknown[] = []
    let later: Promise<Watched<number>> | undefined
    const part = (): number => {
      later = wait.promise.then(() => {
        seen.push(Scope.current() === request)
        const call = watch(
          feed.run(({ remaining }) => {
            seen.push(remaining, feed.inFlight()[0]!.class)
            return never()
          }),
        )
        return call
      })
      return 1
    }
    const nested = (): Promise<unknown> => gather(() => ({ part: part() }), { within: 100, clock })
    await request.run(() => gather(() => ({ nested: nested() }), { within: 200, clock }))
    await clock.advance(300)
    wait.open()
    const call = await later!
    expect(seen).toEqual([true, 700, 'stats'])
    request.abort(new Error('gone'))
    await settle()
    expect(call.error).toMatchObject({ message: 'gone' })
  })

  it('leaves it to nobody when the request is over too', async () => {
    const { clock, request } = inside()
    const wait = gate()
    let later: Promise<unknown> | undefined
    const part = (): number => {
      later = wait.promise.then(() => Scope.current())
      return 1
    }
    await request.run(() => gather(() => ({ part: part() }), { within: 100, clock }))
    request.end()
    wait.open()
    expect(await later).toBeUndefined()
  })

  it('begins nothing with less than the request’s floor left', async () => {
    const { clock, feed, request } = inside(100, 20)
    await clock.advance(90)
    let begun = 0
    const all = await request.run(() => gather(() => ({ part: feed.run(() => ++begun) }), { within: 50, clock }))
    expect(all.missing.part).toMatchObject({ code: 'ERR_DEADLINE' })
    expect(begun).toBe(0)
  })

  it('ends what was begun when beginning the rest throws', async () => {
    const { clock, feed, request } = inside()
    const broken = new Error('no more parts')
    let call: Watched<number> | undefined
    const begin = (): never => {
      call = watch(feed.run(never))
      throw broken
    }
    const all = request.run(() => watch(gather(begin, { within: 100, clock })))
    await settle()
    expect([all.error, call!.error]).toEqual([broken, broken])
    expect(request.signal.aborted).toBe(false)
  })

  it('begins no more calls for a part that it has given up, although that goes on', async () => {
    const { clock, feed, request } = inside()
    const wait = gate()
    let begun = 0
    const errors: unknown[] = []
    const part = async (): Promise<void> => {
      await wait.promise
      await feed.run(() => ++begun).catch((error: unknown) => errors.push(error))
    }
    const all = request.run(() => watch(gather(() => ({ part: part() }), { within: 100, clock })))
    await clock.advance(100)
    expect(all.state).toBe('resolved')
    wait.open()
    await settle()
    expect(errors).toMatchObject([{ code: 'ERR_DEADLINE' }])
    expect(begun).toBe(0)
    expect(await request.run(() => feed.run(() => 'x'))).toBe('x')
  })

  it('can be a part of another, and ends with it', async () => {
    const { clock, feed, request } = inside()
    const inner = (): Promise<Gathered<{ hung: Promise<number>; soon: number }>> =>
      gather(() => ({ hung: feed.run(never), soon: 1 }), { within: 500, clock })
    const all = request.run(() => watch(gather(() => ({ inner: inner() }), { within: 100, clock })))
    await clock.advance(99)
    expect(all.state).toBe('pending')
    await clock.advance(1)
    // The inner one has something to give at that very moment, and gives it.
    expect(all.value).toMatchObject({
      values: { inner: { values: { soon: 1 }, missing: { hung: { code: 'ERR_DEADLINE' } } } },
      missing: {},
    })
    expect(clock.pending({ referenced: true })).toBe(0)
  })
})

describe('the parts of gather', () => {
  it('are anything: values, promises, thenables, nothing, and none at all', async () => {
    const clock = new ManualClock()
    const thenable: PromiseLike<string> = { then: (resolve) => Promise.resolve('then').then(resolve) }
    const all = await gather(() => ({ none: undefined, nil: null, thenable, no: Promise.resolve(false) }), {
      within: 100,
      clock,
    })
    expect(all).toEqual({ values: { none: undefined, nil: null, thenable: 'then', no: false }, missing: {} })
    expect('none' in all.values).toBe(true)
    expect(await gather(() => ({}), { within: 100, clock })).toEqual({ values: {}, missing: {} })
    expect(clock.pending()).toBe(0)
  })

  it('may have any name', async () => {
    const clock = new ManualClock()
    const parts = JSON.parse('{ "__proto__": "art", "constructor": 1 }') as Record<string, unknown>
    const { values } = await gather(() => parts, { within: 100, clock })
    expect(Object.entries(values)).toEqual(Object.entries(parts))
    expect(Object.getPrototypeOf(values)).toBe(Object.prototype)
  })

  it('whatever they reject with is the reason, nothing included; and what comes too late hurts nobody', async () => {
    const clock = new ManualClock()
    const late = gate<number>()
    const all = watch(
      gather(() => ({ nothing: Promise.reject(undefined as unknown as Error), late: late.promise }), {
        within: 100,
        clock,
      }),
    )
    await clock.advance(100)
    const { missing } = all.value!
    expect('nothing' in missing).toBe(true)
    late.fail(new Error('too late'))
    await settle()
    expect(missing.late).toMatchObject({ code: 'ERR_DEADLINE' })
    expect(all.value!.values).toEqual({})
  })

  it('all settled early leave no timer, also those that failed, and end the wait at once', async () => {
    const clock = new ManualClock()
    const [one, two] = [gate<number>(), gate<number>()]
    const all = watch(gather(() => ({ one: one.promise, two: two.promise }), { within: 100, clock }))
    expect(clock.pending()).toBe(1)
    two.fail(new Error('no'))
    await settle()
    expect(all.state).toBe('pending')
    one.open(1)
    await settle()
    expect(all.value).toMatchObject({ values: { one: 1 }, missing: { two: { message: 'no' } } })
    expect(clock.pending()).toBe(0)
  })
})

describe('gather with a bad time', () => {
  it.each([0, -1, NaN, Infinity, 2 ** 31, '300', undefined])(
    'is refused before anything begins: %s',
    async (within) => {
      let begun = false
      const begin = (): object => {
        begun = true
        return {}
      }
      await expect(gather(begin as () => Record<string, never>, { within: within as number })).rejects.toMatchObject({
        code: 'ERR_OPTION',
        path: 'gather.within',
      })
      expect(begun).toBe(false)
    },
  )

  it('or an option that there isn’t', async () => {
    await expect(gather(() => ({}), { within: 10, timeout: 5 } as never)).rejects.toMatchObject({
      code: 'ERR_OPTION',
      path: 'gather.timeout',
    })
  })
})
