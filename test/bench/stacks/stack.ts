import type { Operation, Reply } from '../work.js'

/** One library's full set of policies round one operation, as its readme would have it. */
export interface Stack {
  readonly call: (category: string) => Promise<Reply>
  /** From now on calls are refused. */
  readonly refuse: () => void
  readonly close: () => void | Promise<void>
  /** Does the work in the course of one inbound request. Where there is none, an AsyncLocalStorage is entered. */
  readonly inRequest?: <R>(work: () => Promise<R>) => Promise<R>
  /** How many calls its listeners were told of, for one that has some. */
  readonly heard?: () => number
}

export interface StackOptions {
  readonly operation: Operation
  /** Unique among the stacks of a process. */
  readonly name: string
  readonly timeout: number
  readonly slots: number
  /** Callers that may wait for a slot, where there is a line. */
  readonly queue: number
  /** The operation reads `signal`, so give it one. */
  readonly readsSignal: boolean
  /** Serve `fallbackReply` when there is nothing better. */
  readonly fallback: boolean
  /** Record failures, but keep letting calls through. */
  readonly neverTrip: boolean
  /** Values are served without running the operation for so long, ms. */
  readonly freshFor: number
  /** How many are kept. */
  readonly keep: number
}

/** Every stack module exports one of these as `build`. */
export type BuildStack = (options: StackOptions) => Stack

/** The options of a stack on the healthy path. */
export const plain: Omit<StackOptions, 'operation'> = {
  name: 'feed',
  timeout: 3_000,
  slots: 50,
  queue: 50,
  readsSignal: false,
  fallback: true,
  neverTrip: false,
  freshFor: 0,
  keep: 1_000,
}
