import type { Call, CallContext } from './call.js'
import type { Deadlines, Timed } from './deadlines.js'
import type { Listed } from './in-flight.js'
import type { Waiter } from './line.js'
import type { Slots } from './slots.js'

type Phase = 'entering' | 'running' | 'abandoned' | 'done'

// Yes-or-no answers, in one field (`marks`), as in `Call`.
const TRIAL = 1
const SAMPLED = 2
const RESERVED = 4
const RECLAIMED = 8
const ABORTED = 16
const SIGNALLED = 32

/** One try of a call: what the guards know of it, and the operation's context. */
export class Attempt implements CallContext, Timed<Attempt>, Listed<Attempt> {
  private marks = 0
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
  /** Rate: as of when it took its token; -1 = it holds none. */
  token = -1
  /** Bulkhead: where its slot is from, while it holds one. */
  slots: Slots | undefined = undefined
  /** Bulkhead: its place in line, once it had to wait. */
  waiter: Waiter | undefined = undefined
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
  /** Once `signal` has been read; before that the reason, once it is aborted. */
  private aborting: unknown = undefined

  constructor(call: Call, now: number) {
    this.call = call
    this.attempt = ++call.attempts
    this.startedAt = now
  }

  get signal(): AbortSignal {
    if ((this.marks & SIGNALLED) !== 0) return (this.aborting as AbortController).signal
    const controller = new AbortController()
    if ((this.marks & ABORTED) !== 0) controller.abort(this.aborting)
    this.marks |= SIGNALLED
    this.aborting = controller
    return controller.signal
  }

  /** Circuit: it is the trial of a half-open circuit. */
  get trial(): boolean {
    return (this.marks & TRIAL) !== 0
  }

  set trial(yes: boolean) {
    this.marks = yes ? this.marks | TRIAL : this.marks & ~TRIAL
  }

  /** Circuit: it has given its one sample, or never will. */
  get sampled(): boolean {
    return (this.marks & SAMPLED) !== 0
  }

  set sampled(yes: boolean) {
    this.marks = yes ? this.marks | SAMPLED : this.marks & ~SAMPLED
  }

  /** Bulkhead: it holds the permit kept for trials instead of a slot. */
  get reserved(): boolean {
    return (this.marks & RESERVED) !== 0
  }

  set reserved(yes: boolean) {
    this.marks = yes ? this.marks | RESERVED : this.marks & ~RESERVED
  }

  /** Bulkhead: its slot was taken back before the work ended. */
  get reclaimed(): boolean {
    return (this.marks & RECLAIMED) !== 0
  }

  set reclaimed(yes: boolean) {
    this.marks = yes ? this.marks | RECLAIMED : this.marks & ~RECLAIMED
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
    if ((this.marks & ABORTED) !== 0) return
    this.marks |= ABORTED
    if ((this.marks & SIGNALLED) !== 0) (this.aborting as AbortController).abort(reason)
    else this.aborting = reason
  }
}
