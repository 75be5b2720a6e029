import { getEventListeners } from 'node:events'
import { describe, expect, it } from 'vitest'
import { bulkhead, compose, createRegistry } from '../../src/index.js'
import { Scope } from '../../src/request/scope.js'
import { ManualClock, settle } from '../../src/testing.js'
import { watch, type Watched } from '../support/calls.js'
import { gate } from '../support/gate.js'
import { turns } from '../support/turns.js'

function world() {
  const clock = new ManualClock()
  const feed = createRegistry({ clock }).dependency('feed', {
    timeout: 1_000,
    bulkhead: { slots: 10, classes: { pages: { guaranteed: 4 }, stats: { atMost: 1 } } },
  })
  return { clock, feed, scope: (within = Infinity, floor = 0) => new Scope(clock, within, floor) }
}

const never = (): Promise<string> => new Promise(() => undefined)

describe('a guarded call in the course of a request', () => {
  it('has its time cut to what remains, across awaits, and no timer of its own', async () => {
    const { clock, feed, scope } = world()
    const request = scope(300)
    await clock.advance(100)
    const seen: number[] = []
    const late = await request.run(async () => {
      await settle()
      const before = clock.pending()
      const call = watch(
        feed.run(({ remaining }) => {
          seen.push(remaining)
          return never()
        }),
      )
      // The watch for stalls is the one timer that work in flight has.
      expect(clock.pending() - before).toBeLessThanOrEqual(1)
      expect(clock.pending({ referenced: true })).toBe(0)
      return call
    })
    expect(seen).toEqual([200])
    await clock.advance(199)
    expect(late.state).toBe('pending')
    await clock.advance(1)
    request.expire()
    await settle()
    expect(late.error).toMatchObject({ code: 'ERR_DEADLINE' })
    expect(feed.health()).toMatchObject({ counts: { cuts: 1, failures: 0 }, window: { failures: 0 } })
  })

  it('keeps its own timeout where that is the shorter one', async () => {
    const { clock, feed, scope } = world()
    const call = scope(5_000).run(() => watch(feed.run(never)))
    await clock.advance(1_000)
    expect(call.error).toMatchObject({ code: 'ERR_CALL_TIMEOUT' })
  })

  it('ends with the reason when the client goes, and is no failure of the dependency', async () => {
    const { feed, scope } = world()
    const request = scope()
    let signal: AbortSignal | undefined
    const call = request.run(() =>
      watch(
        feed.run((context) => {
          signal = context.signal
          return never()
        }),
      ),
    )
    const gone = new Error('gone')
    request.abort(gone)
    await settle()
    expect(call.error).toBe(gone)
    expect(signal!.reason).toBe(gone)
    expect(feed.health()).toMatchObject({ counts: { aborts: 1, failures: 0 }, window: { calls: 0 } })
  })

  it('does not start when the client has gone, or too little time is left', async () => {
    const { clock, feed, scope } = world()
    let calls = 0
    const count = (): number => ++calls
    const gone = scope()
    gone.abort('gone')
    await expect(gone.run(() => feed.run(count))).rejects.toBe('gone')
    const late = scope(100, 20)
    await clock.advance(80)
    await expect(late.run(() => feed.run(count))).rejects.toMatchObject({ code: 'ERR_DEADLINE' })
    expect(calls).toBe(0)
  })

  it('uses its class’s part of the bulkhead, unless the call names another', async () => {
    const { feed, scope } = world()
    const request = scope()
    request.class = 'stats'
    request.run(() => {
      watch(feed.run(never))
      watch(feed.run(never))
    })
    expect(feed.health()).toMatchObject({ slots: { busy: 1 }, waiters: 1 })
    request.run(() => watch(feed.run(never, { class: 'pages' })))
    expect(feed.health()).toMatchObject({ slots: { busy: 2 }, waiters: 1 })
    expect(feed.inFlight().map((work) => work.class)).toEqual(['stats', 'pages'])
  })

  it('is answered with what is stale when the deadline passes', async () => {
    const { feed, scope } = world()
    let answer = (): Promise<string> => Promise.resolve('old')
    const load = feed.wrap(() => answer(), { name: 'load', key: () => 'k', scope: 'public' })
    await load()
    answer = never
    const request = scope(100)
    const call = request.run(() => watch(load.outcome()))
    request.expire()
    await settle()
    expect(call.value).toMatchObject({ value: 'old', source: 'stale' })
  })

  it('joins another request’s call, and leaves it running when its own client goes', async () => {
    const { feed, scope } = world()
    const work = gate<string>()
    const load = feed.wrap(() => work.promise, { name: 'load', key: () => 'k', scope: 'public', freshFor: 1_000 })
    const [first, second] = [scope(), scope()]
    const one = first.run(() => watch(load()))
    const two = second.run(() => watch(load()))
    first.abort(new Error('gone'))
    work.open('shared')
    await settle()
    expect(one.error).toMatchObject({ message: 'gone' })
    expect(two.value).toBe('shared')
  })

  it('outlives the request when it is detached, and its result counts', async () => {
    const { feed, scope } = world()
    const work = gate<string>()
    let signal: AbortSignal | undefined
    const write = feed.wrap(
      (context) => {
        signal = context.signal
        return work.promise
      },
      { name: 'write', idempotent: false },
    )
    const request = scope(100)
    const call = request.run(() => watch(write()))
    request.abort(new Error('gone'))
    await settle()
    expect(call.error).toMatchObject({ message: 'gone' })
    expect(signal!.aborted).toBe(false)
    work.open('written')
    await settle()
    expect(feed.health()).toMatchObject({ counts: { successes: 1, aborts: 0 }, inFlight: 0 })
  })
})

describe('a scope', () => {
  it('is never seen by another that overlaps it', async () => {
    const { feed, scope } = world()
    const seen: (string | undefined)[] = []
    const handle = async (name: string): Promise<void> => {
      const request = scope()
      request.class = name
      await request.run(async () => {
        for (let i = 0; i < 3; i++) {
          await settle()
          await feed.run(() => seen.push(`${name} ${String(feed.inFlight().at(-1)?.class)}`))
        }
      })
    }
    await Promise.all(['pages', 'stats', 'feeds'].map(handle))
    expect(seen).toHaveLength(9)
    for (const line of seen) expect(line).toMatch(/^(\w+) \1$/)
  })

  it('is over once it has ended: what is begun then is in none', async () => {
    const { feed, scope } = world()
    const request = scope(50)
    await request.run(async () => {
      request.end()
      await settle()
      expect(Scope.current()).toBeUndefined()
      await feed.run(({ remaining }) => expect(remaining).toBe(1_000))
    })
  })

  it('puts no listener on a signal for its calls, and holds none of them when they have ended', async () => {
    const { feed, scope } = world()
    const request = scope()
    const { signal } = request
    const works = Array.from({ length: 5 }, () => gate())
    const calls = request.run(() => works.map((work) => feed.run(() => work.promise)))
    expect(getEventListeners(signal, 'abort')).toHaveLength(0)
    expect(request.idle).toBe(false)
    for (const work of works) work.open()
    await Promise.all(calls)
    expect(request.idle).toBe(true)
  })

  it('tells every call that its client has gone, also when the end of one ends the next', async () => {
    const { feed, scope } = world()
    const request = scope()
    const second = new AbortController()
    const calls = request.run(() => [
      watch(
        feed.run(({ signal }) => {
          signal.addEventListener('abort', () => {
            second.abort(new Error('with the first'))
          })
          return never()
        }),
      ),
      watch(feed.run(never, { signal: second.signal })),
      watch(feed.run(never)),
    ])
    request.abort(new Error('gone'))
    await settle()
    expect(calls.map(({ error }) => (error as Error).message)).toEqual(['gone', 'with the first', 'gone'])
    expect(request.idle).toBe(true)
  })

  it('aborts its signal once, late readers included', () => {
    const { scope } = world()
    const request = scope()
    request.expire()
    request.abort(new Error('gone'))
    expect(request.signal.reason).toMatchObject({ code: 'ERR_DEADLINE' })
  })
})

describe('what a call asks for itself', () => {
  it('goes before what the request says: its class, and the sooner of two deadlines', async () => {
    const { clock, feed, scope } = world()
    const seen: [string | undefined, number][] = []
    const load = feed.wrap(({ remaining }) => seen.push([feed.inFlight().at(-1)!.class, remaining]), { name: 'load' })
    const request = scope(500)
    request.class = 'stats'
    await request.run(async () => {
      await load()
      await load.with({ class: 'pages' })()
      await load.with({ deadline: clock.wall() + 200 })()
      await load.with({ deadline: clock.wall() + 900 })()
      await load.with({ total: 300 })()
      await load.with({ total: 900 })()
      await load.with({ timeout: 100 })()
    })
    expect(seen).toEqual([
      ['stats', 500],
      ['pages', 500],
      ['stats', 200],
      ['stats', 500],
      ['stats', 300],
      ['stats', 500],
      ['stats', 100],
    ])
  })

  it('ends it at its own time, and then it has its own timer', async () => {
    const { clock, feed, scope } = world()
    const request = scope(500)
    const call = request.run(() => watch(feed.run(never, { total: 200 })))
    await clock.advance(200)
    expect(call.error).toMatchObject({ code: 'ERR_DEADLINE' })
    expect(request.idle).toBe(true)
  })

  it('is aborted by its own signal, and by the request’s end, whichever comes first', async () => {
    const { feed, scope } = world()
    const own = new AbortController()
    const request = scope()
    const [one, two] = request.run(() => [
      watch(feed.run(never, { signal: own.signal })),
      watch(feed.run(never, { signal: new AbortController().signal })),
    ])
    own.abort(new Error('changed my mind'))
    await settle()
    expect(one.error).toMatchObject({ message: 'changed my mind' })
    expect(two.state).toBe('pending')
    request.abort(new Error('gone'))
    await settle()
    expect(two.error).toMatchObject({ message: 'gone' })
    expect(getEventListeners(own.signal, 'abort')).toHaveLength(0)
  })

  it('does in a callback that has lost the scope what the scope would have done', async () => {
    const { clock, feed, scope } = world()
    const request = scope(300)
    request.class = 'stats'
    const load = feed.wrap(
      ({ remaining }) => {
        expect([feed.inFlight()[0]!.class, remaining]).toEqual(['stats', 300])
        return never()
      },
      { name: 'load' },
    )
    const { signal } = request
    const call = watch(load.with({ class: 'stats', signal, deadline: clock.wall() + request.remaining })())
    expect(request.idle).toBe(true)
    request.abort(new Error('gone'))
    await settle()
    expect(call.error).toMatchObject({ message: 'gone' })
  })
})

describe('the time of a request', () => {
  it('needs one timer, however many calls it makes', async () => {
    const { clock, scope } = world()
    const feed = createRegistry({ clock }).dependency('wide', { timeout: 1_000 })
    const request = scope(300)
    const begin = (): Watched<string> => watch(feed.run(never))
    const calls = [request.run(begin)]
    const before = clock.pending()
    request.run(() => {
      for (let i = 0; i < 40; i++) calls.push(begin())
    })
    expect(feed.inFlight()).toHaveLength(41)
    expect(clock.pending()).toBe(before)
    await clock.advance(300)
    request.expire()
    await settle()
    for (const { error } of calls) expect(error).toMatchObject({ code: 'ERR_DEADLINE' })
  })

  it('bounds what has no timeout of its own', async () => {
    const { clock, scope } = world()
    const load = compose([], [bulkhead({ slots: 1 })], { clock })(() => never())
    const call = scope(300).run(() => watch(load()))
    await clock.advance(300)
    expect(call.error).toMatchObject({ code: 'ERR_DEADLINE' })
  })

  it('bounds the wait for a slot, and no waiter is left', async () => {
    const { clock, feed, scope } = world()
    const request = scope(100)
    request.class = 'stats'
    const [running, waiting] = request.run(() => [watch(feed.run(never)), watch(feed.run(never))])
    expect(feed.health().waiters).toBe(1)
    await clock.advance(100)
    request.expire()
    await settle()
    expect(running.error).toMatchObject({ code: 'ERR_DEADLINE' })
    expect(waiting.error).toMatchObject({ code: 'ERR_DEADLINE' })
    expect(feed.health()).toMatchObject({ waiters: 0, counts: { queueTimeouts: 0, failures: 0 } })
  })

  it('has its fallback served at its end, and none that would take longer', async () => {
    const { clock, feed, scope } = world()
    const request = scope(100)
    const quick = feed.wrap(never, { name: 'quick', fallback: { value: 'instead' } })
    const slow = feed.wrap(never, { name: 'slow', fallback: never })
    const [one, two] = request.run(() => [watch(quick()), watch(slow())])
    await clock.advance(100)
    request.expire()
    await settle()
    await settle()
    expect(one.value).toBe('instead')
    expect(two.error).toMatchObject({ code: 'ERR_DEADLINE' })
  })

  it('is also that of a fallback’s own calls', async () => {
    const { clock, feed, scope } = world()
    const seen: number[] = []
    const other = feed.wrap(
      ({ remaining }) => {
        seen.push(remaining)
        return 'other'
      },
      { name: 'other' },
    )
    const down = (): Promise<string> => Promise.reject(new Error('down'))
    const load = feed.wrap(down, { name: 'load', fallback: other })
    const request = scope(400)
    await clock.advance(100)
    expect(await request.run(() => load())).toBe('other')
    expect(seen).toEqual([300])
  })

  it('ends the wait for a fallback too, and the next one is served in that very turn', async () => {
    const { clock, feed, scope } = world()
    const signals: AbortSignal[] = []
    const slow = ({ signal }: { signal: AbortSignal }): Promise<string> => {
      signals.push(signal)
      return never()
    }
    const down = (): Promise<string> => Promise.reject(new Error('down'))
    const load = feed.wrap(down, { name: 'load', fallback: [slow, { value: 'instead' }] })
    const request = scope(100)
    const call = request.run(() => watch(load()))
    await settle()
    expect(signals).toHaveLength(1)
    await clock.advance(99)
    request.expire()
    await turns(20)
    expect(call.value).toBe('instead')
    expect(signals[0]!.reason).toMatchObject({ code: 'ERR_DEADLINE' })
  })

  it('that ends up to a millisecond early ends for all: nothing is begun that nobody would end', async () => {
    const { clock, feed, scope } = world()
    const request = scope(100)
    const begun: string[] = []
    const begin = (name: string) => (): Promise<string> => {
      begun.push(name)
      return never()
    }
    const load = feed.wrap(never, { name: 'load', fallback: begin('fallback') })
    const last = request.run(() => watch(load()))
    await clock.advance(99.5)
    request.expire()
    const late = request.run(() => watch(feed.run(begin('late'))))
    await settle()
    expect([last.error, late.error]).toMatchObject([{ code: 'ERR_DEADLINE' }, { code: 'ERR_DEADLINE' }])
    expect(begun).toEqual([])
    expect(request.remaining).toBe(0)
  })

  it('when it is over nothing begins, not even in the same turn', async () => {
    const { clock, feed, scope } = world()
    const request = scope(100)
    await clock.advance(100)
    request.expire()
    let begun = false
    await expect(request.run(() => feed.run(() => (begun = true)))).rejects.toMatchObject({ code: 'ERR_DEADLINE' })
    expect(begun).toBe(false)
  })
})

describe('callers of one flight', () => {
  function flight() {
    const made = world()
    const works: ReturnType<typeof gate<string>>[] = []
    const load = made.feed.wrap(
      () => {
        const work = gate<string>()
        works.push(work)
        return work.promise
      },
      { name: 'load', key: () => 'k', scope: 'public', coalesce: true },
    )
    return { ...made, load, works }
  }

  it('are each answered by their own request’s deadline, the flight goes on for the others', async () => {
    const { clock, scope, load, works } = flight()
    const request = scope(100)
    const hurried = request.run(() => watch(load()))
    const patient = scope(900).run(() => watch(load()))
    await clock.advance(100)
    request.expire()
    await settle()
    expect(hurried.error).toMatchObject({ code: 'ERR_DEADLINE' })
    expect(works).toHaveLength(1)
    works[0]!.open('shared')
    await settle()
    expect(patient.value).toBe('shared')
  })

  it('are answered with what is stale by then', async () => {
    const { clock, scope, load, works } = flight()
    const first = load.outcome()
    works[0]!.open('old')
    await first
    const request = scope(100)
    const late = request.run(() => watch(load.outcome()))
    await clock.advance(100)
    request.expire()
    // In that very turn: a gather that ends then waits for nobody.
    await turns(20)
    expect(late.value).toMatchObject({ value: 'old', source: 'stale', age: 100 })
  })

  it('need no timer of their own', () => {
    const { clock, scope, load } = flight()
    watch(load())
    const before = clock.pending()
    const request = scope(100)
    for (let i = 0; i < 10; i++) request.run(() => watch(load()))
    expect(clock.pending()).toBe(before)
  })

  it('have none begun with less than the floor left', async () => {
    const { clock, scope, load, works } = flight()
    const request = scope(100, 20)
    await clock.advance(80)
    await expect(request.run(() => load())).rejects.toMatchObject({ code: 'ERR_DEADLINE' })
    expect(works).toHaveLength(0)
  })

  it('end it when all their clients have gone, and no timer is left of them', async () => {
    const { clock, feed, scope, load, works } = flight()
    const requests = [scope(500), scope(600)]
    const calls = requests.map((request) => request.run(() => watch(load())))
    for (const request of requests) request.abort(new Error('gone'))
    await settle()
    for (const { error } of calls) expect(error).toMatchObject({ message: 'gone' })
    expect(requests.every(({ idle }) => idle)).toBe(true)
    works[0]!.fail(new Error('aborted'))
    await settle()
    expect(feed.health()).toMatchObject({ inFlight: 0, window: { failures: 0 } })
    expect(clock.pending({ referenced: true })).toBe(0)
  })

  it('have its slot from the class of the one who came first', () => {
    const { feed, scope, load } = flight()
    const [stats, pages] = [scope(), scope()]
    stats.class = 'stats'
    pages.class = 'pages'
    stats.run(() => watch(load()))
    pages.run(() => watch(load()))
    expect(feed.inFlight().map((work) => work.class)).toEqual(['stats'])
  })
})

describe('detached work', () => {
  function writes() {
    const made = world()
    const works: (ReturnType<typeof gate<string>> & { remaining: number; class: string | undefined })[] = []
    const write = made.feed.wrap(
      ({ remaining }) => {
        const work = { ...gate<string>(), remaining, class: made.feed.inFlight().at(-1)!.class }
        works.push(work)
        return work.promise
      },
      { name: 'write', detached: true },
    )
    return { ...made, write, works }
  }

  it('outlives the deadline too: its caller is answered in time, the work has the time of its operation', async () => {
    const { clock, feed, scope, write, works } = writes()
    const request = scope(100)
    request.class = 'pages'
    const call = request.run(() => watch(write()))
    expect(works[0]).toMatchObject({ remaining: 1_000, class: 'pages' })
    await clock.advance(100)
    request.expire()
    request.end()
    await settle()
    expect(call.error).toMatchObject({ code: 'ERR_DEADLINE' })
    await clock.advance(899)
    works[0]!.open('written')
    await settle()
    expect(feed.health().counts).toMatchObject({ successes: 1, timeouts: 0, cuts: 0 })
  })

  it('that must not run twice goes on once begun, and is not begun for a client who may be trying again', async () => {
    const { clock, feed, scope } = world()
    const work = gate<string>()
    let begun = 0
    const order = feed.wrap(
      () => {
        begun++
        return work.promise
      },
      { name: 'order', idempotent: false },
    )
    const [going, gone, late] = [scope(), scope(), scope(100, 20)]
    const first = going.run(() => watch(order()))
    going.abort('gone')
    gone.abort('gone')
    const second = gone.run(() => watch(order()))
    await clock.advance(80)
    const third = late.run(() => watch(order()))
    work.open('ordered')
    await settle()
    expect([first.error, second.error, third.error]).toMatchObject(['gone', 'gone', { code: 'ERR_DEADLINE' }])
    expect([begun, feed.health().counts.successes]).toEqual([1, 1])
  })

  it('goes on when the whole call’s time is over: that is its caller’s', async () => {
    const { clock, feed, works, write } = writes()
    const call = watch(write.with({ total: 100 })())
    const slow = createRegistry({ clock }).dependency('slow', { total: 100 })
    const work = gate()
    const other = watch(slow.run(() => work.promise, { detached: true, timeout: 1_000 }))
    await clock.advance(500)
    expect([call.error, other.error]).toMatchObject([{ code: 'ERR_DEADLINE' }, { code: 'ERR_DEADLINE' }])
    works[0]!.open('written')
    work.open()
    await settle()
    for (const each of [feed, slow]) expect(each.health().counts).toMatchObject({ successes: 1, cuts: 0 })
  })

  it('is bounded by its own timeout', async () => {
    const { clock, feed, scope, write } = writes()
    const call = scope().run(() => watch(write()))
    await clock.advance(1_000)
    expect(call.error).toMatchObject({ code: 'ERR_CALL_TIMEOUT' })
    expect(feed.health().counts.timeouts).toBe(1)
  })

  it('tells its caller what came of it, and the request is idle then', async () => {
    const { scope, write, works } = writes()
    const request = scope(100)
    const call = request.run(() => watch(write()))
    expect(request.idle).toBe(false)
    works[0]!.open('written')
    await settle()
    expect(call.value).toBe('written')
    expect(request.idle).toBe(true)
  })

  it('begins when its client has gone: what undoes a half-done change is called just then', async () => {
    const { scope, write, works } = writes()
    const request = scope(500)
    request.class = 'stats'
    request.abort(new Error('gone'))
    const call = request.run(() => watch(write()))
    expect(works).toMatchObject([{ remaining: 1_000, class: 'stats' }])
    works[0]!.open('undone')
    await settle()
    expect(call.value).toBe('undone')
    expect(request.idle).toBe(true)
  })

  it.each([
    ['passed', 100, true],
    ['all but passed', 85, false],
  ])('begins when the request’s time has %s, and its caller waits for it', async (_when, after, over) => {
    const { clock, scope, write, works } = writes()
    const request = scope(100, 20)
    await clock.advance(after)
    if (over) request.expire()
    const call = request.run(() => watch(write()))
    const hurried = request.run(() => watch(write.with({ total: 300 })()))
    expect(works).toHaveLength(2)
    await clock.advance(300)
    expect(call.state).toBe('pending')
    expect(hurried.error).toMatchObject({ code: 'ERR_DEADLINE' })
    works[0]!.open('undone')
    await settle()
    expect(call.value).toBe('undone')
    works[1]!.open('undone')
    await settle()
    expect(request.idle).toBe(true)
    expect(clock.pending({ referenced: true })).toBe(0)
  })

  it('is never waited for longer than its own timeout', async () => {
    const { clock, scope, write } = writes()
    const request = scope()
    request.abort(new Error('gone'))
    const call = request.run(() => watch(write()))
    await clock.advance(1_000)
    expect(call.error).toMatchObject({ code: 'ERR_CALL_TIMEOUT' })
  })

  it('is not begun for a signal that has aborted, nor with too little of its own time left', async () => {
    const { clock, scope, write, works } = writes()
    const signal = AbortSignal.abort(new Error('changed my mind'))
    await expect(write.with({ signal })()).rejects.toThrow('changed my mind')
    const late = { code: 'ERR_DEADLINE' }
    await expect(write.with({ deadline: clock.wall() })()).rejects.toMatchObject(late)
    await expect(scope(100, 20).run(() => write.with({ total: 20 })())).rejects.toMatchObject(late)
    expect(works).toHaveLength(0)
    expect(clock.pending({ referenced: true })).toBe(0)
  })
})

describe('a scope inside another', () => {
  it('has its class, and the sooner of both deadlines', async () => {
    const { clock, scope } = world()
    const request = scope(500, 5)
    request.class = 'stats'
    expect(new Scope(clock, 100, 5, request)).toMatchObject({ class: 'stats', remaining: 100 })
    expect(new Scope(clock, 900, 5, request)).toMatchObject({ class: 'stats', remaining: 500 })
  })

  it('ends with the outer one, and not the other way round', async () => {
    const { clock, feed, scope } = world()
    const request = scope(500)
    const child = new Scope(clock, 100, 0, request)
    const outer = request.run(() => watch(feed.run(never)))
    const inner = child.run(() => watch(feed.run(never)))
    child.expire()
    await settle()
    expect(inner.error).toMatchObject({ code: 'ERR_DEADLINE' })
    expect(outer.state).toBe('pending')
    expect(request.signal.aborted).toBe(false)
    const second = new Scope(clock, 100, 0, request)
    const third = new Scope(clock, 100, 0, second)
    const deep = third.run(() => watch(feed.run(never)))
    request.abort(new Error('gone'))
    await settle()
    expect(outer.error).toMatchObject({ message: 'gone' })
    expect(deep.error).toMatchObject({ message: 'gone' })
    expect(third.signal.reason).toMatchObject({ message: 'gone' })
  })

  it('that comes after the outer one’s end begins nothing', async () => {
    const { clock, feed, scope } = world()
    const request = scope(500)
    request.abort(new Error('gone'))
    const child = new Scope(clock, 100, 0, request)
    expect(child.signal.aborted).toBe(true)
    await expect(child.run(() => feed.run(() => 'x'))).rejects.toThrow('gone')
  })
})

describe('the signal of a scope', () => {
  it('aborts once, with the reason, for early and late readers, and tells of the first of two ends', () => {
    const { scope } = world()
    const request = scope()
    let times = 0
    request.signal.addEventListener('abort', () => times++)
    const gone = new Error('gone')
    request.abort(gone)
    request.abort(new Error('again'))
    request.expire()
    expect(times).toBe(1)
    expect(request.signal.reason).toBe(gone)
    const unread = scope()
    unread.abort(gone)
    expect(unread.signal.reason).toBe(gone)
  })

  it('stays as it is when the request ends well', () => {
    const { scope } = world()
    const request = scope()
    const { signal } = request
    request.end()
    expect(signal.aborted).toBe(false)
  })
})
