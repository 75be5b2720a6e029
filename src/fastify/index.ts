import type { FastifyInstance, FastifyPluginCallback, FastifyReply, FastifyRequest, RouteOptions } from 'fastify'
import fp from 'fastify-plugin'
import {
  Inbound,
  OperatorHandler,
  refusalOf,
  strictSnapshot,
  watchClose,
  type InboundOptions,
  type Visit,
} from '../adapter.js'
import {
  DeadlineError,
  OptionError,
  UnavailableError,
  type Budgets,
  type OperatorOptions,
  type Registry,
  type Snapshot,
} from '../index.js'
import { isOperators, serveOperators } from './operator.js'
import { releaseAtHijack, settleOnceClosed } from './reply.js'

/**
 * Tells the compiler the names of your budgets, so that a misspelled one fails `tsc`.
 *
 * @example
 * declare module 'cofferdam/fastify' {
 *   interface Register { budgets: typeof budgets }
 * }
 */
// eslint-disable-next-line @typescript-eslint/no-empty-object-type -- filled in by whoever uses it
export interface Register {}

/** The names of the budgets that were registered; any string until some are. */
export type BudgetName = Register extends { budgets: Budgets<infer Name> } ? Name : string

/** A budget of one route's own. */
export interface OwnBudget {
  slots: number
  queue?: number
  maxWait?: number
}

/** Options of the plugin. */
export interface FastifyGuardOptions extends InboundOptions<Registry, string> {
  /** Where readiness is answered. Default: nowhere. */
  ready?: string
  /**
   * Where operators may act, over HTTP. It takes no slot and has no deadline: a drain takes as long as it was given.
   * Default: nowhere. Without `authorize` it is refused unless `NODE_ENV` is `development`.
   */
  operator?: OperatorOptions<FastifyRequest> & { prefix: string }
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The class of the route, or a budget of its own. Default: the budgets' `otherwise`. */
    budget?: BudgetName | OwnBudget
    /** In place of the plugin's, ms. */
    deadline?: number
    /** Refuse, before anything is done, while one of these is unavailable. */
    requires?: readonly string[]
  }
  interface FastifyRequest {
    /** The modes of all dependencies as they were when the request came. */
    health: Snapshot
  }
  interface FastifyInstance {
    /** The registry whose guard this app has. */
    cofferdam: Registry
  }
}

/** The route of readiness takes no slot: a load balancer would send a process that is merely busy no more requests at all. */
const READINESS = Symbol('cofferdam.readiness')

interface RouteConfig {
  budget?: unknown
  requires?: unknown
  deadline?: unknown
}

type RouteGuard = { budget: string | undefined; requires: readonly string[] }

function install(app: FastifyInstance, options: FastifyGuardOptions): void {
  const { registry, ready, operator, ...given } = options
  if (app.hasDecorator('cofferdam')) throw new OptionError('cofferdam', 'is registered already')
  const inbound = new Inbound<string>({ registry, ...given }, 'cofferdam')
  const production = process.env.NODE_ENV === 'production'
  const guards = new WeakMap<object, RouteGuard>()
  /** Fastify copies a route's config, and adds others to it: its HEAD, and in a prefix its url with a slash. They have one budget. */
  const owns = new WeakMap<object, Map<string, string>>()

  /** An error of ours as the client may see it; the reply has its header already, whatever handler comes next. */
  const told = (error: unknown, reply: FastifyReply): unknown => {
    const refusal = refusalOf(error, registry.clock.random())
    if (refusal === undefined) return error
    if (refusal.retryAfter !== undefined && !reply.sent) reply.header('retry-after', refusal.retryAfter)
    // Fastify writes an error's code into the body, and ours name what is inside; a handler finds it on the cause.
    return Object.assign(new Error(refusal.message, { cause: error }), { statusCode: refusal.status })
  }

  const ownBudget = (budget: OwnBudget, url: string, path: string, deadline: number | undefined): string => {
    const route = url.replace(/\/$/, '')
    let names = owns.get(budget)
    if (names === undefined) owns.set(budget, (names = new Map<string, string>()))
    let name = names.get(route)
    if (name === undefined) names.set(route, (name = inbound.ownBudget(budget, path, deadline)))
    return name
  }

  const guardOf = (config: RouteConfig, url: string, path = url): RouteGuard => {
    if (READINESS in config) return { budget: undefined, requires: [] }
    const { budget, requires = [], deadline } = config
    if (!Array.isArray(requires)) throw new OptionError(`${path}.requires`, 'must be an array of names')
    for (const name of requires as string[])
      if (registry.get(name) === undefined)
        throw new OptionError(`${path}.requires`, `"${name}" is no dependency of the registry`)
    const name =
      budget === undefined
        ? inbound.budgets?.otherwise
        : typeof budget === 'object' && budget !== null
          ? ownBudget(budget as OwnBudget, url, `${path}.budget`, deadline as number | undefined)
          : inbound.checkBudget(budget, `${path}.budget`)
    // Against the wait for its own budget: that of another class is nothing to it.
    if (deadline !== undefined) inbound.checkDeadline(deadline as number, `${path}.deadline`, name)
    return { budget: name, requires: requires as string[] }
  }

  /** Each at its first request, since routes that were declared before the plugin was loaded are met only then. */
  const guardFor = (request: FastifyRequest, { config, url = request.url }: Route): RouteGuard => {
    let guard = guards.get(config)
    if (guard === undefined) guards.set(config, (guard = guardOf(config, url, `${request.method} ${url}`)))
    return guard
  }

  app.decorate('cofferdam', registry)
  app.decorateRequest('health')
  for (const carried of [VISIT, ROUTE]) app.decorateRequest(carried as unknown as string)
  if (!app.hasReplyDecorator('locals')) app.decorateReply('locals', undefined)

  app.addHook('onRoute', (route: RouteOptions) => {
    guardOf(route.config ?? {}, route.url)
    route.handler = followed(route.handler, told)
  })

  app.addHook('onRequest', (request, reply, next) => {
    const late = (): void => {
      if (reply.sent || reply.raw.headersSent) return
      void reply.send(told(new DeadlineError('the time for the request is over'), reply))
    }
    const health = registry.snapshot()
    request.health = production ? health : strictSnapshot(health)
    const locals = reply as unknown as { locals?: object }
    locals.locals = { ...locals.locals, health: request.health }
    // A getter that makes a new object each time.
    const route = request.routeOptions
    if (isOperators(route)) {
      next()
      return
    }
    const visit = inbound.enter(request.headers, late, route.config.deadline)
    const carrier = request as Carrier
    carrier[VISIT] = visit
    carrier[ROUTE] = route
    watchClose(visit, request.raw, reply.raw)
    if (request.headers.upgrade !== undefined) releaseAtHijack(visit, reply)
    if (request.raw.httpVersionMajor > 1) settleOnceClosed(reply)
    visit.scope.run(next)
  })

  // After the body has been parsed: slow uploads would hold slots.
  app.addHook('preValidation', (request, reply, next) => {
    const visit = (request as Carrier)[VISIT]
    if (visit === undefined) {
      next()
      return
    }
    const { budget, requires } = guardFor(request, (request as Carrier)[ROUTE]!)
    const missing = requires.find((name) => !request.health[name]!.available)
    const decide = (refused: Error | undefined): void => {
      // The body parser may have left the scope, so it is entered again.
      if (refused === undefined) visit.scope.run(next)
      else next(told(refused, reply) as Error)
    }
    if (missing !== undefined) decide(new UnavailableError(`${missing} is unavailable`, { dependency: missing }))
    else if (budget === undefined) decide(undefined)
    else {
      const taken = visit.take(budget)
      if (taken instanceof Promise) void taken.then(decide)
      else decide(taken)
    }
  })

  app.addHook('onClose', (_app, closed) => {
    inbound.finish()
    closed()
  })

  if (operator !== undefined) {
    const { prefix, ...rest } = operator
    serveOperators(app, prefix, new OperatorHandler<FastifyRequest>(registry, inbound.budgets, rest, 'operator'))
  }
  if (ready !== undefined)
    app.get(ready, { config: { [READINESS]: true } as object }, (_request, reply) => {
      const readiness = registry.ready()
      return reply.code(readiness.ready ? 200 : 503).send(readiness)
    })
}

/**
 * Guards a Fastify app: a scope for each request, budgets by class of route, modes in templates.
 *
 * @throws OptionError (`ERR_OPTION`) at boot, also for routes that name an unknown budget or dependency
 * @example
 * await app.register(cofferdam, { registry, budgets, deadline: 2_000, ready: '/ready' })
 * app.get('/feed', { config: { budget: 'feeds', deadline: 500, requires: ['zdz-feed'] } }, handler)
 */
const plugin: FastifyPluginCallback<FastifyGuardOptions> = (app, options, done) => {
  // What a plugin throws, `ready()` would never tell: it is an uncaught exception.
  try {
    install(app, options)
  } catch (error) {
    done(error as Error)
    return
  }
  done()
}

/** A request carries its visit: kept in a WeakMap instead, it cost the collector a fifth of all time. */
const VISIT = Symbol('cofferdam.visit')
const ROUTE = Symbol('cofferdam.route')

type Route = FastifyRequest['routeOptions']

interface Carrier {
  [VISIT]?: Visit
  [ROUTE]?: Route
}

type AnyHandler = (this: FastifyInstance, ...args: [FastifyRequest, FastifyReply]) => unknown

/** The visit knows when its handler has settled, and our errors become answers. */
function followed(
  handler: RouteOptions['handler'],
  told: (error: unknown, reply: FastifyReply) => unknown,
): RouteOptions['handler'] {
  const original = handler as AnyHandler
  const wrapper: AnyHandler = function (request, reply) {
    const visit = (request as Carrier)[VISIT]
    if (visit === undefined) return original.call(this, request, reply)
    const settled = (): void => {
      visit.settled()
      if (reply.sent && !reply.raw.writableEnded) visit.hijacked()
    }
    visit.began()
    let result: unknown
    try {
      result = original.call(this, request, reply)
    } catch (error) {
      settled()
      throw told(error, reply)
    }
    // A reply that is given back is a thenable too, but Fastify's own; a query builder runs at each `then`.
    if (result === reply || typeof (result as PromiseLike<unknown> | undefined)?.then !== 'function') {
      settled()
      return result
    }
    return Promise.resolve(result).then(
      (value: unknown) => {
        settled()
        return value
      },
      (error: unknown) => {
        settled()
        throw told(error, reply)
      },
    )
  }
  return wrapper
}

export const cofferdam = fp(plugin, { fastify: '5.x', name: 'cofferdam' })
export default cofferdam
