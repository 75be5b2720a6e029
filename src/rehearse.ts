import * as v from 'valibot'
import { bound } from './core/bound.js'
import type { Clock } from './core/clock.js'
import { OptionError } from './core/errors.js'
import { count, duration, fn, group, named, oneOf, parse, text } from './core/options.js'
import type { InjectOptions } from './policies/inject.js'
import type { Registry } from './registry.js'

/** How a dependency fails in a rehearsal. `hung`: nothing comes back. `slow`: what comes back comes too late. */
export type RehearsedFault = 'hung' | 'failing' | 'slow'

/** Asks for one route as a client would. Rejects if there was no good answer; the signal aborts when its time is over. */
export type AskRoute = (context: { signal: AbortSignal }) => unknown

/** An app that was started for one fault, and is of no use to another. */
export interface Rehearsal {
  registry: Registry
  /** Its routes, by whatever they are called. */
  routes: Readonly<Record<string, AskRoute>>
  /** Stops servers and the like; the registry is closed after it. */
  close?: () => unknown
}

export interface RehearseOptions {
  /** Those that fail, each in its turn. Default: all of the app's. */
  dependencies?: readonly string[]
  /** Default: `hung`, `failing` and `slow`. */
  faults?: readonly RehearsedFault[]
  /** How long a route may take to answer, ms; one that is slow holds each attempt up for as long. Default 1,000. */
  within?: number
  /** How often each route is asked at once: what is shared shows only when it is used up. Default 10. */
  times?: number
}

/** How one route fared while one dependency failed in one way. */
export interface RehearsalRow {
  readonly dependency: string
  readonly fault: RehearsedFault
  readonly route: string
  /** Every time it was asked it answered. */
  readonly ok: boolean
  readonly asked: number
  readonly answered: number
  /** The longest that somebody waited, ms. */
  readonly took: number
  /** Why it didn't answer, the first time. */
  readonly error?: unknown
}

/** What became of the routes. */
export interface RehearsalReport {
  readonly rows: readonly RehearsalRow[]
  /** The routes that some fault stopped, each once. */
  readonly stopped: readonly string[]
  /** A table of the rows, for people. */
  toString(): string
}

const schema = group({
  dependencies: v.optional(v.array(text, 'must be an array of names')),
  faults: v.optional(v.array(oneOf(['hung', 'failing', 'slow']), 'must be an array')),
  within: v.optional(duration),
  times: v.optional(count),
})
const rehearsalSchema = group({
  registry: v.custom<Registry>(
    (given) => typeof (given as Partial<Registry> | null | undefined)?.inject === 'function',
    'must be a registry',
  ),
  routes: named(fn<AskRoute>(), 'routes'),
  close: v.optional(fn<() => unknown>()),
})

const DAY = 86_400_000

/**
 * Fails each dependency in each way, and tells which routes stopped answering: is what should be dispensable so? All
 * routes are asked at once while one dependency hangs, fails or is slow, on an app that `start` has made for it alone:
 * an opened circuit or a filled cache says nothing of the next. Before that each is asked once with nothing injected.
 *
 * @throws OptionError (`ERR_OPTION`); an `Error` for a route that doesn't answer with nothing injected; and what `start`
 * and `close` throw
 * @example
 * const report = await rehearse(startShop, { dependencies: ['recommendations'], within: 500 })
 * expect(report.stopped, String(report)).toEqual([])
 */
export async function rehearse(
  start: () => Rehearsal | Promise<Rehearsal>,
  options: RehearseOptions = {},
): Promise<RehearsalReport> {
  const { within = 1_000, times = 10, dependencies, faults } = parse(schema, options, 'rehearse')
  const names = await withApp(start, within, ({ registry }) => namesIn(registry, dependencies))
  const rows: RehearsalRow[] = []
  for (const dependency of names)
    for (const fault of faults ?? (['hung', 'failing', 'slow'] as const))
      rows.push(
        ...(await withApp(start, within, ({ registry, routes }) => {
          const ask = async (route: string): Promise<RehearsalRow> => {
            const asked = Array.from({ length: times }, () => answer(registry.clock, routes[route]!, within))
            return { dependency, fault, route, ...told(await Promise.all(asked)) }
          }
          registry.inject(dependency, { ...faultOf(fault, within), for: DAY, reason: 'rehearsal' })
          return Promise.all(Object.keys(routes).map(ask))
        })),
      )
  return reportOf(rows)
}

function faultOf(fault: RehearsedFault, within: number): Omit<InjectOptions, 'for'> {
  if (fault === 'hung') return { hang: true }
  if (fault === 'slow') return { delay: within }
  return { error: () => new Error('a failure that is rehearsed') }
}

function namesIn(registry: Registry, wanted: readonly string[] | undefined): readonly string[] {
  const known = registry
    .snapshot()
    .list()
    .map(({ name }) => name)
  const unknown = wanted?.find((name) => !known.includes(name))
  if (unknown !== undefined)
    throw new OptionError('rehearse.dependencies', `there is no dependency named ${JSON.stringify(unknown)}`)
  return wanted ?? known
}

/** Starts the app, sees that it works, and closes it whatever comes. */
async function withApp<T>(
  start: () => Rehearsal | Promise<Rehearsal>,
  within: number,
  use: (app: Rehearsal) => T | Promise<T>,
): Promise<T> {
  const app = parse(rehearsalSchema, await start(), 'start') as Rehearsal
  const { registry, routes, close } = app
  try {
    for (const [route, ask] of Object.entries(routes)) {
      const { ok, error } = await answer(registry.clock, ask, within)
      if (!ok) throw new Error(`rehearse: ${route} doesn't answer with nothing injected`, { cause: error })
    }
    return await use(app)
  } finally {
    try {
      await close?.()
    } finally {
      await registry.close({ timeout: within })
    }
  }
}

interface Answer {
  readonly ok: boolean
  readonly took: number
  readonly error?: unknown
}

async function answer(clock: Clock, ask: AskRoute, within: number): Promise<Answer> {
  const began = clock.now()
  const over = new AbortController()
  try {
    const asked = (async () => await ask({ signal: over.signal }))()
    await bound(clock, asked, within, () => {
      const late = new DOMException(`no answer within ${within} ms`, 'TimeoutError')
      over.abort(late)
      throw late
    })
    return { ok: true, took: clock.now() - began }
  } catch (error) {
    return { ok: false, took: clock.now() - began, error }
  }
}

function told(answers: readonly Answer[]): Omit<RehearsalRow, 'dependency' | 'fault' | 'route'> {
  const failed = answers.find(({ ok }) => !ok)
  return {
    ok: failed === undefined,
    asked: answers.length,
    answered: answers.filter(({ ok }) => ok).length,
    took: Math.round(Math.max(...answers.map(({ took }) => took))),
    ...(failed === undefined ? {} : { error: failed.error }),
  }
}

function reportOf(rows: readonly RehearsalRow[]): RehearsalReport {
  const stopped = [...new Set(rows.filter(({ ok }) => !ok).map(({ route }) => route))]
  return { rows, stopped, toString: () => table(rows, stopped) }
}

function table(rows: readonly RehearsalRow[], stopped: readonly string[]): string {
  const lines = rows.map(({ dependency, fault, route, asked, answered, took, error }) => [
    `${dependency} ${fault}`,
    route,
    `${answered} of ${asked}`,
    `${took} ms`,
    error === undefined ? '' : error instanceof Error ? error.message : typeof error,
  ])
  const cells = [['fault', 'route', 'answered', 'longest', ''], ...lines]
  const widths = cells[0]!.map((_, column) => Math.max(...cells.map((line) => line[column]!.length)))
  const text = cells.map((line) =>
    line
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join('  ')
      .trimEnd(),
  )
  return [...text, `stopped: ${stopped.length === 0 ? 'none' : stopped.join(', ')}`].join('\n')
}
