import type { Answer } from '../../replay/visitors.js'
import { ARTICLES } from './database.js'
import { comicStrip } from './second-site.js'

/** A page that comes later is no good one. */
export const goodWithin = 1_000
const patience = 2_000

/** What the callbacks of a portal's pages came to, in the order of their answers. */
export interface Callbacks {
  /** When one was answered with a 2xx, on the clock of `performance.now()`. */
  readonly saved: number[]
}

const get = (url: string, method = 'GET'): Promise<Response> =>
  fetch(url, { method, signal: AbortSignal.timeout(patience) })

/** Reads a page; a page with a callback then makes it, as a browser does, and nobody waits for that. */
export function pageVisitor(portal: string, { saved }: Callbacks): (number: number) => Promise<Answer> {
  return async (number) => {
    const id = (number % ARTICLES) + 1
    const response = await get(`${portal}/articles/${id}`)
    const page = await response.text()
    if (page.includes('/ajax/comments/')) void callback(`${portal}/ajax/comments/${id}`, saved)
    if (number % 10 === 0) void get(`${portal}/stats`).then(drop, drop)
    return { status: response.status, good: response.status === 200 && page.includes(`<article data-id="${id}">`) }
  }
}

/** Of the second site, which shows the portal's feed, or the last that it had; a comic strip is for who never had any. */
export function secondVisitor(site: string): () => Promise<Answer> {
  return async () => {
    const response = await get(site)
    const page = await response.text()
    const feed = page.includes('The second site') && !page.includes(comicStrip[0]!.title)
    return { status: response.status, good: response.ok && feed }
  }
}

/** Templates and code are compiled before anything is measured. */
export async function warmUp(loads: Readonly<Record<string, (number: number) => Promise<Answer>>>): Promise<void> {
  for (let number = 0; number < 30; number++)
    await Promise.all(Object.values(loads).map((visit) => visit(number).catch(drop)))
}

async function callback(url: string, saved: number[]): Promise<void> {
  try {
    const response = await get(url, 'POST')
    await response.text()
    if (response.ok) saved.push(performance.now())
  } catch {
    // Nobody sees it: the page has long been shown.
  }
}

const drop = (): void => undefined
