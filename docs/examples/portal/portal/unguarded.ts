import type { CallOutcome } from 'cofferdam'
import { upstreamNames, type UpstreamName } from '../upstreams/behaviour.js'
import type { Activity, Article, Recommendation } from '../upstreams/content.js'
import { getJson } from './get-json.js'
import type { LoadPage } from './page-data.js'

/**
 * The page as it is usually written, and not badly: the three calls run at the same time, and an error of the
 * sidebar or of the counter doesn't fail the page. What it lacks is an end to the waiting, and a memory.
 */
export function unguardedPage(urls: Record<UpstreamName, string>): LoadPage {
  return async (id) => {
    const [article, recommendations, activity] = await Promise.all([
      getJson<Article>(urls.articles, id),
      getJson<Recommendation[]>(urls.recommendations, id).catch(() => []),
      getJson<Activity>(urls.activity, id).catch(() => null),
    ])
    return {
      health: nobodyKnows,
      article: live(article),
      recommendations: live(recommendations),
      activity: live(activity),
    }
  }
}

/** The template asks for modes; without a registry there is only hope. */
const hope = { available: true, mode: 'available', since: 0 } as const
const nobodyKnows = Object.fromEntries(upstreamNames.map((name) => [name, hope]))

const live = <T>(value: T): CallOutcome<T> => ({ value, source: 'live', stale: false, age: 0 })
