import type { Case } from '../harness/case.js'
import { allocation } from './allocation.js'
import { cacheHit, cacheJoin, cacheMiss } from './cache.js'
import { closed, closedWithSignal } from './closed.js'
import { concurrent } from './concurrent.js'
import { failing } from './failing.js'
import { idleMemory, idleTimers } from './idle.js'
import { refusedWithError, refusedWithFallback } from './refusal.js'

/** In the order in which they run and are shown. */
export const cases: readonly Case[] = [
  closed,
  closedWithSignal,
  refusedWithFallback,
  refusedWithError,
  failing,
  concurrent,
  allocation,
  idleMemory,
  idleTimers,
  cacheHit,
  cacheMiss,
  cacheJoin,
]
