import { startVisitors, type Visit, type Visitors } from '../../replay/visitors.js'
import { instanceHeader } from './balancer.js'

export const pagesPerSecond = 30
const patience = 3_000
const goodWithin = 1_000
/** Pages that everybody wants. */
const popular = 20
/** One in so many is a page that nobody has asked for yet. */
const newOne = 30

/** What an instance did, by its name. */
export interface Served {
  pages: number
  errors: number
}

export const startReaders = (url: string, onVisit: (visit: Visit) => void, by: Map<string, Served>): Visitors =>
  startVisitors({
    perSecond: pagesPerSecond,
    goodWithin,
    onVisit,
    async visit(number) {
      const id = number % newOne === 0 ? `new-${number}` : `popular-${number % popular}`
      const response = await fetch(`${url}/apps/${id}`, { signal: AbortSignal.timeout(patience) })
      const good = (await response.text()).includes(`<h1>app of ${id}</h1>`) && response.ok
      count(by, response.headers.get(instanceHeader) ?? 'none', response.status >= 500)
      return { status: response.status, good }
    },
  })

function count(by: Map<string, Served>, instance: string, failed: boolean): void {
  const served = by.get(instance) ?? { pages: 0, errors: 0 }
  by.set(instance, served)
  if (failed) served.errors++
  else served.pages++
}
