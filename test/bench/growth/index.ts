import type { Case } from '../harness/case.js'
import { concurrency } from './concurrency.js'
import { dependencies } from './dependencies.js'
import { window } from './window.js'

/** What `--growth` measures and draws: each a curve over its points. */
export const growths: readonly Case[] = [concurrency, dependencies, window]
