const buckets = 10
const bucketWidth = 1_000
const minimumCalls = 20
const tripRate = 0.5

/** Ten seconds of calls and failures in buckets of a second, and their sums. */
export class Window {
  private readonly calls = new Uint32Array(buckets)
  private readonly failures = new Uint32Array(buckets)
  private totalCalls = 0
  private totalFailures = 0
  private newest = 0

  succeeded(now: number): void {
    this.calls[this.bucket(now)]!++
    this.totalCalls++
  }

  /** Tells whether too many have failed. */
  failed(now: number): boolean {
    const bucket = this.bucket(now)
    this.calls[bucket]!++
    this.failures[bucket]!++
    this.totalCalls++
    this.totalFailures++
    return this.totalCalls >= minimumCalls && this.totalFailures >= tripRate * this.totalCalls
  }

  private bucket(now: number): number {
    const tick = Math.floor(now / bucketWidth)
    for (; this.newest < tick; this.newest++) {
      const oldest = (this.newest + 1) % buckets
      this.totalCalls -= this.calls[oldest]!
      this.totalFailures -= this.failures[oldest]!
      this.calls[oldest] = 0
      this.failures[oldest] = 0
    }
    return tick % buckets
  }
}
