import type { GivenOptions } from './dependency-options.js'

type Circuit = NonNullable<GivenOptions['circuit']>
type Bulkhead = NonNullable<GivenOptions['bulkhead']>
type Stale = NonNullable<GivenOptions['stale']>
type Retry = Exclude<GivenOptions['retry'], undefined | false>

/**
 * A registry's defaults with a dependency's own options before them. A default that contradicts what the dependency
 * says was not written with it in mind: it gives way, by no more than it must.
 */
export function withDefaults(defaults: GivenOptions, given: GivenOptions): GivenOptions {
  const all = before(given, defaults)
  return {
    ...all,
    ...ordered(all, given, 'timeout', 'total'),
    bulkhead: bulkhead(defaults.bulkhead ?? {}, given.bulkhead ?? {}),
    circuit: circuit(defaults.circuit ?? {}, given.circuit ?? {}),
    stale: stale(defaults.stale ?? {}, given.stale ?? {}),
    rate: unlessOff(defaults.rate, given.rate, before),
    retry: unlessOff(defaults.retry, given.retry, retry),
  }
}

function bulkhead(defaults: Bulkhead, given: Bulkhead): Bulkhead {
  const { slots, pool, guaranteed, atMost, ...others } = defaults
  // Slots of its own, or a share of a pool: whoever says one of them has nothing to do with the other.
  const own = given.slots !== undefined
  const shared = given.pool !== undefined
  const all = before(given, { ...others, ...(shared ? {} : { slots }), ...(own ? {} : { pool, guaranteed, atMost }) })
  return { ...all, ...ordered(all, given, 'guaranteed', 'atMost') }
}

function circuit(defaults: Circuit, given: Circuit): Circuit {
  const all = before(given, defaults)
  const { window, minimumCalls } = all
  const fits =
    typeof window !== 'object' || minimumCalls === undefined || minimumCalls <= window.calls
      ? {}
      : given.minimumCalls === undefined
        ? { minimumCalls: window.calls }
        : given.window === undefined
          ? { window: { ...window, calls: minimumCalls } }
          : {}
  return { ...all, ...ordered(all, given, 'openFor', 'openForAtMost'), ...fits, ...warning(all, given) }
}

/** The level of the warning must be below that of the trip, unless it is 1: none. */
function warning({ warnRate = 1, failureRate = 1 }: Circuit, given: Circuit): Circuit {
  if (warnRate === 1 || warnRate < failureRate) return {}
  if (given.warnRate === undefined) return { warnRate: undefined }
  return given.failureRate === undefined ? { failureRate: undefined } : {}
}

function stale(defaults: Stale, given: Stale): Stale {
  const all = before(given, defaults)
  return { ...all, ...ordered(all, given, 'freshFor', 'staleFor') }
}

function retry(given: Retry, defaults: Retry): Retry {
  const [ours, theirs] = [given.backoff ?? {}, defaults.backoff ?? {}]
  const all = before(ours, theirs)
  return {
    ...before(given, defaults),
    backoff: { ...all, ...ordered(all, ours, 'base', 'atMost') },
    budget: before(given.budget ?? {}, defaults.budget ?? {}),
  }
}

/** What is off unless given: `false` switches a default off, and it isn't a default to be merged with. */
function unlessOff<T extends object>(
  defaults: T | false | undefined,
  given: T | false | undefined,
  merge: (given: T, defaults: T) => T,
): T | false | undefined {
  if (given === undefined) return defaults
  return given === false || defaults === undefined || defaults === false ? given : merge(given, defaults)
}

/** What is given as undefined isn't given. */
function before<T extends object>(given: T, defaults: T): T {
  const said = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
  return { ...defaults, ...said }
}

/** `low` must not exceed `high`: the one that only a default names gives way. Two given together are left to the check. */
function ordered<Name extends string>(
  all: { [N in Name]?: number | undefined },
  given: { [N in Name]?: number | undefined },
  low: Name,
  high: Name,
): { [N in Name]?: number | undefined } {
  const [least, most] = [all[low], all[high]]
  if (least === undefined || most === undefined || least <= most) return {}
  const both: { [N in Name]?: number | undefined } = {}
  if (given[low] === undefined) both[low] = most
  else if (given[high] === undefined) both[high] = least
  return both
}
