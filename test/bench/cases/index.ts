import type { Case } from '../harness/case.js'
import { allocation } from './allocation.js'
import { cacheHit, cacheJoin, cacheMiss } from './cache.js'
import { closed, closedWithSignal } from './closed.js'
import { concurrent } from './concurrent.js'
import { failing } from './failing.js'
import { idleMemory, idleTimers } from './idle.js'
import { inScope } from './in-scope.js'
import { listening } from './listening.js'
import { loopDelay } from './loop-delay.js'
import { refusedWithError, refusedWithFallback } from './refusal.js'
import { waiting } from './waiting.js'

/** In the order in which they run and are shown. */
export const cases: readonly Case[] = [
  closed,
  closedWithSignal,
  inScope,
  refusedWithFallback,
  refusedWithError,
  failing,
  concurrent,
  waiting,
  listening,
  loopDelay,
  allocation,
  idleMemory,
  idleTimers,
  cacheHit,
  cacheMiss,
  cacheJoin,
]
