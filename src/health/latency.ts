/** Sixteen buckets between a power of two and the next: a value is off by 1/32 at most. */
const SUB_BITS = 4
/** From 2⁻⁴ ms (60 µs) to 2²¹ ms (35 min). */
const LOWEST_EXPONENT = -4
const OCTAVES = 25
const BUCKETS = OCTAVES << SUB_BITS
/** The window slides in this many steps. */
const SLICES = 4

const double = new Float64Array(1)
const words = new Uint32Array(double.buffer)
const HIGH = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1 ? 1 : 0
const FIRST = (LOWEST_EXPONENT + 1023) << SUB_BITS

/** The exponent and the first bits of the mantissa are the bucket, so no logarithm is needed. */
function bucketOf(ms: number): number {
  double[0] = ms
  const index = (words[HIGH]! >>> (20 - SUB_BITS)) - FIRST
  return index < 0 ? 0 : index >= BUCKETS ? BUCKETS - 1 : index
}

function middleOf(bucket: number): number {
  const octave = 2 ** ((bucket >> SUB_BITS) + LOWEST_EXPONENT)
  const sub = bucket & ((1 << SUB_BITS) - 1)
  return octave * (1 + (sub + 0.5) / (1 << SUB_BITS))
}

export interface Percentiles {
  p50: number
  p95: number
  p99: number
}

/**
 * How long recent calls took, in fixed memory (6.4 kB once the first has come) with an error of at most 3.2 %.
 * Linear buckets between powers of two, as in HdrHistogram; four slices that are dropped in turn when touched.
 */
export class Latency {
  readonly #width: number
  #counts: Uint32Array | undefined
  #slice = 0
  #ends = -Infinity

  constructor(ms: number) {
    this.#width = ms / SLICES
  }

  record(now: number, ms: number): void {
    if (now >= this.#ends) this.#rotate(now)
    this.#counts![(this.#slice % SLICES) * BUCKETS + bucketOf(ms)]!++
  }

  /** In ms; undefined before the first call and after an idle window. */
  percentiles(now: number): Percentiles | undefined {
    if (this.#counts === undefined) return undefined
    if (now >= this.#ends) this.#rotate(now)
    const sums = new Float64Array(BUCKETS)
    let calls = 0
    for (let i = 0; i < this.#counts.length; i++) {
      const n = this.#counts[i]!
      sums[i % BUCKETS]! += n
      calls += n
    }
    if (calls === 0) return undefined
    return { p50: quantile(sums, calls, 0.5), p95: quantile(sums, calls, 0.95), p99: quantile(sums, calls, 0.99) }
  }

  #rotate(now: number): void {
    this.#counts ??= new Uint32Array(SLICES * BUCKETS)
    const slice = Math.floor(now / this.#width)
    for (let i = Math.max(this.#slice + 1, slice - SLICES + 1); i <= slice; i++) {
      const from = (i % SLICES) * BUCKETS
      this.#counts.fill(0, from, from + BUCKETS)
    }
    this.#slice = slice
    this.#ends = (slice + 1) * this.#width
  }
}

function quantile(sums: Float64Array, calls: number, share: number): number {
  const rank = Math.ceil(calls * share)
  let seen = 0
  for (let bucket = 0; bucket < sums.length; bucket++) {
    seen += sums[bucket]!
    if (seen >= rank) return middleOf(bucket)
  }
  return middleOf(sums.length - 1)
}
