import type { CallOutcome, DependencySnapshot } from 'cofferdam'
import type { Activity, Article, Recommendation } from '../upstreams/content.js'

/** What the template gets, from either portal. */
export interface PageData {
  /** What the template reads of the registry's snapshot. */
  health: Readonly<Record<string, Pick<DependencySnapshot, 'available' | 'mode' | 'since'>>>
  article: CallOutcome<Article>
  recommendations: CallOutcome<Recommendation[]>
  activity: CallOutcome<Activity | null>
}

export type LoadPage = (articleId: string) => Promise<PageData>
