import type { Answer } from '../../replay/visitors.js'
import { THREADS, type Thread } from './threads.js'

const patience = 5_000

/** Those who read the forum and those who post there; together they know which messages were accepted. */
export class Visitors {
  /** By thread. */
  readonly accepted: Set<string>[] = Array.from({ length: THREADS }, () => new Set<string>())
  /** Threads that were shown without a message that had been accepted. */
  incomplete = 0
  refused = 0
  readonly #url: string

  constructor(url: string) {
    this.#url = url
  }

  get messages(): number {
    return this.accepted.reduce((sum, { size }) => sum + size, 0)
  }

  /** A good thread has every message that had been accepted when it was asked for. */
  read = async (number: number): Promise<Answer> => {
    const thread = number % THREADS
    const expected = [...this.accepted[thread]!]
    const response = await fetch(`${this.#url}/threads/${thread}`, { signal: AbortSignal.timeout(patience) })
    if (!response.ok) return refusal(response)
    const good = missing((await response.json()) as Thread, expected) === 0
    if (!good) this.incomplete++
    return { status: response.status, good }
  }

  /** A message is accepted when its author is shown the thread with it. */
  post = async (number: number): Promise<Answer> => {
    const thread = (number * 7) % THREADS
    const text = `message ${number}`
    const response = await fetch(`${this.#url}/threads/${thread}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ text }),
      signal: AbortSignal.timeout(patience),
    })
    if (!response.ok) {
      this.refused++
      return refusal(response)
    }
    const good = missing((await response.json()) as Thread, [text]) === 0
    if (good) this.accepted[thread]!.add(text)
    return { status: response.status, good }
  }

  /** How many of the accepted messages a copy of the threads lacks. */
  lostFrom(threads: readonly (Thread | null)[]): number {
    return this.accepted.reduce((sum, expected, thread) => sum + missing(threads[thread] ?? null, [...expected]), 0)
  }
}

function missing(thread: Thread | null, expected: readonly string[]): number {
  const there = new Set(thread?.messages)
  return expected.filter((text) => !there.has(text)).length
}

async function refusal(response: Response): Promise<Answer> {
  await response.arrayBuffer()
  return { status: response.status, good: false }
}
