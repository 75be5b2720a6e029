import pTimeout from 'p-timeout8'
import { limitedBy } from './limited.js'
import type { BuildStack } from './stack.js'

/** Given once: made for each call, as it is without `message`, it costs twenty times the rest of p-timeout. */
const message = new Error('timed out')

/** The same with p-timeout 8, which asks for Node 22, at its best settings. */
export const build: BuildStack = (options) =>
  limitedBy((work, milliseconds) => pTimeout(work, { milliseconds, message }), options)
