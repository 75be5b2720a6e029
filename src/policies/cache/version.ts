import { rankOf, type Rank } from '../../core/comparable.js'

/** Something that grows with every change of the value at its source; whole numbers may be text (`'10'` is after `'9'`). */
export type Version = number | bigint | string | Date

/** What can't be compared is not lower. */
export function isLower(a: Version, b: Version): boolean {
  const [one, other] = [rankOf(a), rankOf(b)]
  if (one !== undefined && other !== undefined) return orderOf(one) === orderOf(other) && one.at < other.at
  return typeof a === 'string' && typeof b === 'string' && a < b
}

/** One that can be compared with nothing is none. */
export function comparable(version: Version | undefined): Version | undefined {
  return typeof version === 'string' || rankOf(version) !== undefined ? version : undefined
}

/** Whole numbers have one order, whatever they are given as. */
const orderOf = ({ kind }: Rank): string => (kind === 'bigint' || kind === 'digits' ? 'number' : kind)
