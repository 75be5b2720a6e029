/** What floating point may lose of a token. */
const DUST = 1e-6

/** A token bucket that is filled when it is read. */
export class Bucket {
  /** As of when it is filled. */
  asOf: number
  #perSecond: number
  #burst: number
  #level: number

  constructor(perSecond: number, burst: number, now: number) {
    this.#perSecond = perSecond
    this.#burst = this.#level = burst
    this.asOf = now
  }

  configure(perSecond: number, burst: number, now: number): void {
    this.#fill(now)
    this.#perSecond = perSecond
    this.#burst = burst
    this.#level = Math.min(this.#level, burst)
  }

  take(now: number): boolean {
    this.#fill(now)
    if (this.#level < 1 - DUST) return false
    this.#level--
    return true
  }

  /**
   * A token that was taken and not used. Only as long as nothing was filled in since: later it might come on top of what
   * the bucket could have held.
   * @param asOf from when it is
   */
  giveBack(asOf: number): boolean {
    if (asOf !== this.asOf) return false
    this.#level++
    return true
  }

  /** How long until it holds so many, in whole ms. */
  due(tokens: number, now: number): number {
    this.#fill(now)
    return Math.max(0, Math.ceil(((tokens - DUST - this.#level) / this.#perSecond) * 1_000))
  }

  #fill(now: number): void {
    if (now <= this.asOf) return
    this.#level = Math.min(this.#burst, this.#level + ((now - this.asOf) / 1_000) * this.#perSecond)
    this.asOf = now
  }
}
