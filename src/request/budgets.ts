import * as v from 'valibot'
import { bound } from '../core/bound.js'
import { backgroundTimer, systemClock, type Clock, type Timer } from '../core/clock.js'
import { BudgetExhaustedError, ClosedError, OptionError, type CofferdamError } from '../core/errors.js'
import { Events } from '../core/events.js'
import { clockSchema, count, countOrZero, duration, group, named, parse, text } from '../core/options.js'
import { Log } from '../core/log.js'
import { Slots } from '../core/slots.js'

const entries = {
  guaranteed: v.optional(countOrZero),
  atMost: v.optional(count),
  queue: v.optional(countOrZero),
  maxWait: v.optional(duration),
}
const classSchema = group(entries)
const schema = group({
  slots: count,
  classes: named(classSchema, 'classes'),
  otherwise: v.optional(text),
  clock: v.optional(clockSchema),
})
const ownSchema = group({ slots: count, queue: v.optional(countOrZero), maxWait: v.optional(duration) })
const resumeSchema = group({ by: v.optional(text) })
const pauseSchema = group({
  reason: text,
  by: v.optional(text),
  for: v.optional(v.union([v.literal(Infinity), duration], 'must be milliseconds, more than 0, or Infinity')),
})

/** What a class of routes may use at once. */
export interface BudgetOptions {
  /** Slots kept for it whatever the others do. Default: a safe share of what isn't guaranteed to others. */
  guaranteed?: number
  /** The most it may use. Default: all. */
  atMost?: number
  /** Requests that may wait for a slot. Default 10: at one and a half times the load, a short line served a tenth more in time than none, and a boundless one a fifth. */
  queue?: number
  /** How long one may wait, ms; never longer than the request has left. Default 250. */
  maxWait?: number
}

export interface BudgetsOptions<Name extends string> {
  /** Hard cap on requests at once, over all classes. */
  slots: number
  classes: Record<Name, BudgetOptions>
  /** The class of requests that name none, on Fastify; on Express such a route holds no slot. Default: the first. */
  otherwise?: NoInfer<Name>
  clock?: Clock
}

/** How one class stands. */
export interface BudgetUsage {
  busy: number
  waiters: number
  guaranteed: number
  atMost: number
  /** Slots taken back from requests that did not end. */
  reclaimed: number
  /** Requests refused so far. */
  refused: number
  paused?: { reason: string; by?: string; until: number }
}

/** What budgets tell their listeners. */
export interface BudgetEvents {
  /** A slot was taken back from a request that had not ended within its deadline and the grace after it. */
  reclaim: { class: string }
  /** A class was paused, or is in force again; `reason` of its end: `resumed` or `expired`. */
  pause: { class: string; paused: boolean; reason: string; by?: string }
  /** A listener threw. */
  error: { error: unknown; event: string }
}

/** That a class was paused, or came into force again. */
export interface PauseEntry {
  /** Wall time, ms. */
  readonly at: number
  readonly class: string
  readonly paused: boolean
  readonly reason: string
  readonly by?: string
}

interface Budget {
  /** Tells that a slot was taken back. */
  reclaim: () => void
  slots: Slots
  queue: number
  maxWait: number | undefined
  reclaimed: number
  refused: number
  paused: { reason: string; by?: string; until: number; expiry: Timer | undefined } | undefined
}

/** A place in line. */
export interface BudgetWait {
  /** Rejects with `ERR_BUDGET` when the wait was in vain, with `ERR_CLOSED` when the budgets were closed. */
  readonly permit: Promise<BudgetPermit>
  /** Gives the place up. */
  leave(): void
}

/** The right to hold a slot of a budget; given back once, however often it is told. */
export class BudgetPermit {
  readonly class: string
  readonly #budget: Budget
  #held = true

  constructor(name: string, budget: Budget) {
    this.class = name
    this.#budget = budget
  }

  release(): void {
    if (!this.#held) return
    this.#held = false
    this.#budget.slots.release()
  }

  /** The request did not end in its time: its slot is taken back, and counted. */
  reclaim(): void {
    if (!this.#held) return
    this.#budget.reclaimed++
    this.release()
    this.#budget.reclaim()
  }
}

/**
 * The slots that each class of route may use at once, for inbound requests, so that a greedy class can't starve another.
 * Made by {@link createBudgets}.
 */
export class Budgets<Name extends string = string> {
  readonly otherwise: Name
  readonly #clock: Clock
  readonly #pool: Slots
  readonly #budgets = new Map<string, Budget>()
  readonly #events = new Events<BudgetEvents>((error, event) => {
    if (event !== 'error') this.#events.emit('error', { error, event })
  })
  /** How long one may wait, ms, in the classes that say so. The default contradicts no deadline: it gives way. */
  readonly #waits = new Map<string, number>()
  readonly #pauses = new Log<PauseEntry>()
  #inline = 0
  #closed: ClosedError | undefined

  /** @internal Use {@link createBudgets}. */
  constructor(options: BudgetsOptions<Name>) {
    const { slots, classes, otherwise, clock = systemClock } = parse(schema, options, 'createBudgets')
    const names = Object.keys(classes)
    if (names.length === 0) throw new OptionError('createBudgets.classes', 'must name at least one class')
    this.#clock = clock
    this.#pool = Slots.pool('budgets', slots)
    for (const [name, given] of Object.entries(classes)) {
      const { guaranteed, atMost } = given
      if (guaranteed !== undefined && atMost !== undefined && guaranteed > atMost)
        throw new OptionError(
          `createBudgets.classes.${name}.guaranteed`,
          `${guaranteed} is more than atMost, ${atMost}`,
        )
      this.#add(name, { guaranteed, atMost }, given)
      if (given.maxWait !== undefined) this.#waits.set(name, given.maxWait)
    }
    this.otherwise = (otherwise ?? names[0]) as Name
    if (!this.#budgets.has(this.otherwise))
      throw new OptionError('createBudgets.otherwise', `"${this.otherwise}" is none of ${names.join(', ')}`)
  }

  /** The longest wait that a class was given, ms, and which class that is; of all, or of one. */
  longestWait(of?: string): { readonly class: string; readonly maxWait: number } | undefined {
    let longest: { class: string; maxWait: number } | undefined
    for (const [name, maxWait] of this.#waits)
      if ((of === undefined || of === name) && maxWait > (longest?.maxWait ?? 0)) longest = { class: name, maxWait }
    return longest
  }

  /** The classes by name. */
  get names(): readonly string[] {
    return [...this.#budgets.keys()]
  }

  has(name: string): name is Name {
    return this.#budgets.has(name)
  }

  /**
   * A budget of one route's own: a class of that many slots, none of them guaranteed.
   *
   * @param path how errors name it
   * @param deadline of the route's requests, ms: `maxWait` must be less
   * @returns its name
   * @throws OptionError (`ERR_OPTION`)
   */
  own(options: { slots: number; queue?: number; maxWait?: number }, path = 'budget', deadline = Infinity): string {
    const { slots, queue, maxWait } = parse(ownSchema, options, path)
    if (maxWait !== undefined && maxWait >= deadline)
      throw new OptionError(`${path}.maxWait`, `${maxWait} is not less than the deadline, ${deadline}`)
    let name: string
    do name = `route ${++this.#inline}`
    while (this.#budgets.has(name))
    this.#add(name, { guaranteed: 0, atMost: slots }, { queue, maxWait })
    return name
  }

  /**
   * Takes a slot of a class, or lines up for one.
   *
   * @param within time left for the request, ms: it waits no longer than that
   * @returns the permit, at once when a slot is free; an error (`ERR_BUDGET`, `ERR_CLOSED`) when it is refused; or its
   * place in line
   */
  take(name: string, within = Infinity): BudgetPermit | CofferdamError | BudgetWait {
    const budget = this.#known(name)
    if (this.#closed !== undefined) {
      budget.refused++
      return this.#closed
    }
    if (budget.paused !== undefined) return this.#refused(name, budget, 'is paused')
    if (budget.slots.tryTake()) return new BudgetPermit(name, budget)
    if (budget.slots.waiters >= budget.queue) return this.#refused(name, budget, 'has no slot and no place in line')
    return this.#wait(name, budget, within)
  }

  /**
   * Disables a class: its requests are refused, those that wait too; those that run go on.
   *
   * @param options `reason`; `by` whom; `for` how long, ms, default 1,800,000, `Infinity` = until resumed
   * @throws OptionError (`ERR_OPTION`); ClosedError (`ERR_CLOSED`)
   */
  pause(name: Name, options: { reason: string; by?: string; for?: number }): void {
    if (this.#closed !== undefined) throw this.#closed
    const budget = this.#known(name)
    const { reason, by, for: ms = 30 * 60_000 } = parse(pauseSchema, options, 'pause')
    this.#unpause(budget)
    const end = (): void => {
      this.#resume(name, budget, 'expired')
    }
    const expiry = ms === Infinity ? undefined : backgroundTimer(this.#clock, end, ms)
    budget.paused = { reason, ...(by === undefined ? {} : { by }), until: this.#clock.wall() + ms, expiry }
    budget.refused += budget.slots.waiters
    budget.slots.pause(new BudgetExhaustedError(`the class ${name} is paused`))
    this.#note(name, true, reason, by)
  }

  /** Ends a pause; `by` whom, for the history. @throws OptionError (`ERR_OPTION`) for an unknown class */
  resume(name: Name, options: { by?: string } = {}): void {
    const { by } = parse(resumeSchema, options, 'resume')
    this.#resume(name, this.#known(name), 'resumed', by)
  }

  /** Which classes were paused and came into force again, newest last; at most the last 1,000. */
  history(): readonly PauseEntry[] {
    return this.#pauses.list()
  }

  /**
   * Refuses all requests from now on, those that wait too, and lets go of timers; those that run go on. For whoever made
   * the budgets, once their last server has closed: neither guard does it, since several apps may share them. Idempotent.
   */
  close(): void {
    if (this.#closed !== undefined) return
    this.#closed = new ClosedError('the budgets were closed')
    for (const budget of this.#budgets.values()) {
      budget.refused += budget.slots.waiters
      this.#unpause(budget)
    }
    this.#pool.pause(this.#closed)
  }

  /**
   * Listens. What a listener throws goes to `error` and nowhere else.
   * @returns a function that stops listening
   */
  on<Event extends keyof BudgetEvents>(event: Event, listener: (payload: BudgetEvents[Event]) => unknown): () => void {
    return this.#events.on(event, listener)
  }

  /** Requests at once, over all classes and for each. */
  usage(): { slots: number; busy: number; classes: Record<string, BudgetUsage> } {
    const classes = [...this.#budgets].map(([name, { slots, reclaimed, refused, paused }]) => {
      const { busy, waiters, guaranteed, capacity: atMost } = slots
      const usage: BudgetUsage = { busy, waiters, guaranteed, atMost, reclaimed, refused }
      if (paused !== undefined) {
        const { expiry: _, ...rest } = paused
        usage.paused = rest
      }
      return [name, usage] as const
    })
    return { slots: this.#pool.capacity, busy: this.#pool.busy, classes: Object.fromEntries(classes) }
  }

  #add(
    name: string,
    share: { guaranteed: number | undefined; atMost: number | undefined },
    line: { queue?: number | undefined; maxWait?: number | undefined },
  ): void {
    this.#budgets.set(name, {
      reclaim: () => {
        this.#events.emit('reclaim', { class: name })
      },
      slots: this.#pool.join(name, share, `createBudgets.classes.${name}.guaranteed`),
      queue: line.queue ?? 10,
      maxWait: line.maxWait,
      reclaimed: 0,
      refused: 0,
      paused: undefined,
    })
  }

  #wait(name: string, budget: Budget, within: number): BudgetWait {
    const ms = Math.min(budget.maxWait ?? 250, within)
    const waiter = budget.slots.wait(() => undefined)
    const granted = bound(this.#clock, waiter.promise, ms, () => {
      if (waiter.leave()) throw this.#refused(name, budget, `had no slot within ${Math.round(ms)} ms`)
    })
    return {
      permit: granted.then(() => new BudgetPermit(name, budget)),
      leave: () => {
        waiter.leave(new BudgetExhaustedError('the client has gone'))
      },
    }
  }

  #refused(name: string, budget: Budget, why: string): BudgetExhaustedError {
    budget.refused++
    return new BudgetExhaustedError(`the class ${name} ${why}`, { retryAfter: 1_000 })
  }

  #known(name: string): Budget {
    const budget = this.#budgets.get(name)
    if (budget === undefined) throw new OptionError('budget', `"${name}" is none of ${this.names.join(', ')}`)
    return budget
  }

  #resume(name: string, budget: Budget, reason: string, by?: string): void {
    if (budget.paused === undefined) return
    this.#unpause(budget)
    budget.slots.resume()
    this.#note(name, false, reason, by)
  }

  #note(name: string, paused: boolean, reason: string, by: string | undefined): void {
    const told = { class: name, paused, reason, ...(by === undefined ? {} : { by }) }
    this.#pauses.add({ at: this.#clock.wall(), ...told })
    this.#events.emit('pause', told)
  }

  #unpause(budget: Budget): void {
    if (budget.paused?.expiry !== undefined) this.#clock.clearTimer(budget.paused.expiry)
    budget.paused = undefined
  }
}

/**
 * Makes the budgets of an app: one for each class of route.
 *
 * @throws OptionError (`ERR_OPTION`), also when guarantees exceed the slots
 * @example
 * const budgets = createBudgets({
 *   slots: 200,
 *   classes: { pages: { guaranteed: 60 }, callbacks: { guaranteed: 20, atMost: 80 }, stats: { guaranteed: 5, atMost: 20 } },
 * })
 */
export function createBudgets<Name extends string>(options: BudgetsOptions<Name>): Budgets<Name> {
  return new Budgets<Name>(options)
}
