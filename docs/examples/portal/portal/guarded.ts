import { createRegistry, type DependencyOptions, type Registry } from 'cofferdam'
import type { UpstreamName } from '../upstreams/behaviour.js'
import type { Activity, Article, Recommendation } from '../upstreams/content.js'
import { getJson } from './get-json.js'
import type { LoadPage } from './page-data.js'

/** Short numbers, so that trips and recoveries can be watched; a real site would start with the defaults. */
const quick: DependencyOptions = {
  bulkhead: { slots: 20, queue: 20, maxWait: 100 },
  circuit: {
    window: 2_000,
    minimumCalls: 10,
    consecutiveFailures: 5,
    openFor: 1_000,
    openForAtMost: 2_000,
    rampFor: 2_000,
  },
}

export function guardedPage(urls: Record<UpstreamName, string>): { registry: Registry; loadPage: LoadPage } {
  const registry = createRegistry({ defaults: quick })
  const articles = registry.dependency('articles', { timeout: 500 })
  const recommendations = registry.dependency('recommendations', { timeout: 300 })
  const activity = registry.dependency('activity', { timeout: 200 })

  const loadArticle = articles.wrap(({ signal }, id: string) => getJson<Article>(urls.articles, id, signal), {
    name: 'load-article',
    key: (id) => id,
    scope: 'public',
    staleFor: 24 * 3_600_000,
  })

  const loadRecommendations = recommendations.wrap(
    ({ signal }, id: string) => getJson<Recommendation[]>(urls.recommendations, id, signal),
    { name: 'load-recommendations', key: (id) => id, scope: 'public', staleFor: 3_600_000, fallback: { value: [] } },
  )

  // A count of readers is worth showing for ten seconds; after that, better none than a wrong one.
  const loadActivity = activity.wrap(
    ({ signal }, id: string): Promise<Activity | null> => getJson<Activity>(urls.activity, id, signal),
    { name: 'load-activity', key: (id) => id, scope: 'public', staleFor: 10_000, fallback: { value: null } },
  )

  return {
    registry,
    async loadPage(id) {
      const health = registry.snapshot()
      const [article, recommended, readers] = await Promise.all([
        loadArticle.outcome(id),
        loadRecommendations.outcome(id),
        loadActivity.outcome(id),
      ])
      return { health, article, recommendations: recommended, activity: readers }
    },
  }
}
