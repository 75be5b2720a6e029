/**
 * What has an order that can be watched: a finite number, a bigint, a `Date`, digits (`pg` gives a bigint as a string),
 * or a position in a log as PostgreSQL writes it (`16/B374D848`).
 */
export type Comparable = number | bigint | Date | string

/** A value's place in the order of its kind. Places of different kinds can't be compared. */
export interface Rank {
  readonly kind: 'number' | 'bigint' | 'Date' | 'digits' | 'LSN'
  /** Ms for a `Date`, bytes for an LSN. */
  readonly at: number | bigint
}

const DIGITS = /^-?\d+$/
const LSN = /^([\da-f]{1,8})\/([\da-f]{1,8})$/i

/** @returns undefined for a value that has no order */
export function rankOf(value: unknown): Rank | undefined {
  if (typeof value === 'number') return Number.isFinite(value) ? { kind: 'number', at: value } : undefined
  if (typeof value === 'bigint') return { kind: 'bigint', at: value }
  if (value instanceof Date) {
    const at = value.getTime()
    return Number.isNaN(at) ? undefined : { kind: 'Date', at }
  }
  if (typeof value !== 'string') return undefined
  if (DIGITS.test(value)) return { kind: 'digits', at: BigInt(value) }
  const [, high, low] = LSN.exec(value) ?? []
  if (high === undefined || low === undefined) return undefined
  return { kind: 'LSN', at: (BigInt(`0x${high}`) << 32n) + BigInt(`0x${low}`) }
}

/** What a value is, in a word and never the value itself: it may be private. */
export function kindOf(value: unknown): string {
  const rank = rankOf(value)
  if (rank !== undefined) return rank.kind
  if (value === null) return 'null'
  if (typeof value === 'number') return Number.isNaN(value) ? 'NaN' : 'an infinite number'
  if (value instanceof Date) return 'an invalid Date'
  return Array.isArray(value) ? 'array' : typeof value
}

/** How far apart two values of one kind are, whichever is higher. */
export function distance(a: Rank, b: Rank): number | bigint {
  if (typeof a.at === 'bigint' && typeof b.at === 'bigint') return a.at > b.at ? a.at - b.at : b.at - a.at
  return Math.abs(Number(a.at) - Number(b.at))
}
