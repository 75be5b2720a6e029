import { bound } from '../core/bound.js'
import { backgroundClock, backgroundTimer, type Clock, type Timer } from '../core/clock.js'
import { CallTimeoutError, ClosedError } from '../core/errors.js'
import type { Pace } from './incident.js'
import { together, withDependents, type Message } from './message.js'
import { Quota } from './quota.js'
import type { NotifyEvents } from './source.js'
import { Subject, type Telling } from './subject.js'

/** Once a message had to be held back, what comes in the next so many ms is put into the same summary. */
const GATHER = 5_000

/** Delivers a message: to a pager, a chat, a mailbox. May be async. */
export type Send = (message: Message, context: { signal: AbortSignal }) => unknown

export interface NotifierSettings extends Pace {
  perMinute: number
  timeout: number
  onError: (error: unknown, message: Message) => unknown
}

/** How it went so far. */
export interface NotifyCounts {
  /** Messages that were delivered, and of them those that stood for several. */
  sent: number
  summaries: number
  /** Deliveries that threw, rejected or took too long. */
  failed: number
  /** Dependencies of which something is still to be told. */
  pending: number
}

/**
 * Decides when messages go out, and whether alone or together. One timer for all, and only while something waits.
 * What is to be said is made up at that moment, from the state of things: what has waited is never out of date.
 */
export class Notifier {
  readonly #clock: Clock
  readonly #send: Send
  readonly #settings: NotifierSettings
  readonly #quota: Quota
  readonly #subjects = new Map<string, Subject>()
  readonly #pending = new Set<Subject>()
  /** All that are unavailable, whether or not that is told. */
  readonly #down = new Set<string>()
  /** Whose message has just failed: the next that goes out takes it along, once. */
  readonly #failed = new Set<Subject>()
  readonly #inFlight = new Set<AbortController>()
  readonly #counts = { sent: 0, summaries: 0, failed: 0 }
  /** Since when the cap holds messages back; until all of them go in one, none goes alone. */
  #heldSince: number | undefined
  #timer: Timer | undefined
  #timerDue = Infinity
  #stopped = false

  constructor(clock: Clock, send: Send, settings: NotifierSettings) {
    this.#clock = backgroundClock(clock)
    this.#send = send
    this.#settings = settings
    this.#quota = new Quota(settings.perMinute)
  }

  get counts(): Readonly<NotifyCounts> {
    return { ...this.#counts, pending: this.#pending.size }
  }

  /** @param own whether it is an operator's doing, of which people know */
  flipped(flip: NotifyEvents['flip'], own: boolean): void {
    const subject = this.#subject(flip)
    subject.flipped(flip, own, this.#clock.now())
    this.#consider(subject)
    if (!flip.enforced) return
    if (flip.mode === 'unavailable') this.#down.add(flip.dependency)
    else {
      this.#down.delete(flip.dependency)
      for (const other of this.#subjects.values())
        if (other.returned(flip.dependency, this.#down, this.#clock.now())) this.#consider(other)
    }
  }

  flapping(flapping: NotifyEvents['flapping']): void {
    const subject = this.#subject(flapping)
    subject.flapping(flapping, this.#clock.now())
    this.#consider(subject)
  }

  warned(warning: NotifyEvents['warning']): void {
    const subject = this.#subject(warning)
    subject.warned(warning)
    this.#consider(subject)
  }

  stop(): void {
    this.#stopped = true
    this.#pending.clear()
    this.#disarm()
    for (const controller of this.#inFlight) controller.abort(new ClosedError('notify was stopped'))
  }

  #subject({ dependency }: { dependency: string }): Subject {
    let subject = this.#subjects.get(dependency)
    if (subject === undefined) this.#subjects.set(dependency, (subject = new Subject(this.#settings)))
    return subject
  }

  #consider(subject: Subject): void {
    if (subject.sending || this.#stopped) return
    const now = this.#clock.now()
    const due = subject.dueAt()
    if (due === Infinity) this.#forget(subject)
    else {
      this.#pending.add(subject)
      if (due > now) this.#arm(due, now)
      else if (this.#heldSince === undefined && this.#quota.hasRoom(now)) this.#dispatch([subject], now)
      else this.#hold(now)
    }
  }

  readonly #fire = (): void => {
    this.#disarm()
    const now = this.#clock.now()
    const ready = [...this.#pending].filter((subject) => subject.dueAt() <= now)
    // What has failed goes again in one message, at once.
    if (ready.some((subject) => subject.failedBefore)) this.#heldSince ??= now - GATHER
    for (const subject of ready) {
      if (this.#heldSince !== undefined) break
      if (this.#quota.hasRoom(now)) this.#dispatch([subject], now)
      else this.#heldSince = now
    }
    if (this.#heldSince !== undefined) {
      if (this.#flushAt(this.#heldSince, now) > now) this.#hold(now)
      else {
        this.#heldSince = undefined
        this.#dispatch(ready, now)
      }
    }
    for (const subject of this.#pending) {
      const due = subject.dueAt()
      if (due > now) this.#arm(due, now)
    }
  }

  /** Over the cap: from now on all goes into one message. */
  #hold(now: number): void {
    this.#heldSince ??= now
    this.#arm(this.#flushAt(this.#heldSince, now), now)
  }

  #flushAt(heldSince: number, now: number): number {
    return Math.max(heldSince + GATHER, this.#quota.freeAt(now))
  }

  /** @param subjects those that are due; more than one, and they go together */
  #dispatch(subjects: readonly Subject[], now: number): void {
    const at = this.#clock.wall()
    const along = [...this.#failed]
    this.#failed.clear()
    const tellings = new Map<Subject, Telling>()
    for (const subject of [...subjects, ...along]) {
      const telling = subject.sending ? undefined : subject.take(now, at, along.includes(subject))
      if (telling === undefined) continue
      tellings.set(subject, telling)
      this.#forget(subject)
    }
    const messages = [...tellings.values()].flatMap((telling) => telling.messages)
    if (messages.length === 0) return
    this.#quota.use(now)
    const again = new Set(along)
    void this.#deliver(messages, at).then((delivered) => {
      for (const [subject, telling] of tellings) {
        if (delivered) telling.succeeded()
        else {
          telling.failed(this.#clock.now())
          if (!again.has(subject)) this.#failed.add(subject)
        }
      }
      for (const subject of tellings.keys()) this.#consider(subject)
    })
  }

  async #deliver(messages: readonly Message[], at: number): Promise<boolean> {
    let message: Message | undefined
    // As late as may be: what depends on it becomes unavailable in the same step, after it.
    const composed = (): Message => {
      const whole = messages.map((one) => this.#withDependents(one))
      return (message ??= whole.length === 1 ? whole[0]! : together(whole, at))
    }
    const controller = new AbortController()
    const { timeout } = this.#settings
    this.#inFlight.add(controller)
    try {
      await bound(this.#clock, this.#begin(composed, controller.signal), timeout, () => {
        throw new CallTimeoutError(`send took longer than its timeout, ${timeout} ms`)
      })
      this.#counts.sent++
      if (messages.length > 1) this.#counts.summaries++
      return true
    } catch (error) {
      controller.abort(error)
      if (!this.#stopped) this.#report(error, composed())
      return false
    } finally {
      this.#inFlight.delete(controller)
    }
  }

  /** In a turn of its own, so that who flipped never waits for a pager; ends when it is aborted, whatever `send` does. */
  #begin(composed: () => Message, signal: AbortSignal): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const aborted = (): void => reject(signal.reason)
      signal.addEventListener('abort', aborted, { once: true })
      Promise.resolve()
        .then(() => (signal.aborted ? undefined : this.#send(composed(), { signal })))
        .then(resolve, reject)
        .finally(() => signal.removeEventListener('abort', aborted))
    })
  }

  #withDependents(message: Message): Message {
    const { kind, dependency } = message
    if (dependency === undefined || (kind !== 'unavailable' && kind !== 'flapping')) return message
    const found = new Set([dependency])
    // A set takes in what is added while it is walked: so those of those are found too.
    for (const parent of found)
      for (const [name, { behind }] of this.#subjects) if (behind.includes(parent)) found.add(name)
    return withDependents(message, found.size - 1)
  }

  #report(error: unknown, message: Message): void {
    this.#counts.failed++
    try {
      const result = this.#settings.onError(error, message)
      if (result instanceof Promise) result.catch(() => undefined)
    } catch {
      // Reporting has failed too; there is nobody left to tell.
    }
  }

  #forget(subject: Subject): void {
    this.#pending.delete(subject)
    if (this.#pending.size > 0) return
    this.#heldSince = undefined
    this.#disarm()
  }

  #arm(at: number, now: number): void {
    if (at >= this.#timerDue) return
    this.#disarm()
    this.#timerDue = at
    // Whole and never 0, or rounding might let it fire in place for ever.
    this.#timer = backgroundTimer(this.#clock, this.#fire, Math.max(1, Math.ceil(at - now)))
  }

  #disarm(): void {
    if (this.#timer !== undefined) this.#clock.clearTimer(this.#timer)
    this.#timer = undefined
    this.#timerDue = Infinity
  }
}
