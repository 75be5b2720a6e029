import type { Cause } from '../health/cause.js'
import type { Mode } from '../health/override.js'
import { spell, type Message } from './message.js'
import type { NotifyEvents } from './source.js'

/** When a message may go. Ms. */
export interface Pace {
  /** How long a dependency must have been available again before that is told. */
  stableFor: number
  /** The least time between two messages of one dependency, but for the end of an outage. */
  atMostEvery: number
}

/**
 * One outage as people see it: from the first flip to unavailable until its end has been told. Short returns to
 * available belong to it.
 */
export class Incident {
  readonly dependency: string
  readonly enforced: boolean
  /** One that it depends on is the cause, and tells of both. */
  behind: readonly string[] | undefined
  mode: Mode = 'unavailable'
  /** People know of it. */
  told = false
  /** They know that it flaps. */
  flappingTold = false
  /** After a failed try. */
  notBefore = -Infinity
  /** Until then its return with what it depended on may still come, and would be no news. */
  #aloneFrom = -Infinity
  #flips = 1
  #flapping: { flips: number; within: number; until: number } | undefined
  #cause: Readonly<Cause>
  #injected: boolean
  /** Wall time, for people. */
  #since: number
  /** The same and the last change, monotonic. */
  #began: number
  #changed: number

  constructor({ dependency, enforced, cause, at, injected, parents }: NotifyEvents['flip'], now: number) {
    this.dependency = dependency
    this.enforced = enforced
    this.behind = parents
    this.#cause = cause
    this.#injected = injected === true
    this.#since = at
    this.#began = this.#changed = now
  }

  /** @param own whether operators did it: then it is no news, but the mode is what it is */
  flipped({ mode, cause, injected }: NotifyEvents['flip'], own: boolean, now: number): void {
    if (mode === this.mode) return
    this.mode = mode
    this.#changed = now
    if (mode === 'available' || own) return
    this.#flips++
    this.#cause = cause
    this.#injected = injected === true
  }

  /** None that it depends on is the cause any more: if it stays unavailable for `stableFor`, that is a story of its own. */
  stands(stableFor: number, now: number): void {
    this.behind = undefined
    this.#aloneFrom = now + stableFor
    this.#cause = Object.freeze({ ...this.#cause, reason: `${this.#cause.reason}, which has returned since` })
  }

  /** Whether its end belongs to the story of what it depends on. */
  isAnothers(now: number): boolean {
    return !this.told && (this.behind !== undefined || now < this.#aloneFrom)
  }

  flapping({ flips, within, suppressedFor }: NotifyEvents['flapping'], now: number): void {
    this.#flapping = { flips, within, until: now + suppressedFor }
  }

  /** Its end could not be told, and now it has become unavailable anew: people still live in the `earlier` outage. */
  continues(earlier: Incident): void {
    this.told ||= earlier.told
    this.flappingTold ||= earlier.flappingTold
    this.#flips += earlier.#flips
    this.#since = earlier.#since
    this.#began = earlier.#began
  }

  /** What there is to tell. */
  get news(): Exclude<Message['kind'], 'warning'> | undefined {
    if (this.mode === 'available') return this.told ? 'available' : 'summary'
    if (this.#flapping !== undefined && !this.flappingTold) return 'flapping'
    return this.told ? undefined : 'unavailable'
  }

  /**
   * When that may be told; `Infinity` when there is nothing. The end of an outage people know of doesn't wait for the
   * cap. Of a dependency that is available nothing is told before it is stable.
   */
  dueAt(pace: Pace, cap: number): number {
    const { news } = this
    if (news === undefined || (this.behind !== undefined && this.mode === 'unavailable')) return Infinity
    const stable = this.mode === 'available' ? this.#changed + pace.stableFor : this.#aloneFrom
    return news === 'available' ? stable : Math.max(stable, cap)
  }

  message(now: number, at: number): Message {
    const kind = this.news!
    const flapping = kind === 'flapping' ? this.#flapping! : undefined
    return Object.freeze({
      kind,
      dependency: this.dependency,
      at,
      text: this.#text(kind, now),
      cause: this.#cause,
      since: this.#since,
      ...(this.#injected ? { injected: true as const } : {}),
      flips: flapping?.flips ?? this.#flips,
      ...(flapping === undefined ? {} : { within: flapping.within, suppressedFor: Math.max(0, flapping.until - now) }),
      ...(this.enforced ? {} : { observed: true as const }),
    })
  }

  #text(kind: Message['kind'], now: number): string {
    const name = this.enforced ? this.dependency : `${this.dependency} (only watched)`
    const reason = this.#injected ? `${this.#cause.reason} (a fault was injected)` : this.#cause.reason
    if (kind === 'flapping') {
      const { flips, within, until } = this.#flapping!
      const held = until > now ? `, and is held back for another ${spell(until - now)}` : ''
      return `${name} flaps: it became unavailable ${flips} times within ${spell(within)}${held}: ${reason}`
    }
    const lasted = (this.mode === 'available' ? this.#changed : now) - this.#began
    if (kind === 'unavailable') {
      if (lasted < 1_000) return `${name} is unavailable: ${reason}`
      return this.#flips === 1
        ? `${name} has been unavailable for ${spell(lasted)}: ${reason}`
        : `${name} is unavailable, ${this.#flips} times within ${spell(lasted)}: ${reason}`
    }
    const past = this.#flips === 1 ? `for ${spell(lasted)}` : `${this.#flips} times within ${spell(lasted)}`
    const stable = spell(now - this.#changed)
    return kind === 'available'
      ? `${name} is available again, for ${stable} now; it was unavailable ${past}: ${reason}`
      : `${name} was unavailable ${past}: ${reason}; it has been available again for ${stable}`
  }
}
