import type { Attempt } from '../core/attempt.js'
import * as v from 'valibot'
import { bound } from '../core/bound.js'
import type { Clock } from '../core/clock.js'
import { Deadlines } from '../core/deadlines.js'
import { BulkheadFullError, QueueTimeoutError } from '../core/errors.js'
import type { Departure, Guard, Outcome } from '../core/guard.js'
import type { Waiter } from '../core/line.js'
import { count, countOrZero, duration, group, parse } from '../core/options.js'
import type { GuardPolicy } from '../core/policy.js'
import { Slots } from '../core/slots.js'
import type { Tally } from '../core/tally.js'

export interface BulkheadSettings {
  /** Waiters beyond the slots, per class. */
  queue: number
  /** How long one may wait, ms. */
  maxWait: number
  /** How long abandoned work keeps its slot, ms from when its caller stopped waiting. */
  reclaimAfter: number
}

/**
 * A cap on work at once. A slot is released when the work ends, not when its caller stops waiting: measured on a locked
 * table, releasing it at the time-out left 0 to 27 % good answers where holding it left 100 %.
 */
export class Bulkhead implements Guard {
  readonly kind = 'bulkhead'
  readonly #clock: Clock
  readonly #tally: Tally
  #settings: BulkheadSettings
  /** Bounds the waits in line. */
  #waits: Deadlines<Waiter>
  readonly #leaked: (attempt: Attempt) => void
  readonly #classes: ReadonlyMap<string, Slots>
  /** Where calls of no class, or of one without a share, take theirs. */
  readonly #others: Slots
  #reclaims: Deadlines<Attempt>
  /** Of other lengths, from before it was configured. */
  readonly #retired: Deadlines<Attempt>[] = []

  constructor(
    clock: Clock,
    tally: Tally,
    others: Slots,
    classes: ReadonlyMap<string, Slots>,
    settings: BulkheadSettings,
    leaked: (attempt: Attempt) => void,
  ) {
    this.#clock = clock
    this.#tally = tally
    this.#others = others
    this.#classes = classes
    this.#settings = settings
    this.#leaked = leaked
    this.#waits = new Deadlines<Waiter>(clock, settings.maxWait, 'shared', overdue)
    this.#reclaims = this.#reclaimsAfter(settings.reclaimAfter)
  }

  /** Other settings from now on. */
  configure(settings: BulkheadSettings): void {
    if (settings.reclaimAfter !== this.#settings.reclaimAfter) {
      this.#retired.push(this.#reclaims)
      this.#reclaims = this.#reclaimsAfter(settings.reclaimAfter)
    }
    if (settings.maxWait !== this.#settings.maxWait) {
      this.#waits.finish()
      this.#waits = new Deadlines<Waiter>(this.#clock, settings.maxWait, 'shared', overdue)
    }
    this.#settings = settings
  }

  enter(attempt: Attempt): Error | undefined | Promise<void> {
    const slots = this.#slotsOf(attempt)
    if (attempt.call.behind) return this.#enterBehind(attempt, slots)
    if (slots.tryTake()) {
      attempt.slots = slots
      return undefined
    }
    if (attempt.trial && slots.paused === undefined) {
      // A trial never queues: hung work that holds every slot must not block recovery.
      attempt.reserved = true
      return undefined
    }
    if (slots.paused !== undefined) return slots.paused
    return this.#wait(attempt, slots)
  }

  settle(attempt: Attempt, _outcome: Outcome): void {
    attempt.deadlines?.remove(attempt)
    const { slots } = attempt
    attempt.reserved = false
    attempt.slots = undefined
    slots?.release()
  }

  abandon(attempt: Attempt, _why: Departure): void {
    if (attempt.phase === 'done') {
      attempt.waiter?.leave()
      return
    }
    // The lease of a trial is over, and with it the permit above the cap.
    attempt.reserved = false
    if (attempt.slots !== undefined) this.#reclaims.add(attempt, this.#clock.now())
  }

  /**
   * Forgets the slots of its own that abandoned work still holds. Those of a shared pool are missing there until the
   * work ends or is reclaimed, as ever.
   */
  close(): void {
    this.#waits.finish()
    const share = this.#classes.size === 0 ? this.#others : this.#others.parent
    for (const reclaims of [this.#reclaims, ...this.#retired])
      if (share?.parent === undefined) reclaims.close()
      else reclaims.finish()
  }

  /** The last slot, and every place in line, is for those who are waited for. A trial has a permit of its own. */
  #enterBehind(attempt: Attempt, slots: Slots): Error | undefined {
    if (slots.paused !== undefined) return slots.paused
    if (slots.available() > 1 && slots.tryTake()) attempt.slots = slots
    else if (attempt.trial) attempt.reserved = true
    else {
      const { dependency } = attempt.call.pipeline
      return new BulkheadFullError(`${dependency}: no slot but the last`, { dependency })
    }
    return undefined
  }

  #reclaimsAfter(ms: number): Deadlines<Attempt> {
    return new Deadlines<Attempt>(this.#clock, ms, 'background', (attempt) => {
      this.#reclaim(attempt)
    })
  }

  #slotsOf(attempt: Attempt): Slots {
    const name = attempt.call.class
    return (name === undefined ? undefined : this.#classes.get(name)) ?? this.#others
  }

  #wait(attempt: Attempt, slots: Slots): Error | Promise<void> {
    const { call } = attempt
    const { dependency } = call.pipeline
    const { queue, maxWait } = this.#settings
    if (slots.waiters >= queue) {
      this.#tally.add('full', attempt)
      return new BulkheadFullError(`${dependency}: every slot is taken, and ${slots.waiters} wait`, { dependency })
    }
    const waiter = slots.wait(() => {
      attempt.slots = slots
    })
    attempt.waiter = waiter
    const now = this.#clock.now()
    const remaining = call.deadline - now
    if (remaining <= maxWait)
      return bound(this.#clock, waiter.promise, remaining, () => {
        // Granted in this very turn of the loop: the slot is there, and so is the right to it.
        if (waiter.leave()) throw call.deadlineError()
      })
    // p-timeout for each would cost as much as all else of a wait; deadlines of one length need one timer.
    waiter.overdue = () => {
      if (waiter.leave(new QueueTimeoutError(`${dependency}: no slot within ${maxWait} ms`, { dependency })))
        this.#tally.add('queueTimeouts', attempt)
    }
    this.#waits.add(waiter, now)
    return waiter.promise
  }

  #reclaim(attempt: Attempt): void {
    const { slots } = attempt
    if (slots === undefined) return
    attempt.slots = undefined
    attempt.reclaimed = true
    slots.release()
    this.#tally.add('leaks', attempt)
    this.#leaked(attempt)
  }
}

function overdue(waiter: Waiter): void {
  waiter.overdue?.()
}

const schema = group({
  slots: count,
  queue: v.optional(countOrZero),
  maxWait: v.optional(duration),
  reclaimAfter: v.optional(duration),
})

/**
 * For `compose`: a cap on work at once. The same bulkhead put around several operations is one cap for all of them.
 *
 * @throws OptionError (`ERR_OPTION`)
 * @example
 * compose([], [bulkhead({ slots: 10 }), timeout(500)])(load)
 */
export function bulkhead(options: {
  /** Work at once. */
  slots: number
  /** Waiters beyond the slots. Default 50. */
  queue?: number
  /** How long one may wait, ms. Default 500. */
  maxWait?: number
  /** How long work that its caller has given up keeps its slot, ms. Default 30,000. */
  reclaimAfter?: number
}): GuardPolicy {
  const { slots, queue = 50, maxWait = 500, reclaimAfter = 30_000 } = parse(schema, options, 'bulkhead')
  const pool = Slots.pool('bulkhead', slots)
  return {
    role: 'guard',
    kind: 'bulkhead',
    make: ({ clock, tally }) =>
      new Bulkhead(clock, tally, pool, new Map(), { queue, maxWait, reclaimAfter }, () => undefined),
  }
}
