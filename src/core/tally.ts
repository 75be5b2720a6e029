import type { Attempt } from './attempt.js'

/** What is counted of a dependency for people to see, from its creation on. */
export interface Counts {
  /** Attempts that came to the circuit. */
  fires: number
  /** Attempts that answered in time. */
  successes: number
  /** Attempts that failed; those that timed out are among them, as in opossum. */
  failures: number
  timeouts: number
  /** Errors that are not the dependency's failure: a 404. */
  ignored: number
  /** Callers that left before the answer. */
  aborts: number
  /** Attempts cut short by a deadline, or by a timeout shorter than the operation's own. */
  cuts: number
  /** Results that came when nobody waited any more. */
  lates: number
  /** Refused because the dependency was unavailable. */
  rejects: number
  /** Refused because every slot and every place in line was taken. */
  full: number
  /** Refused after `maxWait` in line. */
  queueTimeouts: number
  /** Refused because the dependency is allowed no more calls a second. */
  limited: number
  /** Slots taken back from work that did not end. */
  leaks: number
  /** Answered by a fresh cached value. */
  fresh: number
  /** Answered by a stale one. */
  stale: number
  /** Answered by a fallback. */
  fallbacks: number
  /** Callers that joined another caller's call. */
  joins: number
  /** Attempts made again after one that failed. */
  retries: number
  /** Failed attempts that would have been made again, had the budget for retries not been exhausted. */
  budgetExhausted: number
  /** Attempts that an injected fault was done to. */
  injected: number
}

/** Told of each count when somebody follows them (the opossum breaker of a dependency, once it has been read). */
export type Follow = (what: keyof Counts, attempt: Attempt | undefined) => void

/** The counts of one dependency. Policies add; nothing here judges. */
export class Tally {
  readonly counts: Counts = {
    fires: 0,
    successes: 0,
    failures: 0,
    timeouts: 0,
    ignored: 0,
    aborts: 0,
    cuts: 0,
    lates: 0,
    rejects: 0,
    full: 0,
    queueTimeouts: 0,
    limited: 0,
    leaks: 0,
    fresh: 0,
    stale: 0,
    fallbacks: 0,
    joins: 0,
    retries: 0,
    budgetExhausted: 0,
    injected: 0,
  }
  follow: Follow | undefined = undefined

  /** An attempt has come to the circuit. This and the next four are on paths that have to be short: a named counter costs 1 ns, one by variable 20. */
  fired(attempt: Attempt): void {
    this.counts.fires++
    if (this.follow !== undefined) this.follow('fires', attempt)
  }

  succeeded(attempt: Attempt): void {
    this.counts.successes++
    if (this.follow !== undefined) this.follow('successes', attempt)
  }

  /** A fresh value was served: nothing else is done for such a call. */
  fresh(): void {
    this.counts.fresh++
    if (this.follow !== undefined) this.follow('fresh', undefined)
  }

  rejected(attempt: Attempt): void {
    this.counts.rejects++
    if (this.follow !== undefined) this.follow('rejects', attempt)
  }

  fellBack(attempt: Attempt | undefined): void {
    this.counts.fallbacks++
    if (this.follow !== undefined) this.follow('fallbacks', attempt)
  }

  add(what: keyof Counts, attempt?: Attempt): void {
    this.counts[what]++
    if (this.follow !== undefined) this.follow(what, attempt)
  }
}
