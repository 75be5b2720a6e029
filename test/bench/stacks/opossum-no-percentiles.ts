import { buildWith } from './opossum.js'
import type { BuildStack } from './stack.js'

/** opossum without latency percentiles: it sorts them at every failure, and this turns that off. */
export const build: BuildStack = (options) => buildWith(options, false)
