import { randomUUID } from 'node:crypto'
import { backgroundTimer, type Clock, type Timer } from '../core/clock.js'
import type { Drained } from '../drain.js'
import { Refused } from './refused.js'

/** Why a lease ended without being given back. */
export type LeaseEnd = 'expired' | 'gone' | 'closed'

/** A drain that somebody holds from afar. */
interface Lease {
  readonly name: string
  readonly by: string | undefined
  readonly drained: Drained
  timer: Timer
}

/** What the holder is told. */
export interface LeaseGrant {
  readonly token: string
  /** Wall time, ms. */
  readonly expires: number
}

/**
 * Drains that were asked for over a connection: whoever asked may never come back, so each ends by itself. Only who has
 * the token can end it before, or renew it.
 */
export class Leases {
  readonly #clock: Clock
  readonly #ended: (name: string, by: string | undefined, why: LeaseEnd) => void
  readonly #byToken = new Map<string, Lease>()

  /** @param ended told before calls are let in again */
  constructor(clock: Clock, ended: (name: string, by: string | undefined, why: LeaseEnd) => void) {
    this.#clock = clock
    this.#ended = ended
  }

  grant(name: string, drained: Drained, ms: number, by: string | undefined): LeaseGrant {
    const token = randomUUID()
    this.#byToken.set(token, { name, by, drained, timer: this.#expiry(token, ms) })
    return { token, expires: this.#clock.wall() + ms }
  }

  /** @param ms from now on */
  renew(name: string, token: string, ms: number): LeaseGrant {
    const lease = this.#known(name, token)
    this.#clock.clearTimer(lease.timer)
    lease.timer = this.#expiry(token, ms)
    return { token, expires: this.#clock.wall() + ms }
  }

  release(name: string, token: string, by: string | undefined): void {
    const { drained } = this.#known(name, token)
    this.#forget(token)
    drained.release(by === undefined ? {} : { by })
  }

  /** Harmless when it has ended already. */
  end(token: string, why: LeaseEnd): void {
    const lease = this.#forget(token)
    if (lease === undefined) return
    this.#ended(lease.name, lease.by, why)
    lease.drained.release()
  }

  close(): void {
    for (const token of [...this.#byToken.keys()]) this.end(token, 'closed')
  }

  #expiry(token: string, ms: number): Timer {
    return backgroundTimer(this.#clock, () => this.end(token, 'expired'), ms)
  }

  /** Whoever thinks that he still has it to himself must learn that he hasn't. */
  #known(name: string, token: string): Lease {
    const lease = this.#byToken.get(token)
    if (lease?.name !== name) throw new Refused(409, 'no drain has this token: perhaps its lease is over')
    return lease
  }

  #forget(token: string): Lease | undefined {
    const lease = this.#byToken.get(token)
    if (lease !== undefined) this.#clock.clearTimer(lease.timer)
    this.#byToken.delete(token)
    return lease
  }
}
