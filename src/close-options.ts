import * as v from 'valibot'
import { duration, group } from './core/options.js'

/** How a dependency, or all of a registry's, is closed. */
export interface CloseOptions {
  /** How long calls in flight may take to end by themselves, ms. Default: each dependency's own timeout. */
  timeout?: number
}

export const closeSchema = group({ timeout: v.optional(duration) })
