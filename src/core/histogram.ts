/** Sixteen buckets between a power of two and the next: a value is off by 1/32 at most. */
const SUB_BITS = 4
/** From 2⁻⁴ ms (60 µs) on. */
const LOWEST_EXPONENT = -4

const double = new Float64Array(1)
const words = new Uint32Array(double.buffer)
const HIGH = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1 ? 1 : 0
const FIRST = (LOWEST_EXPONENT + 1023) << SUB_BITS

/** How many buckets reach from 2⁻⁴ ms to 2 to the power of `exponent`, ms. */
export const bucketsUpTo = (exponent: number): number => (exponent - LOWEST_EXPONENT) << SUB_BITS

/**
 * The one of so many buckets that a duration belongs to; what lies outside belongs to the first or the last. Linear
 * between powers of two, as in HdrHistogram: the exponent and the first bits of the mantissa are the bucket, so no
 * logarithm is needed.
 */
export function bucketOf(ms: number, buckets: number): number {
  double[0] = ms
  const index = (words[HIGH]! >>> (20 - SUB_BITS)) - FIRST
  return index < 0 ? 0 : index >= buckets ? buckets - 1 : index
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

/** In ms, of `total` durations that were counted by their buckets. */
export function percentilesOf(counts: ArrayLike<number>, total: number): Percentiles {
  return { p50: quantile(counts, total, 0.5), p95: quantile(counts, total, 0.95), p99: quantile(counts, total, 0.99) }
}

function quantile(counts: ArrayLike<number>, total: number, share: number): number {
  const rank = Math.ceil(total * share)
  let seen = 0
  for (let bucket = 0; bucket < counts.length; bucket++) {
    seen += counts[bucket]!
    if (seen >= rank) return middleOf(bucket)
  }
  return middleOf(counts.length - 1)
}
