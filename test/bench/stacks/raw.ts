import type { BuildStack } from './stack.js'

/** The operation itself: what every other figure contains. */
export const build: BuildStack = ({ operation }) => ({
  call: (category) => operation(category),
  refuse: () => {
    throw new Error('a raw call cannot refuse')
  },
  close: () => undefined,
})
