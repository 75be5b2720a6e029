import { setTimeout as sleep } from 'node:timers/promises'
import { budgets, portal, type Portal } from './portal.js'
import { startUpstream } from './upstream.js'

/** What the rehearsal asks of a server. */
export type Serve = (portal: Portal) => Promise<{ url: string; stop: () => unknown }>

const PAGES = 10
const CALLBACKS = 60
const notice = 'Comments are closed for an hour.'

/**
 * - `good`: the page with its article, or the callback's answer
 * - `shed`: 503 that says when to come again
 * - `late`: 504
 * - `lost`: anything else
 */
type Outcome = 'good' | 'shed' | 'late' | 'lost'
type Counts = Record<Outcome, number>

/**
 * Pages and callbacks side by side: while all is well, while what the callbacks ask for hangs, while an operator has
 * paused them, and after.
 *
 * @returns an exit code: 1 when a page was lost, greed was not held back, or it didn't recover
 */
export async function rehearse(serve: Serve): Promise<number> {
  const [articles, comments] = await Promise.all([startUpstream(), startUpstream()])
  const made = portal({ articles: articles.url, comments: comments.url })
  const server = await serve(made)

  const ask = async (path: string, shows: string, method = 'GET'): Promise<Outcome> => {
    const response = await fetch(server.url + path, { method })
    const body = await response.text()
    if (response.ok) return body.includes(shows) ? 'good' : 'lost'
    if (response.status === 504) return 'late'
    return response.status === 503 && Number(response.headers.get('retry-after')) >= 1 ? 'shed' : 'lost'
  }
  const row = async (what: string): Promise<{ pages: Counts; callbacks: Counts }> => {
    const [callbacks, pages] = await Promise.all([
      count(CALLBACKS, (id) => ask(`/ajax/comments/${id}`, `"/${id}"`)),
      count(PAGES, (id) => ask(`/articles/${id}`, `data-path="/${id}"`)),
    ])
    print(what, pages, callbacks)
    return { pages, callbacks }
  }

  const well = await row('all is well')
  comments.hang(true)
  const hanging = await row('the comments hang')
  const reason = 'the comments hang'
  made.registry.setMode('comments', 'unavailable', { reason, notice, for: 60_000 })
  budgets.pause('callbacks', { reason, for: 60_000 })
  const paused = await row('callbacks are paused')
  budgets.resume('callbacks')
  const write = await ask('/ajax/comments/1', '', 'POST')
  const told = await ask('/articles/1', notice)
  console.log(`comments are closed     a write is ${write}, the page's notice ${told}`)
  made.registry.clearMode('comments')
  comments.hang(false)
  const recovered = await within(5_000, async () => (await ask('/ajax/comments/1', '"/1"')) === 'good')
  console.log(recovered ? 'the callbacks have recovered' : 'the callbacks did not recover')

  const lost = [well, hanging, paused].some(({ pages }) => pages.good < PAGES)
  const held = hanging.callbacks.shed > 0 && paused.callbacks.shed === CALLBACKS && write === 'shed' && told === 'good'
  console.log(lost ? 'pages were lost' : 'every page was answered', JSON.stringify(made.registry.ready()))
  await server.stop()
  await made.registry.close({ timeout: 500 })
  articles.stop()
  comments.stop()
  return lost || !held || !recovered ? 1 : 0
}

async function count(times: number, ask: (id: number) => Promise<Outcome>): Promise<Counts> {
  const counts: Counts = { good: 0, shed: 0, late: 0, lost: 0 }
  for (const outcome of await Promise.all(Array.from({ length: times }, (_, index) => ask(index % 5))))
    counts[outcome]++
  return counts
}

function print(what: string, pages: Counts, callbacks: Counts): void {
  const told = (counts: Counts): string =>
    Object.entries(counts)
      .filter(([, times]) => times > 0)
      .map(([outcome, times]) => `${times} ${outcome}`)
      .join(', ')
  console.log(`${what.padEnd(22)} pages ${told(pages).padEnd(10)} callbacks ${told(callbacks)}`)
}

async function within(ms: number, holds: () => Promise<boolean>): Promise<boolean> {
  const end = performance.now() + ms
  while (performance.now() < end) {
    if (await holds()) return true
    await sleep(100)
  }
  return false
}
