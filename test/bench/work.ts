/**
 * The operation that every stack guards. It counts its runs, so that a round in which a stack answered
 * from somewhere else (a cache, a joined flight, a fallback) is noticed instead of being measured.
 */
export interface Reply {
  readonly category: string
  readonly items: number
}

/** What one stack is told to call. Only stacks that give the operation a signal pass one. */
export type Operation = (category: string, signal?: AbortSignal) => Promise<Reply>

export const fallbackReply: Reply = { category: 'fallback', items: 0 }

/** Made once: capturing a stack trace for each failure would cost several times what is measured. */
export const failure = new Error('the work failed')

/** How often any of the operations below ran in this process. */
export const ran = { times: 0 }

export const answer: Operation = async (category) => {
  ran.times++
  return { category, items: 3 }
}

export const answerReadingSignal: Operation = async (category, signal) => {
  ran.times++
  if (signal === undefined) throw new Error('no signal was given to an operation that reads one')
  if (signal.aborted) throw failure
  return { category, items: 3 }
}

/** Every second run fails. */
export const answerOrFail: Operation = async (category) => {
  if (ran.times++ % 2 === 1) throw failure
  return { category, items: 3 }
}

/** Answers until it is told to fail. */
export function breakable(): { operation: Operation; broken: boolean } {
  const state = {
    broken: false,
    operation: async (category: string): Promise<Reply> => {
      ran.times++
      if (state.broken) throw failure
      return { category, items: 3 }
    },
  }
  return state
}

const names = Array.from({ length: 128 }, (_, index) => `category-${index}`)

/** One of `among` category names (128 at most), the same string object each time. */
export function category(index: number, among: number): string {
  return names[index % among] ?? 'category-0'
}
