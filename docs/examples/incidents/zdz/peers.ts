import {
  bulkhead,
  circuitBreaker,
  ConsecutiveBreaker,
  handleAll,
  timeout,
  TimeoutStrategy,
  wrap,
  type IPolicy,
} from 'cockatiel'
import CircuitBreaker from 'opossum'
import type { Queries } from './queries.js'

const ms = 1_000
/** Less than half of the connections for either table. */
const slots = 4

type Around = <A extends unknown[], R>(query: (...args: A) => Promise<R>) => (...args: A) => Promise<R>

/** Each query by itself, as their documentation shows it; neither hands the query a signal of its own unless told to. */
const around = (queries: Queries, guard: Around): Queries => ({
  article: guard((id) => queries.article(id)),
  latest: guard(() => queries.latest()),
  saveComment: guard((article) => queries.saveComment(article)),
  countComments: guard(() => queries.countComments()),
})

const opossum =
  (options: CircuitBreaker.Options): Around =>
  (query) => {
    const breaker = new CircuitBreaker(query, { timeout: ms, resetTimeout: 1_000, ...options })
    return (...args) => breaker.fire(...args)
  }

/** @param nest outermost first; what they share is made once for each table */
function cockatiel(
  queries: Queries,
  nest: (parts: { breaker: IPolicy; full: IPolicy; late: IPolicy }) => IPolicy,
): Queries {
  const make = (): Around => {
    const policy = nest({
      breaker: circuitBreaker(handleAll, { halfOpenAfter: 1_000, breaker: new ConsecutiveBreaker(5) }),
      full: bulkhead(slots),
      late: timeout(ms, TimeoutStrategy.Aggressive),
    })
    return (query) =>
      (...args) =>
        policy.execute(() => query(...args))
  }
  const [articles, comments] = [make(), make()]
  return {
    ...around(queries, articles),
    saveComment: comments((article) => queries.saveComment(article)),
    countComments: comments(() => queries.countComments()),
  }
}

/** The same queries guarded by peers. */
export const peers: Readonly<Record<string, (queries: Queries) => Queries>> = {
  'opossum, timeout': (queries) => around(queries, opossum({})),
  'opossum, timeout and capacity': (queries) => around(queries, opossum({ capacity: slots })),
  'cockatiel, as its readme nests': (queries) =>
    cockatiel(queries, ({ breaker, full, late }) => wrap(breaker, full, late)),
  'cockatiel, timeout outside': (queries) => cockatiel(queries, ({ breaker, full, late }) => wrap(breaker, late, full)),
}
