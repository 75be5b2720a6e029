import { createBudgets, createRegistry, gather } from 'cofferdam'

/** Four classes of route, which don't have the same importance. */
export const budgets = createBudgets({
  slots: 40,
  classes: {
    pages: { guaranteed: 15 },
    callbacks: { guaranteed: 5, atMost: 20, queue: 40, maxWait: 250 },
    stats: { guaranteed: 2, atMost: 5 },
    feeds: { guaranteed: 5 },
  },
  otherwise: 'pages',
})

/** The dependencies of the portal, and its operations on them. */
export function portal(urls: { articles: string; comments: string }) {
  const registry = createRegistry()
  const articles = registry.dependency('articles', { timeout: 500 })
  const comments = registry.dependency('comments', {
    timeout: 1_000,
    bulkhead: { slots: 20, classes: { callbacks: { atMost: 15 }, pages: { guaranteed: 5 } } },
  })

  const get = async (url: string, signal: AbortSignal): Promise<{ path: string }> => {
    const response = await fetch(url, { signal })
    if (!response.ok) throw new Error(`the upstream answered ${response.status}`)
    return (await response.json()) as { path: string }
  }
  const loadArticle = articles.wrap(({ signal }, id: string) => get(`${urls.articles}/${id}`, signal), {
    name: 'load-article',
    key: (id) => id,
    scope: 'public',
  })
  const loadComments = comments.wrap(({ signal }, id: string) => get(`${urls.comments}/${id}`, signal), {
    name: 'load-comments',
  })
  const saveComment = comments.wrap(({ signal }, id: string) => get(`${urls.comments}/${id}/new`, signal), {
    name: 'save-comment',
    idempotent: false,
  })

  /** A page shows what comes in time; without its comments it is still a page, without its article it isn't. */
  const loadPage = async (id: string) => {
    const { values, missing } = await gather(() => ({ article: loadArticle(id), comments: loadComments(id) }), {
      within: 300,
    })
    if (values.article === undefined) throw missing.article
    return values
  }

  return { registry, loadPage, loadArticle, loadComments, saveComment }
}

export type Portal = ReturnType<typeof portal>
