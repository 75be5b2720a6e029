/** What a window holds: calls that gave a sample, and how many of them failed or were slow. */
export interface Figures {
  calls: number
  failures: number
  slow: number
}

/** The recent samples of one dependency. Rotated when touched, never by a timer; holds nothing older than its maximum age. */
export interface SampleWindow {
  record(now: number, failed: boolean, slow: boolean): void
  figures(now: number): Readonly<Figures>
  clear(): void
}

/** How many steps a time window slides in. */
const BUCKETS = 10
/** Where the counts of failures and of slow calls begin. */
const FAILURES = BUCKETS
const SLOWS = 2 * BUCKETS

/** The samples of the last so many ms, in ten buckets with running sums: constant time at any number of calls. */
export class TimeWindow implements SampleWindow {
  readonly #width: number
  readonly #sums: Figures = { calls: 0, failures: 0, slow: 0 }
  /** Calls, failures and slow ones, bucket by bucket; made with the first sample. */
  #counts: Uint32Array | undefined
  /** The current bucket, counted from the clock's zero, and when it ends. */
  #bucket = 0
  #ends = -Infinity

  constructor(ms: number) {
    this.#width = ms / BUCKETS
  }

  record(now: number, failed: boolean, slow: boolean): void {
    if (now >= this.#ends) this.#rotate(now)
    const slot = this.#bucket % BUCKETS
    this.#sums.calls++
    this.#counts![slot]!++
    if (failed) {
      this.#sums.failures++
      this.#counts![FAILURES + slot]!++
    }
    if (slow) {
      this.#sums.slow++
      this.#counts![SLOWS + slot]!++
    }
  }

  figures(now: number): Readonly<Figures> {
    if (now >= this.#ends && this.#counts !== undefined) this.#rotate(now)
    return this.#sums
  }

  clear(): void {
    this.#counts?.fill(0)
    this.#sums.calls = this.#sums.failures = this.#sums.slow = 0
  }

  #rotate(now: number): void {
    this.#counts ??= new Uint32Array(3 * BUCKETS)
    const bucket = Math.floor(now / this.#width)
    const passed = Math.min(BUCKETS, bucket - this.#bucket)
    for (let i = 1; i <= passed; i++) this.#drop((this.#bucket + i) % BUCKETS)
    this.#bucket = bucket
    this.#ends = (bucket + 1) * this.#width
  }

  #drop(slot: number): void {
    const counts = this.#counts!
    this.#sums.calls -= counts[slot]!
    this.#sums.failures -= counts[FAILURES + slot]!
    this.#sums.slow -= counts[SLOWS + slot]!
    counts[slot] = counts[FAILURES + slot] = counts[SLOWS + slot] = 0
  }
}

const FAILED = 1
const SLOW = 2

/** The last so many samples, none older than `maxAge` ms: a ring with running sums. */
export class CountWindow implements SampleWindow {
  readonly #size: number
  readonly #maxAge: number
  readonly #sums: Figures = { calls: 0, failures: 0, slow: 0 }
  #times: Float64Array | undefined
  #kinds!: Uint8Array
  #oldest = 0

  constructor(calls: number, maxAge: number) {
    this.#size = calls
    this.#maxAge = maxAge
  }

  record(now: number, failed: boolean, slow: boolean): void {
    this.#times ??= this.#make()
    this.#expire(now)
    if (this.#sums.calls === this.#size) this.#drop()
    const slot = (this.#oldest + this.#sums.calls) % this.#size
    this.#times[slot] = now
    this.#kinds[slot] = (failed ? FAILED : 0) | (slow ? SLOW : 0)
    this.#sums.calls++
    if (failed) this.#sums.failures++
    if (slow) this.#sums.slow++
  }

  figures(now: number): Readonly<Figures> {
    this.#expire(now)
    return this.#sums
  }

  clear(): void {
    this.#sums.calls = this.#sums.failures = this.#sums.slow = 0
  }

  #expire(now: number): void {
    while (this.#sums.calls > 0 && this.#times![this.#oldest]! <= now - this.#maxAge) this.#drop()
  }

  #drop(): void {
    const kind = this.#kinds[this.#oldest]!
    this.#oldest = (this.#oldest + 1) % this.#size
    this.#sums.calls--
    if (kind & FAILED) this.#sums.failures--
    if (kind & SLOW) this.#sums.slow--
  }

  #make(): Float64Array {
    this.#kinds = new Uint8Array(this.#size)
    return new Float64Array(this.#size)
  }
}
