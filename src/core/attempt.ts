import type { Call, CallContext } from './call.js'
import type { Deadlines, Timed } from './deadlines.js'
import type { Listed } from './in-flight.js'
import type { Waiter } from './line.js'
import type { Slots } from './slots.js'

type Phase = 'entering' | 'running' | 'abandoned' | 'done'

/** One try of a call: what the guards know of it, and the operation's context. */
export class Attempt implements CallContext, Timed<Attempt>, Listed<Attempt> {
  readonly call: Call
  readonly attempt: number
  phase: Phase = 'entering'
  /** When its operation began (until then, when it came to the guards), by the monotonic clock. */
  startedAt: number
  /** When its operation ended; -1 = not yet, or none ran. */
  endedAt = -1
  /** How many guards admitted it; they are the ones to settle. */
  entered = 0
  /** Blocked time of the event loop when it began. */
  stalledBefore = 0

  // What each guard notes down, here so that no guard has to allocate.
  /** Circuit: the generation it was admitted in; an older one than the circuit's counts nowhere. */
  generation = 0
  /** Circuit: it is the trial of a half-open circuit. */
  trial = false
  /** Circuit: it has given its one sample, or never will. */
  sampled = false
  /** Rate: as of when it took its token; -1 = it holds none. */
  token = -1
  /** Bulkhead: where its slot is from, while it holds one. */
  slots: Slots | undefined = undefined
  /** Bulkhead: its place in line, once it had to wait. */
  waiter: Waiter | undefined = undefined
  /** Bulkhead: it holds the permit kept for trials instead of a slot. */
  reserved = false
  /** Bulkhead: its slot was taken back before the work ended. */
  reclaimed = false
  /** Timeout: why it would be cut short. */
  cut: 'timeout' | 'deadline' | undefined = undefined

  /** Timeout: when its time is over, by the monotonic clock. */
  due = Infinity
  deadlines: Deadlines<Attempt> | undefined = undefined
  sooner: Attempt | undefined = undefined
  later: Attempt | undefined = undefined
  older: Attempt | undefined = undefined
  newer: Attempt | undefined = undefined

  value: unknown = undefined
  error: unknown = undefined
  private controller: AbortController | undefined = undefined
  private aborted = false
  private reason: unknown = undefined

  constructor(call: Call, now: number) {
    this.call = call
    this.attempt = ++call.attempts
    this.startedAt = now
  }

  get signal(): AbortSignal {
    if (this.controller === undefined) {
      this.controller = new AbortController()
      if (this.aborted) this.controller.abort(this.reason)
    }
    return this.controller.signal
  }

  /** Its operation has run to an end; one that was refused never ran. */
  get ran(): boolean {
    return this.endedAt >= 0
  }

  get dependency(): string {
    return this.call.pipeline.dependency
  }

  get remaining(): number {
    if (this.phase === 'abandoned' || this.phase === 'done') return 0
    const now = this.call.pipeline.clock.now()
    return Math.max(0, Math.min(this.due, this.call.deadline) - now)
  }

  /** Tells the work that nobody waits for it any more. */
  abort(reason: unknown): void {
    if (this.aborted) return
    this.aborted = true
    this.reason = reason
    this.controller?.abort(reason)
  }
}
