import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createBudgets, createRegistry, gather, type BudgetOptions } from '../../src/index.js'
import { Inbound } from '../../src/request/inbound.js'
import type { Visit } from '../../src/request/visit.js'
import { ManualClock, settle } from '../../src/testing.js'
import { watch } from '../support/calls.js'

const CLASSES: Record<string, BudgetOptions> = {
  pages: { guaranteed: 1, queue: 2, maxWait: 100 },
  callbacks: { guaranteed: 1, atMost: 1, queue: 1, maxWait: 100 },
}

/** What stands between the frameworks and the budgets, as they use it. */
function house(slots = 2, options: { trustDeadline?: boolean; floor?: number } = {}) {
  const clock = new ManualClock()
  const registry = createRegistry({ clock })
  const budgets = createBudgets({ slots, classes: CLASSES, clock })
  const inbound = new Inbound<string>({ registry, budgets, deadline: 1_000, grace: 500, ...options }, 'guard')
  const told: Visit[] = []
  const enter = (headers = {}, deadline?: number): Visit => {
    const visit: Visit = inbound.enter(headers, () => told.push(visit), deadline)
    return visit
  }
  return {
    clock,
    registry,
    budgets,
    inbound,
    enter,
    /** Those whose deadline passed before they were answered. */
    told,
    busy: (name?: string) => (name === undefined ? budgets.usage().busy : budgets.usage().classes[name]!.busy),
    waiters: (name: string) => budgets.usage().classes[name]!.waiters,
    reclaimed: (name: string) => budgets.usage().classes[name]!.reclaimed,
  }
}

/** One that has a slot, and whose handler has begun. */
function running({ enter }: { enter: () => Visit }, budget = 'pages'): Visit {
  const visit = enter()
  expect(visit.take(budget)).toBeUndefined()
  visit.began()
  return visit
}

const gone = new Error('the client has gone')

describe('a request’s slot', () => {
  it('is given back when the response is closed and the handler has settled, whichever comes first', () => {
    const here = house()
    const answered = running(here)
    answered.close(undefined)
    expect(here.busy()).toBe(1)
    answered.settled()
    expect(here.busy()).toBe(0)
    const settled = running(here)
    settled.settled()
    expect(here.busy()).toBe(1)
    settled.close(undefined)
    expect(here.busy()).toBe(0)
  })

  it('is held by a handler that goes on after its client has gone', () => {
    const here = house()
    const visit = running(here)
    visit.close(gone)
    expect(visit.done).toBe(false)
    expect(here.busy()).toBe(1)
    visit.settled()
    expect(visit.done).toBe(true)
    expect(here.busy()).toBe(0)
  })

  it('is held until the last of several handlers has settled', () => {
    const here = house()
    const visit = running(here)
    visit.began()
    visit.close(undefined)
    visit.settled()
    expect(here.busy()).toBe(1)
    visit.settled()
    expect(here.busy()).toBe(0)
  })

  it('is given back by the close alone where no handler is followed', () => {
    const here = house()
    const visit = here.enter()
    void visit.take('pages')
    visit.close(undefined)
    expect(here.busy()).toBe(0)
  })

  it('is given back once, however often it is told', () => {
    const here = house(3)
    const visit = running(here)
    const other = running(here)
    visit.close(undefined)
    visit.close(gone)
    visit.settled()
    visit.settled()
    visit.hijacked()
    visit.reclaim()
    expect(here.busy()).toBe(1)
    expect(here.reclaimed('pages')).toBe(0)
    other.close(undefined)
    other.settled()
    expect(here.busy()).toBe(0)
  })

  it('is given back at once when the connection is taken over, whatever the handler does then', () => {
    const here = house()
    const visit = running(here)
    visit.hijacked()
    expect(here.busy()).toBe(0)
    visit.settled()
    visit.close(gone)
    expect(here.busy()).toBe(0)
    expect(visit.scope.gone).toBeUndefined()
  })
})

describe('a budget inside another', () => {
  it('takes the request over: the innermost wins, and the outer slot is free', () => {
    const here = house()
    const visit = running(here)
    expect(visit.take('callbacks')).toBeUndefined()
    expect(visit.budget).toBe('callbacks')
    expect(visit.scope.class).toBe('callbacks')
    expect([here.busy('pages'), here.busy('callbacks')]).toEqual([0, 1])
    visit.settled()
    visit.close(undefined)
    expect(here.busy()).toBe(0)
  })

  it('of the same class keeps the slot that there is', () => {
    const here = house()
    const visit = running(here, 'callbacks')
    const waiting = here.enter()
    void waiting.take('callbacks')
    expect(visit.take('callbacks')).toBeUndefined()
    expect(visit.budget).toBe('callbacks')
    expect([here.busy('callbacks'), here.waiters('callbacks')]).toEqual([1, 1])
  })

  it('that is full leaves the request without any', () => {
    const here = house()
    running(here, 'callbacks')
    void here.enter().take('callbacks')
    const visit = running(here)
    expect(visit.take('callbacks')).toMatchObject({ code: 'ERR_BUDGET' })
    expect(visit.budget).toBeUndefined()
    expect(here.busy('pages')).toBe(0)
  })
})

describe('a request in line', () => {
  it('has its slot when one is free', async () => {
    const here = house()
    const first = running(here, 'callbacks')
    const visit = here.enter()
    const taken = watch(visit.take('callbacks') as Promise<unknown>)
    await settle()
    expect(taken.state).toBe('pending')
    first.settled()
    first.close(undefined)
    await settle()
    expect(taken).toEqual({ state: 'resolved', value: undefined })
    expect(visit.budget).toBe('callbacks')
    visit.close(undefined)
    expect(here.busy()).toBe(0)
  })

  it('leaves it at once when its client goes', async () => {
    const here = house()
    const first = running(here, 'callbacks')
    const visit = here.enter()
    const taken = watch(visit.take('callbacks') as Promise<unknown>)
    visit.close(gone)
    expect(here.waiters('callbacks')).toBe(0)
    await settle()
    expect(taken.value).toMatchObject({ code: 'ERR_BUDGET' })
    first.settled()
    first.close(undefined)
    expect(here.busy()).toBe(0)
  })

  it('gives back a slot that came in the very turn in which its client went', async () => {
    const here = house()
    const first = running(here, 'callbacks')
    const visit = here.enter()
    const taken = watch(visit.take('callbacks') as Promise<unknown>)
    await settle()
    first.settled()
    first.close(undefined)
    expect(here.busy('callbacks')).toBe(1)
    visit.close(gone)
    await settle()
    expect(taken.value).toMatchObject({ code: 'ERR_BUDGET' })
    expect(here.busy()).toBe(0)
  })

  it('is refused when the budgets are closed, and so are those that come after', async () => {
    const here = house()
    running(here, 'callbacks')
    const waiting = watch(here.enter().take('callbacks') as Promise<unknown>)
    here.budgets.close()
    await settle()
    expect(waiting.value).toMatchObject({ code: 'ERR_CLOSED' })
    expect(here.enter().take('pages')).toMatchObject({ code: 'ERR_CLOSED' })
    expect(here.busy()).toBe(1)
  })

  it('is sent away after maxWait, and holds nothing', async () => {
    const here = house()
    running(here, 'callbacks')
    const visit = here.enter()
    const taken = watch(visit.take('callbacks') as Promise<unknown>)
    await here.clock.advance(99)
    expect(taken.state).toBe('pending')
    await here.clock.advance(1)
    expect(taken.value).toMatchObject({ code: 'ERR_BUDGET' })
    expect([here.waiters('callbacks'), here.busy('callbacks')]).toEqual([0, 1])
  })

  it('is not kept there past its deadline', async () => {
    const here = house()
    running(here, 'callbacks')
    const visit = here.enter({}, 60)
    const taken = watch(visit.take('callbacks') as Promise<unknown>)
    await here.clock.advance(60)
    expect(taken.value).toMatchObject({ name: expect.stringMatching(/BudgetExhausted|Deadline/) as string })
    expect(here.waiters('callbacks')).toBe(0)
    expect(here.told).toEqual([visit])
  })
})

describe('a request’s deadline', () => {
  it('ends its calls and is told once', async () => {
    const here = house()
    const visit = running(here)
    await here.clock.advance(999)
    expect(here.told).toEqual([])
    await here.clock.advance(1)
    expect(here.told).toEqual([visit])
    expect(visit.scope.signal.reason).toMatchObject({ code: 'ERR_DEADLINE' })
    await here.clock.advance(5_000)
    expect(here.told).toEqual([visit])
  })

  it('is not told of one that is answered', async () => {
    const here = house()
    running(here).close(undefined)
    await here.clock.advance(1_000)
    expect(here.told).toEqual([])
  })

  it('lets nothing begin any more: an upload may have outlasted it', async () => {
    const here = house()
    const visit = here.enter()
    await here.clock.advance(1_000)
    expect(visit.take('pages')).toMatchObject({ code: 'ERR_DEADLINE' })
    const left = here.enter()
    left.close(gone)
    expect(left.take('pages')).toMatchObject({ code: 'ERR_BUDGET' })
    expect(here.busy()).toBe(0)
  })

  it('and the grace after it: the slot of a handler that never answers is taken back, counted and told, once', async () => {
    const here = house()
    const events: unknown[] = []
    here.budgets.on('reclaim', (event) => events.push(event))
    const visit = running(here)
    await here.clock.advance(1_499)
    expect(here.busy()).toBe(1)
    await here.clock.advance(1)
    expect(here.busy()).toBe(0)
    expect(events).toEqual([{ class: 'pages' }])
    const next = running(here)
    visit.settled()
    visit.close(undefined)
    expect(here.busy()).toBe(1)
    next.settled()
    next.close(undefined)
    await here.clock.advance(10_000)
    expect([here.busy(), here.reclaimed('pages')]).toEqual([0, 1])
  })

  it('takes a slot back from a handler that runs on after its answer', async () => {
    const here = house()
    running(here).close(undefined)
    await here.clock.advance(1_499)
    expect(here.reclaimed('pages')).toBe(0)
    await here.clock.advance(1)
    expect([here.busy(), here.reclaimed('pages')]).toEqual([0, 1])
  })

  it('takes nothing back from one that ends within the grace', async () => {
    const here = house()
    const visit = running(here)
    await here.clock.advance(1_200)
    visit.settled()
    visit.close(undefined)
    await here.clock.advance(10_000)
    expect([here.busy(), here.reclaimed('pages')]).toEqual([0, 0])
  })

  it('is shortened by a trusted caller, never lengthened, and by nobody else', () => {
    const trusting = house(2, { trustDeadline: true })
    const header = (ms: string): object => ({ 'x-envoy-expected-rq-timeout-ms': ms })
    expect(trusting.enter(header('200')).scope.remaining).toBe(200)
    expect(trusting.enter(header('5000')).scope.remaining).toBe(1_000)
    expect(trusting.enter(header('0')).scope.remaining).toBe(1)
    expect(trusting.enter(header('200'), 150).scope.remaining).toBe(150)
    expect(house().enter(header('200')).scope.remaining).toBe(1_000)
  })
})

describe('the timers of requests', () => {
  it('are one for all of the same length, and none when the server has closed', async () => {
    const here = house(100)
    const visits = Array.from({ length: 50 }, () => running(here))
    expect(here.clock.pending()).toBe(1)
    for (const visit of visits) {
      visit.settled()
      visit.close(undefined)
    }
    expect(here.clock.pending({ referenced: true })).toBe(0)
    here.inbound.finish()
    expect(here.clock.pending()).toBe(0)
    const last = running(here)
    expect(here.clock.pending()).toBe(1)
    last.settled()
    last.close(undefined)
    expect(here.clock.pending()).toBe(0)
  })

  it('that a caller’s own deadline needs end with their request', () => {
    const here = house(100, { trustDeadline: true })
    const visits = ['210', '220', '230'].map((ms) => here.enter({ 'x-envoy-expected-rq-timeout-ms': ms }))
    expect(here.clock.pending()).toBe(3)
    for (const visit of visits) visit.close(undefined)
    expect(here.clock.pending()).toBe(0)
  })

  it('go on for calls that a request has begun and not waited for', async () => {
    const here = house()
    const feed = here.registry.dependency('feed', { timeout: 30_000 })
    const visit = here.enter()
    const call = visit.scope.run(() => watch(feed.run(() => new Promise(() => undefined))))
    visit.close(undefined)
    await here.clock.advance(999)
    expect(call.state).toBe('pending')
    await here.clock.advance(1)
    expect(call.error).toMatchObject({ code: 'ERR_DEADLINE' })
    expect(here.told).toEqual([])
  })

  it('go on for those that a part of it has begun, too', async () => {
    const here = house()
    const feed = here.registry.dependency('feed', { timeout: 30_000 })
    const visit = here.enter()
    const { clock } = here
    const begin = (): { call: Promise<string> } => ({ call: feed.run(() => new Promise<string>(() => undefined)) })
    const all = visit.scope.run(() => watch(gather(begin, { within: 20_000, clock })))
    visit.close(undefined)
    await clock.advance(1_000)
    expect(all.value!.missing).toMatchObject({ call: { code: 'ERR_DEADLINE' } })
    expect(feed.inFlight()[0]!.callerGone).toBe(true)
  })
})

describe('requests in any order of what may happen to them', () => {
  const happening = fc.record({
    what: fc.constantFrom('enter', 'nest', 'began', 'settled', 'close', 'leave', 'hijack', 'wait'),
    which: fc.nat(),
    budget: fc.constantFrom('pages', 'callbacks'),
    ms: fc.constantFrom(1, 60, 500, 1_600),
  })

  it('never hold more than the slots, and leave nothing behind', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(happening, { maxLength: 80, size: 'max' }), async (happenings) => {
        const here = house(3)
        const visits: { visit: Visit; handlers: number; waits: boolean }[] = []
        /** As in a chain of middleware: the next budget is asked for when the one before has answered. */
        const take = (one: (typeof visits)[number], budget: string): void => {
          if (one.waits) return
          const taken = one.visit.take(budget)
          if (!(taken instanceof Promise)) return
          one.waits = true
          void taken.then(() => (one.waits = false))
        }
        for (const { what, which, budget, ms } of happenings) {
          const one = visits[which % Math.max(1, visits.length)]
          if (what === 'enter') {
            const entered = { visit: here.enter(), handlers: 0, waits: false }
            visits.push(entered)
            take(entered, budget)
          } else if (what === 'wait') await here.clock.advance(ms)
          else if (one === undefined) continue
          else if (what === 'nest') take(one, budget)
          else if (what === 'began') {
            one.handlers++
            one.visit.began()
          } else if (what === 'settled' && one.handlers > 0) {
            one.handlers--
            one.visit.settled()
          } else if (what === 'close') one.visit.close(undefined)
          else if (what === 'leave') one.visit.close(gone)
          else if (what === 'hijack') one.visit.hijacked()
          await settle()
          const { busy, classes } = here.budgets.usage()
          expect(busy).toBeGreaterThanOrEqual(0)
          expect(busy).toBeLessThanOrEqual(3)
          expect(classes.callbacks!.busy).toBeLessThanOrEqual(1)
        }
        for (const { visit, handlers } of visits) {
          visit.close(undefined)
          for (let i = 0; i < handlers; i++) visit.settled()
        }
        await settle()
        const { busy, classes } = here.budgets.usage()
        expect([busy, ...Object.values(classes).map((each) => each.busy + each.waiters)]).toEqual([0, 0, 0])
        here.inbound.finish()
        expect(here.clock.pending()).toBe(0)
      }),
    )
  })
})
