import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createBudgets, OptionError, type BudgetEvents, type Budgets } from '../../src/index.js'
import { BudgetPermit, type BudgetWait } from '../../src/request/budgets.js'
import { ManualClock, settle } from '../../src/testing.js'
import { watch } from '../support/calls.js'

function budgets(clock = new ManualClock()) {
  const made = createBudgets({
    slots: 10,
    classes: {
      pages: { guaranteed: 4 },
      callbacks: { guaranteed: 2, atMost: 6, queue: 2, maxWait: 100 },
      stats: { guaranteed: 1, atMost: 3, queue: 0 },
    },
    clock,
  })
  return { clock, made }
}

function permit(taken: ReturnType<Budgets['take']>): BudgetPermit {
  expect(taken).toBeInstanceOf(BudgetPermit)
  return taken as BudgetPermit
}

const optionError = (path: string): Error => expect.objectContaining({ code: 'ERR_OPTION', path }) as Error

describe('a class of routes', () => {
  it('borrows what is idle up to its ceiling, and never what is guaranteed to others', () => {
    const { made } = budgets()
    for (let i = 0; i < 5; i++) permit(made.take('callbacks'))
    // Ten, less four for pages and one for stats.
    expect(made.take('callbacks')).not.toBeInstanceOf(BudgetPermit)
    for (let i = 0; i < 4; i++) permit(made.take('pages'))
    permit(made.take('stats'))
    expect(made.usage()).toMatchObject({ slots: 10, busy: 10 })
  })

  it('refuses with ERR_BUDGET when its line is full, and counts that', () => {
    const { made } = budgets()
    for (let i = 0; i < 3; i++) permit(made.take('stats'))
    expect(made.take('stats')).toMatchObject({ code: 'ERR_BUDGET' })
    expect(made.usage().classes.stats).toMatchObject({ busy: 3, refused: 1, waiters: 0 })
  })

  it('hands a freed slot to who waits, or refuses when it waited too long', async () => {
    const { clock, made } = budgets()
    const held = Array.from({ length: 5 }, () => permit(made.take('callbacks')))
    const [first, second] = [made.take('callbacks'), made.take('callbacks')] as BudgetWait[]
    const got = watch(first!.permit)
    const waited = watch(second!.permit)
    held[0]!.release()
    held[0]!.release()
    await settle()
    expect(got.value).toBeInstanceOf(BudgetPermit)
    await clock.advance(100)
    expect(waited.error).toMatchObject({ code: 'ERR_BUDGET' })
    expect(made.usage().classes.callbacks).toMatchObject({ busy: 5, waiters: 0 })
  })

  it('gives the place of a client that left to the next', async () => {
    const { made } = budgets()
    const held = Array.from({ length: 5 }, () => permit(made.take('callbacks')))
    const gone = made.take('callbacks') as BudgetWait
    const next = made.take('callbacks') as BudgetWait
    const left = watch(gone.permit)
    gone.leave()
    held[0]!.release()
    await settle()
    expect(left.error).toMatchObject({ code: 'ERR_BUDGET' })
    expect((await next.permit).class).toBe('callbacks')
  })

  it('waits no longer than its request has time', async () => {
    const { clock, made } = budgets()
    for (let i = 0; i < 5; i++) permit(made.take('callbacks'))
    const waited = watch((made.take('callbacks', 30) as BudgetWait).permit)
    await clock.advance(30)
    expect(waited.error).toMatchObject({ code: 'ERR_BUDGET' })
  })

  it('can be paused by an operator for a time: who waits is sent away, who runs goes on', async () => {
    const { clock, made } = budgets()
    const told: BudgetEvents['pause'][] = []
    made.on('pause', (event) => told.push(event))
    const held = Array.from({ length: 5 }, () => permit(made.take('callbacks')))
    const waiting = watch((made.take('callbacks') as BudgetWait).permit)
    made.pause('callbacks', { reason: 'schema upgrade', by: 'ann', for: 60_000 })
    await settle()
    expect(waiting.error).toMatchObject({ code: 'ERR_BUDGET' })
    for (const each of held) each.release()
    expect(made.take('callbacks')).toMatchObject({ code: 'ERR_BUDGET' })
    permit(made.take('pages'))
    expect(made.usage().classes.callbacks!.paused).toMatchObject({ reason: 'schema upgrade', by: 'ann' })
    await clock.advance(60_000)
    permit(made.take('callbacks'))
    expect(told.map(({ paused }) => paused)).toEqual([true, false])
    made.pause('callbacks', { reason: 'again', for: Infinity })
    made.resume('callbacks')
    permit(made.take('callbacks'))
    expect(clock.pending()).toBe(0)
  })

  it('counts and tells of a slot that was taken back, once', () => {
    const { made } = budgets()
    const told: unknown[] = []
    made.on('reclaim', (event) => told.push(event))
    const held = permit(made.take('stats'))
    held.reclaim()
    held.reclaim()
    held.release()
    expect(told).toEqual([{ class: 'stats' }])
    expect(made.usage().classes.stats).toMatchObject({ busy: 0, reclaimed: 1 })
  })
})

describe('all classes together', () => {
  it('never hold more than the cap, can always have what they are guaranteed, and end at nothing', () => {
    const names = ['pages', 'callbacks', 'stats'] as const
    const guaranteed = { pages: 4, callbacks: 2, stats: 1 }
    const step = fc.record({ name: fc.constantFrom(...names), take: fc.boolean(), which: fc.nat() })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        const { made } = budgets()
        const held: BudgetPermit[] = []
        for (const { name, take, which } of steps) {
          if (take) {
            const owed =
              made.usage().classes[name]!.busy < guaranteed[name] && made.usage().classes[name]!.waiters === 0
            const taken = made.take(name)
            if (taken instanceof BudgetPermit) held.push(taken)
            else if ('permit' in taken) {
              taken.permit.catch(() => undefined)
              taken.leave()
            }
            if (owed) expect(taken).toBeInstanceOf(BudgetPermit)
          } else held.splice(which % Math.max(1, held.length), 1)[0]?.release()
          expect(made.usage().busy).toBe(held.length)
          expect(held.length).toBeLessThanOrEqual(10)
        }
        for (const each of held) each.release()
        expect(made.usage().busy).toBe(0)
      }),
    )
  })
})

describe('a place in line', () => {
  /** Callbacks have all five slots that they can, and nobody waits yet. */
  function full() {
    const here = budgets()
    return { ...here, held: Array.from({ length: 5 }, () => permit(here.made.take('callbacks'))) }
  }

  it('is never passed by a newcomer, not even while a slot is on its way', async () => {
    const { made, held } = full()
    const first = watch((made.take('callbacks') as BudgetWait).permit)
    held[0]!.release()
    const second = made.take('callbacks')
    expect(second).not.toBeInstanceOf(BudgetPermit)
    await settle()
    expect(first.value).toBeInstanceOf(BudgetPermit)
    expect(made.usage().classes.callbacks).toMatchObject({ busy: 5, waiters: 1 })
    ;(second as BudgetWait).permit.catch(() => undefined)
  })

  it('costs no timer when it has been had, and none when it was given up', async () => {
    const { clock, made, held } = full()
    const [one, two] = [made.take('callbacks') as BudgetWait, made.take('callbacks') as BudgetWait]
    const given = watch(two.permit)
    expect(clock.pending()).toBe(2)
    two.leave()
    two.leave()
    held[0]!.release()
    await one.permit
    await settle()
    expect(given.state).toBe('rejected')
    expect(clock.pending()).toBe(0)
  })

  it('given up when its slot has just come leaves the slot to who asked for it', async () => {
    const { made, held } = full()
    const wait = made.take('callbacks') as BudgetWait
    await settle()
    held[0]!.release()
    wait.leave()
    const late = await wait.permit
    expect(made.usage().classes.callbacks!.busy).toBe(5)
    late.release()
    expect(made.usage().classes.callbacks!.busy).toBe(4)
  })

  it('whose slot comes in the turn in which its time is over is not lost either way', async () => {
    const { clock, made, held } = full()
    const wait = watch((made.take('callbacks') as BudgetWait).permit)
    await settle()
    clock.block(100)
    held[0]!.release()
    await clock.advance(0)
    expect(wait.value).toBeInstanceOf(BudgetPermit)
    expect(made.usage().classes.callbacks).toMatchObject({ busy: 5, waiters: 0, refused: 0 })
  })

  it('is as long as its class says, and counts as refused when it was in vain, but not when its client went', async () => {
    const { clock, made } = full()
    const waits = [made.take('callbacks'), made.take('callbacks')] as BudgetWait[]
    const [gone, late] = waits.map((wait) => watch(wait.permit))
    expect(made.take('callbacks')).toMatchObject({ code: 'ERR_BUDGET', retryAfter: 1_000 })
    waits[0]!.leave()
    await clock.advance(99)
    expect(late!.state).toBe('pending')
    await clock.advance(1)
    expect(gone!.error).toMatchObject({ code: 'ERR_BUDGET', message: 'the client has gone' })
    expect(late!.error).toMatchObject({ code: 'ERR_BUDGET', retryAfter: 1_000 })
    expect(made.usage().classes.callbacks).toMatchObject({ refused: 2, waiters: 0 })
  })

  it('is kept 250 ms, in a line of 10, unless the class says otherwise', async () => {
    const clock = new ManualClock()
    const made = createBudgets({ slots: 1, classes: { pages: {} }, clock })
    permit(made.take('pages'))
    const waits = Array.from({ length: 10 }, () => watch((made.take('pages') as BudgetWait).permit))
    expect(made.take('pages')).toMatchObject({ code: 'ERR_BUDGET' })
    await clock.advance(249)
    expect(waits.every(({ state }) => state === 'pending')).toBe(true)
    await clock.advance(1)
    expect(waits.every(({ state }) => state === 'rejected')).toBe(true)
  })
})

describe('a freed slot', () => {
  it('goes to who has waited longest, of whatever class', async () => {
    const { made } = budgets()
    const callbacks = Array.from({ length: 5 }, () => permit(made.take('callbacks')))
    for (let i = 0; i < 4; i++) permit(made.take('pages'))
    const page = watch((made.take('pages') as BudgetWait).permit)
    const callback = watch((made.take('callbacks') as BudgetWait).permit)
    callbacks[0]!.release()
    await settle()
    expect([page.state, callback.state]).toEqual(['resolved', 'pending'])
    callbacks[1]!.release()
    await settle()
    expect(callback.state).toBe('resolved')
    expect(made.usage()).toMatchObject({ busy: 9, classes: { pages: { busy: 5 }, callbacks: { busy: 4 } } })
  })

  it('that pages are guaranteed is never lent to callbacks that wait', async () => {
    const { made } = budgets()
    for (let i = 0; i < 5; i++) permit(made.take('callbacks'))
    const pages = Array.from({ length: 4 }, () => permit(made.take('pages')))
    const callback = watch((made.take('callbacks') as BudgetWait).permit)
    pages[0]!.release()
    await settle()
    expect(callback.state).toBe('pending')
    permit(made.take('pages'))
  })
})

describe('what a class is entitled to', () => {
  it('is, for classes that say nothing, a safe share of what isn’t guaranteed to others', () => {
    const { classes } = createBudgets({ slots: 20, classes: { pages: { guaranteed: 8 }, a: {}, b: {}, c: {} } }).usage()
    expect(Object.values(classes).map(({ guaranteed }) => guaranteed)).toEqual([8, 2, 2, 2])
    expect(Object.values(classes).map(({ atMost }) => atMost)).toEqual([20, 20, 20, 20])
  })

  it('never exceeds its ceiling, and its ceiling never the cap', () => {
    const made = createBudgets({ slots: 20, classes: { a: { atMost: 2 }, b: { atMost: 90 } } })
    expect(made.usage().classes).toMatchObject({ a: { guaranteed: 2, atMost: 2 }, b: { atMost: 20 } })
  })

  it('may be nothing: then it lives on what is idle', () => {
    const made = createBudgets({ slots: 2, classes: { pages: { guaranteed: 1 }, stats: { guaranteed: 0, queue: 0 } } })
    permit(made.take('stats'))
    expect(made.take('stats')).not.toBeInstanceOf(BudgetPermit)
    permit(made.take('pages'))
  })
})

describe('a pool that is guaranteed in full', () => {
  it('lends nothing, neither to a class that names no guarantee nor to a route’s own budget', () => {
    const classes = { pages: { guaranteed: 2 }, stats: { guaranteed: 1 }, feeds: { queue: 0 } }
    const made = createBudgets({ slots: 3, classes })
    const own = made.own({ slots: 1, queue: 0 })
    expect(made.usage().classes.feeds!.guaranteed).toBe(0)
    for (const name of ['feeds', own]) expect(made.take(name)).toMatchObject({ code: 'ERR_BUDGET' })
    expect(made.usage().busy).toBe(0)
  })
})

describe('the class of requests that name none', () => {
  it('is the first, or the one that is named', () => {
    expect(budgets().made.otherwise).toBe('pages')
    expect(createBudgets({ slots: 9, classes: { a: {}, b: {} }, otherwise: 'b' }).otherwise).toBe('b')
  })
})

describe('a budget of one route’s own', () => {
  it('holds its slots and no more, borrowed from what is idle', () => {
    const { made } = budgets()
    const name = made.own({ slots: 2, queue: 0 })
    const before = made.usage().classes
    permit(made.take(name))
    permit(made.take(name))
    expect(made.take(name)).toMatchObject({ code: 'ERR_BUDGET' })
    expect(made.usage()).toMatchObject({ busy: 2, classes: { [name]: { guaranteed: 0, atMost: 2, busy: 2 } } })
    expect(before.pages).toMatchObject({ guaranteed: 4 })
    for (let i = 0; i < 4; i++) permit(made.take('pages'))
  })

  it('takes nothing that others are guaranteed', () => {
    const { made } = budgets()
    const name = made.own({ slots: 10, queue: 0 })
    for (let i = 0; i < 3; i++) permit(made.take(name))
    expect(made.take(name)).toMatchObject({ code: 'ERR_BUDGET' })
  })

  it('says nothing of how long others wait', () => {
    const { made } = budgets()
    made.own({ slots: 2, maxWait: 9_000 })
    expect(made.longestWait()).toEqual({ class: 'callbacks', maxWait: 100 })
  })

  it('is another for each route, and never a class that is called the same', () => {
    const made = createBudgets({ slots: 9, classes: { 'route 1': {}, pages: {} } })
    const names = [made.own({ slots: 1 }), made.own({ slots: 1 })]
    expect(new Set([...names, 'route 1', 'pages']).size).toBe(4)
    expect(made.names).toEqual(['route 1', 'pages', ...names])
  })

  it.each([
    [{ slots: 0 }, 'budget.slots'],
    [{ slots: NaN }, 'budget.slots'],
    [{ slots: '5' }, 'budget.slots'],
    [{}, 'budget.slots'],
    [{ slots: 5, queue: -1 }, 'budget.queue'],
    [{ slots: 5, maxWait: 0 }, 'budget.maxWait'],
    [{ slots: 5, atMost: 3 }, 'budget.atMost'],
    [[], 'budget'],
  ])('is refused when it makes no sense: %j', (options, path) => {
    const { made } = budgets()
    expect(() => made.own(options as never)).toThrow(optionError(path))
    expect(made.names).toHaveLength(3)
  })
})

describe('a pause', () => {
  it('sends those away who wait, and counts them as refused', async () => {
    const { made } = budgets()
    for (let i = 0; i < 5; i++) permit(made.take('callbacks'))
    const waits = [made.take('callbacks'), made.take('callbacks')].map((wait) => watch((wait as BudgetWait).permit))
    made.pause('callbacks', { reason: 'upgrade' })
    await settle()
    for (const { error } of waits) expect(error).toMatchObject({ code: 'ERR_BUDGET' })
    expect(made.usage().classes.callbacks).toMatchObject({ waiters: 0, refused: 2, busy: 5 })
  })

  it('holds for 30 minutes unless told otherwise, keeps no process alive, and says until when', async () => {
    const { clock, made } = budgets()
    made.pause('callbacks', { reason: 'upgrade' })
    expect(made.usage().classes.callbacks!.paused).toEqual({ reason: 'upgrade', until: clock.wall() + 30 * 60_000 })
    expect([clock.pending(), clock.pending({ referenced: true })]).toEqual([1, 0])
    await clock.advance(30 * 60_000 - 1)
    expect(made.take('callbacks')).toMatchObject({ code: 'ERR_BUDGET' })
    await clock.advance(1)
    expect(made.usage().classes.callbacks).not.toHaveProperty('paused')
    permit(made.take('callbacks'))
  })

  it('without an end has no timer, and ends when it is told to', async () => {
    const { clock, made } = budgets()
    made.pause('callbacks', { reason: 'moved', for: Infinity })
    expect(made.usage().classes.callbacks!.paused!.until).toBe(Infinity)
    expect(clock.pending()).toBe(0)
    await clock.advance(10 * 365 * 86_400_000)
    expect(made.take('callbacks')).toMatchObject({ code: 'ERR_BUDGET' })
    made.resume('callbacks')
    permit(made.take('callbacks'))
  })

  it('that replaces another has its own time: the first one’s end does not end it', async () => {
    const { clock, made } = budgets()
    made.pause('callbacks', { reason: 'first', for: 1_000 })
    made.pause('callbacks', { reason: 'second', for: 5_000 })
    expect(clock.pending()).toBe(1)
    await clock.advance(1_000)
    expect(made.usage().classes.callbacks!.paused).toMatchObject({ reason: 'second' })
    await clock.advance(4_000)
    expect(made.usage().classes.callbacks!.paused).toBeUndefined()
  })

  it('is in the history, with who did it and who ended it', async () => {
    const { clock, made } = budgets()
    const at = clock.wall()
    made.pause('callbacks', { reason: 'upgrade', by: 'ann', for: 1_000 })
    await clock.advance(500)
    made.resume('callbacks', { by: 'bob' })
    made.pause('stats', { reason: 'too many', for: 1_000 })
    await clock.advance(1_000)
    expect(made.history()).toEqual([
      { at, class: 'callbacks', paused: true, reason: 'upgrade', by: 'ann' },
      { at: at + 500, class: 'callbacks', paused: false, reason: 'resumed', by: 'bob' },
      { at: at + 500, class: 'stats', paused: true, reason: 'too many' },
      { at: at + 1_500, class: 'stats', paused: false, reason: 'expired' },
    ])
    expect(() => made.resume('stats', { by: 7 } as never)).toThrow(OptionError)
  })

  it('is told of, and its end too, once each', async () => {
    const { clock, made } = budgets()
    const told: BudgetEvents['pause'][] = []
    const stop = made.on('pause', (event) => told.push(event))
    made.resume('callbacks')
    made.pause('callbacks', { reason: 'upgrade', by: 'ann', for: 1_000 })
    await clock.advance(1_000)
    made.resume('callbacks')
    expect(told).toEqual([
      { class: 'callbacks', paused: true, reason: 'upgrade', by: 'ann' },
      { class: 'callbacks', paused: false, reason: 'expired' },
    ])
    stop()
    made.pause('stats', { reason: 'x' })
    expect(told).toHaveLength(2)
  })

  it('leaves its guarantee to nobody else, and its running requests alone', () => {
    const { made } = budgets()
    made.pause('pages', { reason: 'x' })
    for (let i = 0; i < 5; i++) permit(made.take('callbacks'))
    expect(made.take('callbacks')).not.toBeInstanceOf(BudgetPermit)
  })

  it.each([
    [{}, 'pause.reason'],
    [{ reason: '' }, 'pause.reason'],
    [{ reason: 'x', for: 0 }, 'pause.for'],
    [{ reason: 'x', for: NaN }, 'pause.for'],
    [{ reason: 'x', for: 2 ** 31 }, 'pause.for'],
    [{ reason: 'x', until: 5 }, 'pause.until'],
  ])('that makes no sense changes nothing: %j', (options, path) => {
    const { made } = budgets()
    made.pause('stats', { reason: 'before' })
    expect(() => {
      made.pause('stats', options as never)
    }).toThrow(optionError(path))
    expect(made.usage().classes.stats!.paused).toMatchObject({ reason: 'before' })
  })

  it('of a class that there isn’t is refused', () => {
    const { made } = budgets()
    expect(() => {
      made.pause('ajaxx' as 'pages', { reason: 'x' })
    }).toThrow(/"ajaxx" is none of pages, callbacks, stats/)
    expect(() => {
      made.resume('__proto__' as 'pages')
    }).toThrow(/is none of/)
  })
})

describe('budgets that are closed', () => {
  it('send those away who wait, refuse those who come, and let those go on who run', async () => {
    const { clock, made } = budgets()
    const held = Array.from({ length: 5 }, () => permit(made.take('callbacks')))
    const waiting = watch((made.take('callbacks') as BudgetWait).permit)
    made.close()
    await settle()
    expect(waiting.error).toMatchObject({ code: 'ERR_CLOSED' })
    expect([made.take('callbacks'), made.take('pages')]).toMatchObject([{ code: 'ERR_CLOSED' }, { code: 'ERR_CLOSED' }])
    expect(made.take(made.own({ slots: 1 }))).toMatchObject({ code: 'ERR_CLOSED' })
    expect(made.usage()).toMatchObject({ busy: 5, classes: { callbacks: { busy: 5, waiters: 0, refused: 2 } } })
    for (const each of held) each.release()
    expect(made.usage().busy).toBe(0)
    expect(clock.pending()).toBe(0)
  })

  it('have no timer left, a pause’s included, and can be closed again', async () => {
    const { clock, made } = budgets()
    made.pause('pages', { reason: 'upgrade' })
    made.pause('stats', { reason: 'upgrade', for: Infinity })
    expect(clock.pending()).toBe(1)
    const told: unknown[] = []
    made.on('pause', (event) => told.push(event))
    made.close()
    made.close()
    expect(clock.pending()).toBe(0)
    made.resume('stats')
    await clock.advance(30 * 60_000)
    expect(made.take('pages')).toMatchObject({ code: 'ERR_CLOSED' })
    expect(made.take('stats')).toMatchObject({ code: 'ERR_CLOSED' })
    expect(made.usage().classes.pages!.paused).toBeUndefined()
    expect(told).toEqual([])
    expect(() => {
      made.pause('pages', { reason: 'again' })
    }).toThrow(expect.objectContaining({ code: 'ERR_CLOSED' }))
    expect(clock.pending()).toBe(0)
  })
})

describe('a listener', () => {
  it('that throws hurts nobody, and is reported', () => {
    const { made } = budgets()
    const errors: unknown[] = []
    made.on('error', ({ error, event }) => errors.push([event, (error as Error).message]))
    made.on('reclaim', () => {
      throw new Error('listener')
    })
    permit(made.take('stats')).reclaim()
    expect(errors).toEqual([['reclaim', 'listener']])
    expect(made.usage().busy).toBe(0)
  })
})

describe('requests in any order of what may happen to them', () => {
  const names = ['pages', 'callbacks', 'stats', 'own'] as const
  const guaranteed: Record<string, number> = { pages: 4, callbacks: 2, stats: 1 }
  const ceiling: Record<string, number> = { pages: 10, callbacks: 6, stats: 3 }
  const happening = fc.record({
    what: fc.constantFrom('take', 'take', 'take', 'release', 'leave', 'reclaim', 'wait', 'pause', 'resume', 'turn'),
    name: fc.constantFrom(...names),
    which: fc.nat(),
    ms: fc.constantFrom(1, 40, 100, 260),
  })

  it('hold no more than the cap, have what is guaranteed, wait in short lines, and leave nothing behind', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(happening, { maxLength: 120, size: 'max' }), async (happenings) => {
        const { clock, made } = budgets()
        const own = made.own({ slots: 2, queue: 1, maxWait: 50 })
        const held: BudgetPermit[] = []
        const waiting = new Set<BudgetWait>()
        const take = (name: string): void => {
          const { busy, waiters, paused } = made.usage().classes[name]!
          const taken = made.take(name)
          if (taken instanceof BudgetPermit) held.push(taken)
          else if ('permit' in taken) {
            waiting.add(taken)
            taken.permit.then(
              (granted) => {
                waiting.delete(taken)
                held.push(granted)
              },
              () => waiting.delete(taken),
            )
          }
          if (paused !== undefined) expect(taken).toMatchObject({ code: 'ERR_BUDGET' })
          else if (waiters === 0 && busy < (guaranteed[name] ?? 0)) expect(taken).toBeInstanceOf(BudgetPermit)
        }
        for (const { what, name: called, which, ms } of happenings) {
          const name = called === 'own' ? own : called
          if (what === 'take') take(name)
          else if (what === 'release') held.splice(which % Math.max(1, held.length), 1)[0]?.release()
          else if (what === 'reclaim') held.splice(which % Math.max(1, held.length), 1)[0]?.reclaim()
          else if (what === 'leave') [...waiting][which % Math.max(1, waiting.size)]?.leave()
          else if (what === 'wait') await clock.advance(ms)
          else if (what === 'pause') made.pause(name as 'pages', { reason: 'x', for: ms })
          else if (what === 'resume') made.resume(name as 'pages')
          else await settle()
          const { busy, classes } = made.usage()
          expect(busy).toBeLessThanOrEqual(10)
          expect(Object.values(classes).reduce((sum, each) => sum + each.busy, 0)).toBe(busy)
          for (const [each, usage] of Object.entries(classes)) {
            expect(usage.busy).toBeGreaterThanOrEqual(0)
            expect(usage.busy).toBeLessThanOrEqual(ceiling[each] ?? 2)
            expect(usage.waiters).toBeLessThanOrEqual({ pages: 10, callbacks: 2, stats: 0 }[each] ?? 1)
          }
        }
        for (const name of made.names) made.resume(name as 'pages')
        while (held.length > 0 || waiting.size > 0) {
          for (const each of held.splice(0)) each.release()
          await settle()
        }
        const { busy, classes } = made.usage()
        expect([busy, ...Object.values(classes).map((each) => each.busy + each.waiters)]).toEqual([0, 0, 0, 0, 0])
        for (const [name, least] of Object.entries(guaranteed)) for (let i = 0; i < least; i++) permit(made.take(name))
        expect(clock.pending()).toBe(0)
      }),
    )
  })
})

describe('bad options', () => {
  it.each([
    ['no classes', { slots: 10, classes: {} }, 'createBudgets.classes'],
    ['no slots', { classes: { a: {} } }, 'createBudgets.slots'],
    ['slots that are NaN', { slots: NaN, classes: { a: {} } }, 'createBudgets.slots'],
    [
      'guarantees over the cap',
      { slots: 3, classes: { a: { guaranteed: 2 }, b: { guaranteed: 2 } } },
      'createBudgets.classes.b.guaranteed',
    ],
    [
      'a guarantee over the ceiling',
      { slots: 9, classes: { a: { guaranteed: 3, atMost: 2 } } },
      'createBudgets.classes.a.guaranteed',
    ],
    ['a string for a number', { slots: 9, classes: { a: { atMost: '2' } } }, 'createBudgets.classes.a.atMost'],
    ['an unknown option of a class', { slots: 9, classes: { a: { size: 2 } } }, 'createBudgets.classes.a.size'],
    ['an unknown default class', { slots: 9, classes: { a: {} }, otherwise: 'b' }, 'createBudgets.otherwise'],
    ['slots that are a string', { slots: '10', classes: { a: {} } }, 'createBudgets.slots'],
    ['half a slot', { slots: 1.5, classes: { a: {} } }, 'createBudgets.slots'],
    ['an unknown option', { slots: 9, classes: { a: {} }, max: 5 }, 'createBudgets.max'],
    [
      'a guarantee that is NaN',
      { slots: 9, classes: { a: { guaranteed: NaN } } },
      'createBudgets.classes.a.guaranteed',
    ],
    [
      'a guarantee over the cap',
      { slots: 9, classes: { a: { guaranteed: 10 } } },
      'createBudgets.classes.a.guaranteed',
    ],
    ['a ceiling of 0', { slots: 9, classes: { a: { atMost: 0 } } }, 'createBudgets.classes.a.atMost'],
    ['an endless line', { slots: 9, classes: { a: { queue: Infinity } } }, 'createBudgets.classes.a.queue'],
    ['a wait over 2^31 − 1', { slots: 9, classes: { a: { maxWait: 2 ** 31 } } }, 'createBudgets.classes.a.maxWait'],
    ['a class without a name', { slots: 9, classes: { '': {} } }, 'createBudgets.classes.'],
    [
      'a class that objects have',
      { slots: 9, classes: JSON.parse('{"__proto__":{}}') as object },
      'createBudgets.classes',
    ],
    ['an array of classes', { slots: 9, classes: ['a'] }, 'createBudgets.classes'],
    ['no name by default', { slots: 9, classes: { a: {} }, otherwise: '__proto__' }, 'createBudgets.otherwise'],
    ['nothing', undefined, 'createBudgets'],
    ['a wait of 0', { slots: 9, classes: { a: { maxWait: 0 } } }, 'createBudgets.classes.a.maxWait'],
  ])('%s', (_case, options, path) => {
    expect(() => createBudgets(options as never)).toThrow(optionError(path))
  })

  it.each(['ajaxx', '', '__proto__'])('the unknown class %j is refused by name', (name) => {
    expect(() => budgets().made.take(name)).toThrow(/is none of pages, callbacks, stats/)
  })
})
