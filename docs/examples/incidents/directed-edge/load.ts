import { startVisitors, type Visit, type Visitors } from '../../replay/visitors.js'
import { customers } from './database.js'
import { textOf } from './damage.js'

export const readsPerSecond = 30
/** Of each database, ids from 1; the first ones are read. */
export const recordsAtFirst = 50
export const patience = 2_000
const goodWithin = 1_000
const writesPerSecond = 20
const recordsRead = 20
/** New records, above those that are there. */
const firstNew = 1_000

export interface Acknowledged {
  database: string
  id: number
}

/** What became of the records that customers sent. */
export interface Sent {
  acknowledged: Acknowledged[]
  /** Answered otherwise, or not at all: the customer knows that it has to come again. */
  refused: number
}

/** Each asks for a recommendation, of one customer after the other. */
export const startReaders = (url: string, onVisit: (visit: Visit) => void): Visitors =>
  startVisitors({
    perSecond: readsPerSecond,
    goodWithin,
    onVisit,
    async visit(number) {
      const name = customers[number % customers.length]!
      const id = 1 + (Math.floor(number / customers.length) % recordsRead)
      const response = await fetch(`${url}/databases/${name}/${id}`, { signal: AbortSignal.timeout(patience) })
      return { status: response.status, good: (await response.text()) === textOf(name, id) }
    },
  })

/** Customers send what was bought, once each. */
export const startWriters = (url: string, sent: Sent): Visitors =>
  startVisitors({
    perSecond: writesPerSecond,
    goodWithin,
    onVisit: ({ good }) => {
      if (!good) sent.refused++
    },
    async visit(number) {
      const name = customers[number % customers.length]!
      const id = firstNew + Math.floor(number / customers.length)
      const response = await fetch(`${url}/databases/${name}/${id}`, {
        method: 'POST',
        headers: { 'content-type': 'text/plain' },
        body: textOf(name, id),
        signal: AbortSignal.timeout(patience),
      })
      await response.arrayBuffer()
      const good = response.status === 201
      // However long it took: from now on the customer relies on it.
      if (good) sent.acknowledged.push({ database: name, id })
      return { status: response.status, good }
    },
  })
