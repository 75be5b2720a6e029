import { startVisitors as start, type Answer, type Visit, type Visitors } from '../../replay/visitors.js'
import { articleIds } from '../upstreams/content.js'
import { goodWithin, isGood } from './good-page.js'

export const patience = 2_000

/** Visits the portal's articles in turn. */
export const startVisitors = (url: string, perSecond: number, onVisit: (visit: Visit) => void): Visitors =>
  start({ perSecond, onVisit, goodWithin, visit: (number) => ask(url, articleIds[number % articleIds.length] ?? '1') })

async function ask(url: string, articleId: string): Promise<Answer> {
  const response = await fetch(`${url}/articles/${articleId}`, { signal: AbortSignal.timeout(patience) })
  return { status: response.status, good: isGood(response.status, await response.text(), articleId) }
}
