import pLimit from 'p-limit'
import pTimeout from 'p-timeout8'
import type { BuildStack } from './stack.js'

/** Given once: made for each call, as it is without `message`, it costs twenty times the rest of p-timeout. */
const message = new Error('timed out')

/** A slot and a deadline for each call, and nothing else: p-limit with p-timeout 8 at its best settings. */
export const build: BuildStack = ({ operation, timeout, slots }) => {
  const limit = pLimit(slots)
  const bounded = (category: string): ReturnType<typeof operation> =>
    pTimeout(operation(category), { milliseconds: timeout, message })
  return {
    call: (category) => limit(bounded, category),
    refuse: () => {
      throw new Error('p-limit cannot refuse')
    },
    close: () => undefined,
  }
}
