/** Healthy calls that must have been seen before anything is called slow against them. */
const ENOUGH = 20
/** Then each counts this much: an average over about the last hundred. */
const WEIGHT = 1 / 64
/** How far a slow but successful trial pulls the average. */
const TRIAL_WEIGHT = 1 / 4

export interface SlowCall {
  timesBaseline: number
  atLeast: number
}

/**
 * When is a call slow? Above a fixed level, or against what is normal for this dependency: the average of its healthy
 * calls. Slow ones stay out of the average, or an outage would soon pass for normal. Trials are let in: a dependency
 * that has become slower for good is taken back after a few of them instead of never.
 */
export class Baseline {
  #rule: number | SlowCall
  #average = 0
  #calls = 0
  /** From here on, ms, a call is slow. */
  level: number

  constructor(rule: number | SlowCall) {
    this.#rule = rule
    this.level = typeof rule === 'number' ? rule : Infinity
  }

  /** Another rule from now on; what is normal stays known. */
  set rule(rule: number | SlowCall) {
    this.#rule = rule
    if (typeof rule === 'number') this.level = rule
    else if (this.#calls >= ENOUGH) this.#setLevel(rule)
    else this.level = Infinity
  }

  /** A call that succeeded and was not slow. */
  healthy(ms: number): void {
    if (typeof this.#rule === 'number') return
    this.#calls++
    this.#average += (ms - this.#average) * Math.max(WEIGHT, 1 / this.#calls)
    if (this.#calls >= ENOUGH) this.#setLevel(this.#rule)
  }

  /** A trial that succeeded but was slow. */
  slowTrial(ms: number): void {
    if (typeof this.#rule === 'number' || this.#calls < ENOUGH) return
    this.#average += (ms - this.#average) * TRIAL_WEIGHT
    this.#setLevel(this.#rule)
  }

  #setLevel(rule: SlowCall): void {
    this.level = Math.max(rule.atLeast, rule.timesBaseline * this.#average)
  }
}
