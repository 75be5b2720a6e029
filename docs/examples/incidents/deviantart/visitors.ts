import type { Answer } from '../../replay/visitors.js'
import type { Page } from './tables.js'

/** Pages that are read and written under. */
export const PAGES = 20
const patience = 15_000

/** Those who read a site and those who write there; each knows what was written, and where. */
export class Visitors {
  /** Comments that were given the id of another. */
  twice = 0
  /** Texts of comments that the site said it had saved. */
  readonly saved = new Set<string>()
  /** Pages that showed a comment that was written under another. */
  mixed = 0
  refused = 0
  readonly #url: string
  readonly #known: Set<number>

  /** @param ids those that were given before they came */
  constructor(url: string, ids: Iterable<number>) {
    this.#url = url
    this.#known = new Set(ids)
  }

  /** A good page is one whose comments were all written under it. */
  read = async (number: number): Promise<Answer> => {
    const page = number % PAGES
    const response = await fetch(`${this.#url}/pages/${page}`, { signal: AbortSignal.timeout(patience) })
    if (!response.ok) return refusal(response)
    const { comments } = (await response.json()) as Page
    const good = comments.length > 0 && comments.every(({ text }) => text.startsWith(`under ${page}: `))
    if (!good) this.mixed++
    return { status: response.status, good }
  }

  /** A good comment is one that has an id of its own. */
  write = async (number: number): Promise<Answer> => {
    const page = (number * 7) % PAGES
    const text = `under ${page}: comment ${number}`
    const response = await fetch(`${this.#url}/pages/${page}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ author: number ** 2 % 97, text }),
      signal: AbortSignal.timeout(patience),
    })
    if (!response.ok) {
      this.refused++
      return refusal(response)
    }
    const { id } = (await response.json()) as { id: number }
    const good = !this.#known.has(id)
    if (!good) this.twice++
    this.#known.add(id)
    this.saved.add(text)
    return { status: response.status, good }
  }
}

async function refusal(response: Response): Promise<Answer> {
  await response.arrayBuffer()
  return { status: response.status, good: false }
}
