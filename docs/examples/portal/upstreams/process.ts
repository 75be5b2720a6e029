/** The three upstreams, in a process of their own: what they do costs the portal nothing but the waiting. */
import { endWithParent } from '../../replay/child.js'
import type { Behaviour, UpstreamName } from './behaviour.js'
import { content } from './content.js'
import { startUpstream } from './server.js'

export interface Order {
  id: number
  name: UpstreamName
  behaviour: Behaviour
}
export type Report = { ports: Record<UpstreamName, number> } | { done: number }

const report = (message: Report): boolean | undefined => process.send?.(message)

const upstreams = {
  articles: await startUpstream(content.articles),
  recommendations: await startUpstream(content.recommendations),
  activity: await startUpstream(content.activity),
}

process.on('message', ({ id, name, behaviour }: Order) => {
  upstreams[name].behave(behaviour)
  report({ done: id })
})
endWithParent()

const { articles, recommendations, activity } = upstreams
report({ ports: { articles: articles.port, recommendations: recommendations.port, activity: activity.port } })
