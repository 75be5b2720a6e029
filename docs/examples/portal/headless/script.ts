import type { Behaviour, UpstreamName } from '../upstreams/behaviour.js'

export interface Phase {
  name: string
  seconds: number
  what: string
  /** Upstreams not named here are healthy. */
  behaviours: Partial<Record<UpstreamName, Behaviour>>
}

export const script: readonly Phase[] = [
  { name: 'healthy', seconds: 5, what: 'everything answers', behaviours: {} },
  {
    name: 'hang',
    seconds: 7,
    what: 'recommendations and activity hang',
    behaviours: { recommendations: 'hang', activity: 'hang' },
  },
  {
    name: 'errors',
    seconds: 6,
    what: 'all three fail',
    behaviours: { articles: 'fail', recommendations: 'fail', activity: 'fail' },
  },
  { name: 'recovery', seconds: 7, what: 'everything answers again', behaviours: {} },
]

export const visitsPerSecond = 40
