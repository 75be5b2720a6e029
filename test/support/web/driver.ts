import type { Server, ServerResponse } from 'node:http'
import type { Readable } from 'node:stream'
import type { Budgets, Registry, Snapshot } from '../../../src/index.js'

/** One request as a handler sees it, whatever the framework. */
export interface Exchange {
  /** Where templates find it; read anew each time. */
  readonly health: Snapshot
  readonly body: unknown
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly raw: ServerResponse
  readonly reply: (payload: unknown, status?: number) => void
  readonly stream: (source: Readable) => void
}

/** A route of a site. */
export interface Route {
  path: string
  method?: 'get' | 'post'
  budget?: string | { slots: number; queue?: number; maxWait?: number }
  requires?: string[]
  /** What the app does with the request first: looks up its session, say. */
  before?: () => Promise<void>
  handle: (exchange: Exchange) => unknown
}

export interface SiteOptions {
  registry: Registry
  budgets?: Budgets
  deadline?: number
  grace?: number
  floor?: number
  trustDeadline?: boolean
  routes: Route[]
  /** An error handler of the app's own in place of ours: it looks at the status on the error, and knows nothing of us. */
  ownErrors?: boolean
}

/** A running server. */
export interface Site {
  server: Server
  port: number
  /** What the guard keeps is let go of too. */
  close(): Promise<void>
}

/** What a framework needs for the contract suites. Readiness is at `/ready`. */
export interface Driver {
  name: string
  /** The guard knows when handlers settle. */
  follows: boolean
  /** A handler's rejection becomes an answer. */
  catches: boolean
  start(options: SiteOptions): Promise<Site>
}
