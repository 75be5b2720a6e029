import { inside } from '../../core/ambient.js'
import { bound } from '../../core/bound.js'
import { Call, type Pipeline } from '../../core/call.js'
import { backgroundClock } from '../../core/clock.js'
import { Periodic } from '../../core/periodic.js'
import type { PolicyHost } from '../../core/policy.js'
import type { Refresh, RefreshOptions } from '../../core/wrapped.js'
import type { Flight } from './flight.js'

/** Within so many ms it begins where there is nothing yet. */
const SOON = 1_000
/** So long it waits at most, ms, when it found no room, or the dependency away for nobody knows how long. */
const PAUSE = 5_000

/** How a refresher loads, and what is there already. */
export interface Loader {
  /** Takes off for the key, or joins who has; `undefined` = there is no room for it. */
  load(call: Call, key: string): Flight | undefined
  holds(key: string): boolean
  /** It was not let through. */
  skipped(): void
}

interface Order extends RefreshOptions {
  readonly pipeline: Pipeline
  readonly args: readonly unknown[]
}

/** One key, kept warm for everybody who asked for it: as often as the most eager of them says. */
class Warm {
  readonly #host: PolicyHost
  readonly #loader: Loader
  readonly #key: string
  readonly #orders = new Set<Order>()
  readonly #periodic: Periodic
  #order: Order

  constructor(host: PolicyHost, loader: Loader, key: string, order: Order) {
    this.#host = host
    this.#loader = loader
    this.#key = key
    this.#order = order
    this.#orders.add(order)
    const { every } = order
    const first = loader.holds(key) ? every : Math.min(SOON, every)
    this.#periodic = new Periodic(
      host.background(),
      'refresh',
      every,
      () => inside(undefined, () => this.#turn()),
      first,
    )
  }

  get every(): number {
    return this.#order.every
  }

  add(order: Order): void {
    this.#orders.add(order)
    this.#choose()
  }

  /** @returns whether nobody is left who wants it */
  remove(order: Order): boolean {
    this.#orders.delete(order)
    if (this.#orders.size === 0) this.stop()
    else this.#choose()
    return this.#orders.size === 0
  }

  stop(): void {
    this.#periodic.stop()
  }

  #choose(): void {
    let shortest: Order | undefined
    for (const order of this.#orders) if (shortest === undefined || order.every < shortest.every) shortest = order
    const { every } = this.#order
    this.#order = shortest!
    if (shortest!.every !== every) this.#periodic.every = shortest!.every
  }

  async #turn(): Promise<void> {
    const { pipeline, args, timeout } = this.#order
    const { available, trialDue, retryAfter } = this.#host
    // Work that doesn't count can't be a trial.
    if (!available() && !(trialDue() && pipeline.counts)) {
      this.#again(retryAfter() ?? PAUSE)
      return
    }
    const bounded = timeout ?? pipeline.patience ?? pipeline.life.patience
    const call = new Call(pipeline, args, { total: Infinity, timeout: bounded }, this.#host.index + 1)
    const flight = this.#loader.load(call, this.#key)
    if (flight !== undefined) await this.#landing(flight, bounded)
    if (flight?.refused === false) return
    this.#loader.skipped()
    this.#again(PAUSE)
  }

  /** It ends by its own timeout, unless it is another's that has none. */
  async #landing({ landed }: Flight, ms: number): Promise<void> {
    const done = (): void => undefined
    await bound(backgroundClock(this.#host.clock), landed.then(done, done), ms, done)
  }

  /** Sooner than usual, so that what could not be refreshed doesn't stay old for long; not all of them at once. */
  #again(ms: number): void {
    this.#periodic.again(Math.min(this.every, ms * (1 + 0.2 * this.#host.clock.random())))
  }
}

/** Keeps values of one operation warm in the background, for callers who don't wait for the dependency. */
export class Refresher {
  readonly #host: PolicyHost
  readonly #loader: Loader
  readonly #warm = new Map<string, Warm>()

  constructor(host: PolicyHost, loader: Loader) {
    this.#host = host
    this.#loader = loader
    host.onClose(() => {
      for (const warm of this.#warm.values()) warm.stop()
      this.#warm.clear()
    })
  }

  add(key: string, order: Order): Refresh {
    const warm = this.#warm.get(key)
    if (warm === undefined) this.#warm.set(key, new Warm(this.#host, this.#loader, key, order))
    else warm.add(order)
    return {
      stop: () => {
        if (this.#warm.get(key)?.remove(order) === true) this.#warm.delete(key)
      },
    }
  }

  /** How often the key is refreshed, ms; undefined = it isn't. */
  every(key: string): number | undefined {
    return this.#warm.get(key)?.every
  }
}
