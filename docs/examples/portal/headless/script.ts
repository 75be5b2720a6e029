import type { Phase } from '../../replay/recording.js'
import { upstreamNames, type Behaviour, type UpstreamName } from '../upstreams/behaviour.js'
import type { Upstreams } from '../upstreams/start.js'

export const visitsPerSecond = 40

export function script(upstreams: Upstreams): Phase[] {
  /** Upstreams not named are healthy. */
  const behave = (behaviours: Partial<Record<UpstreamName, Behaviour>>) => async (): Promise<void> => {
    await Promise.all(upstreamNames.map((name) => upstreams.behave(name, behaviours[name] ?? 'healthy')))
  }
  return [
    { name: 'healthy', seconds: 5, what: 'everything answers', begin: behave({}) },
    {
      name: 'hang',
      seconds: 7,
      what: 'recommendations and activity hang',
      begin: behave({ recommendations: 'hang', activity: 'hang' }),
    },
    {
      name: 'errors',
      seconds: 6,
      what: 'all three fail',
      begin: behave({ articles: 'fail', recommendations: 'fail', activity: 'fail' }),
    },
    { name: 'recovery', seconds: 7, what: 'everything answers again', begin: behave({}) },
  ]
}
