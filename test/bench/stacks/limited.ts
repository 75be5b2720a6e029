import pLimit from 'p-limit'
import pTimeout from 'p-timeout'
import type { Reply } from '../work.js'
import type { BuildStack, Stack, StackOptions } from './stack.js'

/** A slot and a deadline for each call, and nothing else: p-limit with p-timeout 7, the one that runs on Node 20. */
export const build: BuildStack = (options) =>
  limitedBy((work, milliseconds) => pTimeout(work, { milliseconds }), options)

type Bound = (work: Promise<Reply>, milliseconds: number) => Promise<Reply>

export function limitedBy(bound: Bound, { operation, timeout, slots }: StackOptions): Stack {
  const limit = pLimit(slots)
  const bounded = (category: string): Promise<Reply> => bound(operation(category), timeout)
  return {
    call: (category) => limit(bounded, category),
    refuse: () => {
      throw new Error('p-limit cannot refuse')
    },
    close: () => undefined,
  }
}
