import type { Attempt } from '../../core/attempt.js'
import type { Clock, Timer } from '../../core/clock.js'
import { Bucket } from './bucket.js'

/** Complete. */
export interface RateSettings {
  perSecond: number
  burst: number
  maxWait: number
}

interface Waiter {
  readonly since: number
  readonly grant: () => void
  readonly refuse: (error: unknown) => void
}

/**
 * The tokens, and the line in front of them: first come, first served, on one timer that runs while somebody waits.
 * Everybody's turn can be told in advance, so nobody is let in whose turn would come too late: the line is never longer
 * than what `maxWait` lets through.
 */
export class Limiter {
  readonly #clock: Clock
  readonly #bucket: Bucket
  readonly #line = new Map<Attempt, Waiter>()
  #settings: RateSettings
  #timer: Timer | undefined

  constructor(clock: Clock, settings: RateSettings) {
    this.#clock = clock
    this.#settings = settings
    this.#bucket = new Bucket(settings.perSecond, settings.burst, clock.now())
  }

  /** For an attempt that nothing may hold back: takes a token if there is one. */
  pass(now: number): void {
    if (this.#line.size === 0) this.#bucket.take(now)
  }

  /** Takes a token if there is one and nobody waits for it. */
  take(attempt: Attempt): boolean {
    if (this.#line.size > 0 || !this.#bucket.take(attempt.startedAt)) return false
    attempt.token = this.#bucket.asOf
    return true
  }

  /** How long it would take for the attempt's turn to come, ms. */
  due({ startedAt }: Attempt): number {
    return this.#bucket.due(this.#line.size + 1, startedAt)
  }

  /** Whether a wait so long is one that the settings and the call's time leave room for. */
  leavesRoom(wait: number, { call, startedAt }: Attempt): boolean {
    return wait <= this.#settings.maxWait && wait < call.remaining(startedAt) - (call.around?.floor ?? 0)
  }

  wait(attempt: Attempt): Promise<void> {
    return new Promise((grant, refuse) => {
      this.#line.set(attempt, { since: attempt.startedAt, grant, refuse })
      if (this.#timer === undefined) this.#arm()
    })
  }

  /** It has left the line, or has done nothing with its token. */
  giveUp(attempt: Attempt): void {
    const waited = this.#line.delete(attempt)
    if (!waited && (attempt.token === -1 || !this.#bucket.giveBack(attempt.token))) return
    attempt.token = -1
    this.#serve()
  }

  /** Whoever has no more chance of a turn in time is told so by `late`. */
  configure(settings: RateSettings, late: (attempt: Attempt, wait: number) => Error): void {
    const now = this.#clock.now()
    this.#settings = settings
    this.#bucket.configure(settings.perSecond, settings.burst, now)
    let place = 0
    for (const [attempt, { since, refuse }] of this.#line) {
      const wait = this.#bucket.due(place + 1, now)
      if (now - since + wait <= settings.maxWait && wait < attempt.call.remaining(now)) place++
      else {
        this.#line.delete(attempt)
        refuse(late(attempt, wait))
      }
    }
    this.#serve()
  }

  /** Nothing limits any more. */
  open(): void {
    for (const { grant } of this.#line.values()) grant()
    this.#empty()
  }

  /** Sends everybody away who waits. */
  dismiss(error: unknown): void {
    for (const { refuse } of this.#line.values()) refuse(error)
    this.#empty()
  }

  #empty(): void {
    this.#line.clear()
    this.#arm()
  }

  readonly #serve = (): void => {
    const now = this.#clock.now()
    for (const [attempt, { grant }] of this.#line) {
      if (!this.#bucket.take(now)) break
      attempt.token = this.#bucket.asOf
      this.#line.delete(attempt)
      grant()
    }
    this.#arm()
  }

  /** For whoever is next, if anybody is. */
  #arm(): void {
    if (this.#timer !== undefined) this.#clock.clearTimer(this.#timer)
    this.#timer = undefined
    if (this.#line.size === 0) return
    this.#timer = this.#clock.setTimer(this.#serve, Math.max(1, this.#bucket.due(1, this.#clock.now())))
  }
}
