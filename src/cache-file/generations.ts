/** What is known of a dump, whether in a file or about to be written. */
export interface Generation {
  /** Its newest piece of news, wall time: the start of the newest value, or the last deletion. */
  readonly date: number
  readonly entries: number
  /** When the last of its values is past its `staleFor`, wall time. */
  readonly until: number
}

export type Place =
  /** `at`: where it goes; `over`: which one it pushes out, those between move on by one. The same: it is replaced. */
  { readonly at: number; readonly over: number } | 'empty' | 'unchanged' | 'older'

/** So many times the entries make a dump fuller than another: fewer come and go by themselves. */
const FULLER = 2

/** Whether an older dump has so much more than what the newer ones gave that it must not be lost. */
export function isFuller(older: Generation, entries: number): boolean {
  return older.entries > FULLER * entries
}

/**
 * Where a dump goes among those that are there, newest first. An empty or older one never takes the place of a fuller,
 * newer one (in the Muut outage it did): an empty one isn't written unless it was emptied on purpose, which is news; an
 * older one goes behind; and a much fuller one is not pushed out while any of its values can still be served.
 *
 * @param there newest first; undefined where there is none
 */
export function placeOf(mine: Generation, there: readonly (Generation | undefined)[], now: number): Place {
  if (mine.date === -Infinity) return 'empty'
  // A date that is still to come is a clock's that was set back since: it would keep everything out until then.
  const at = there.findIndex((one) => one === undefined || one.date > now || one.date <= mine.date)
  if (at === -1) return 'older'
  const here = there[at]
  if (here?.date === mine.date) return mine.entries > here.entries ? { at, over: at } : 'unchanged'
  const free = there.indexOf(undefined, at)
  if (free !== -1) return { at, over: free }
  const last = there.length - 1
  const oldest = there[last]!
  const most = Math.max(mine.entries, ...there.slice(0, last).map((one) => one!.entries))
  const kept = there.length > 1 && oldest.until > now && isFuller(oldest, most)
  if (!kept) return { at, over: last }
  return at < last ? { at, over: last - 1 } : 'older'
}
