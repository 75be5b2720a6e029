import { expect, onTestFinished } from 'vitest'
import { Scope } from '../../../src/adapter.js'
import { createBudgets, createRegistry, type BudgetOptions, type Budgets, type Registry } from '../../../src/index.js'
import { ManualClock } from '../../../src/testing.js'
import { gate, type Gate } from '../gate.js'
import type { Driver, Exchange, Route, Site, SiteOptions } from './driver.js'
import { until } from './until.js'

export interface WorldOptions extends Omit<SiteOptions, 'registry' | 'budgets' | 'routes'> {
  routes: Route[]
  slots?: number
  classes?: Record<string, BudgetOptions>
  random?: () => number
  /** Before the site is built: its dependencies. */
  prepare?: (registry: Registry) => void
}

/** A site on real sockets whose time stands still: what is not given back is never reclaimed by chance. */
export interface World {
  clock: ManualClock
  registry: Registry
  budgets: Budgets
  site: Site
  /** Requests that the server has read the head of. */
  arrived: () => number
  /** Slots held now, over all classes. */
  busy: () => number
  /** Waits until nothing is held, nobody waits, and nothing had to be reclaimed for it. */
  idle: () => Promise<void>
}

export async function world(driver: Driver, options: WorldOptions): Promise<World> {
  const { slots = 5, classes = { pages: {} }, random = () => 0.5, prepare, ...rest } = options
  const clock = new ManualClock({ random })
  const registry = createRegistry({ clock })
  prepare?.(registry)
  const budgets = createBudgets({ slots, classes, clock })
  const site = await driver.start({ registry, budgets, deadline: 10_000, grace: 5_000, ...rest })
  onTestFinished(() => site.close())
  let arrived = 0
  site.server.on('request', () => arrived++)
  const busy = (): number => budgets.usage().busy
  return {
    clock,
    registry,
    budgets,
    site,
    arrived: () => arrived,
    busy,
    idle: async () => {
      const all = () => Object.values(budgets.usage().classes)
      await until(() => busy() === 0 && all().every((one) => one.busy === 0 && one.waiters === 0), 'nothing is held')
      for (const { reclaimed } of all()) expect(reclaimed).toBe(0)
    },
  }
}

/** Handlers that wait, each for the test to say go. */
export interface Held {
  readonly handle: (exchange: Exchange) => Promise<void>
  /** Those that have begun, oldest first. */
  readonly begun: (Gate<void> & { exchange: Exchange; scope: Scope; signal: AbortSignal })[]
  /** How many run now. */
  running: () => number
  /** Waits until so many have begun. */
  reach: (count: number) => Promise<void>
  /** Lets all go on, and those to come. */
  release: () => void
}

export function held(answer: (exchange: Exchange) => unknown = (exchange) => exchange.reply('ok')): Held {
  const begun: Held['begun'] = []
  let running = 0
  let open = false
  return {
    begun,
    running: () => running,
    reach: (count) => until(() => begun.length >= count, `${count} handlers have begun`),
    release: () => {
      open = true
      for (const one of begun) one.open()
    },
    handle: async (exchange) => {
      const scope = Scope.current()!
      const wait = { ...gate(), exchange, scope, signal: scope.signal }
      begun.push(wait)
      running++
      try {
        if (!open) await wait.promise
        await answer(exchange)
      } finally {
        running--
      }
    },
  }
}
