import { createBudgets, createPool, createRegistry, type Registry } from 'cofferdam'
import { CONNECTIONS } from './database.js'
import type { Queries } from './queries.js'

/** Four classes of route, which don't have the same importance. */
export const budgetsOf = () =>
  createBudgets({
    slots: 40,
    classes: {
      pages: { guaranteed: 15 },
      callbacks: { guaranteed: 5, atMost: 15, queue: 20, maxWait: 250 },
      stats: { guaranteed: 2, atMost: 5 },
      feeds: { guaranteed: 5 },
    },
    otherwise: 'pages',
  })

export type Budgets = ReturnType<typeof budgetsOf>

/**
 * The portal's queries, guarded: two tables are two dependencies, since one can be locked while the other isn't, and they
 * share one pool of slots, since they share one pool of connections. No other number is set there.
 */
export function guardedQueries(queries: Queries): { registry: Registry; guarded: Queries } {
  const db = createPool({ name: 'db', slots: CONNECTIONS })
  const registry = createRegistry({
    defaults: {
      timeout: 1_000,
      circuit: { window: 3_000, openFor: 1_000, openForAtMost: 2_000, rampFor: 2_000 },
    },
  })
  const articles = registry.dependency('articles', { bulkhead: { pool: db } })
  const comments = registry.dependency('comments', { bulkhead: { pool: db } })
  return {
    registry,
    guarded: {
      article: articles.wrap(({ signal }, id: number) => queries.article(id, signal), {
        name: 'article',
        key: (id) => `${id}`,
        scope: 'public',
      }),
      latest: articles.wrap(({ signal }) => queries.latest(signal), { name: 'latest', key: () => '', scope: 'public' }),
      saveComment: comments.wrap(({ signal }, id: number) => queries.saveComment(id, signal), {
        name: 'save-comment',
        idempotent: false,
      }),
      countComments: comments.wrap(({ signal }) => queries.countComments(signal), {
        name: 'count-comments',
        key: () => '',
        scope: 'public',
      }),
    },
  }
}
