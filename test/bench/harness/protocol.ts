import type { Effort } from './case.js'

/** What a child is started with, as one JSON argument. */
export interface Task {
  readonly caseName: string
  readonly subject: string
  readonly points: readonly number[]
  readonly effort: Effort
}

/** From the parent: take a figure at this point. */
export interface Request {
  readonly point: number
}

/** From the child, first when it is warm, then one for each request. */
export type Reply = { readonly ready: true } | { readonly figure: number }
