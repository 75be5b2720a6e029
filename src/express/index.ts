import type { ErrorRequestHandler, NextFunction, Request, RequestHandler, Response } from 'express'
import {
  Inbound,
  OperatorHandler,
  refusalOf,
  strictSnapshot,
  watchClose,
  type InboundOptions,
  type Visit,
} from '../adapter.js'
import { DeadlineError, OptionError, UnavailableError, type OperatorOptions, type Registry } from '../index.js'
import { ignoreLate } from './ignore-late.js'
import { exchangeOf } from './operator.js'

/** Options of {@link cofferdam} for Express. */
export type ExpressGuardOptions<Name extends string> = InboundOptions<Registry, Name>

/** A route's own handler. */
export type Handler = (request: Request, response: Response, next: NextFunction) => unknown

/** Middleware that holds a slot of a budget. */
export interface BudgetMiddleware extends RequestHandler {
  /**
   * The same around a handler, which then is followed: the slot is held until the handler has settled, also when its
   * client has gone. As plain middleware it sees only the response's close. Rejections go to `next`, on Express 4 too.
   */
  wrap(handler: Handler): RequestHandler
}

/** What guards an Express app. */
export interface ExpressGuard<Name extends string> extends RequestHandler {
  /**
   * A slot for each request, of a class or of the route's own. Put it after the body parser: slow uploads would hold slots.
   * @throws OptionError (`ERR_OPTION`) for a name that is no budget's, or a wait as long as the deadline
   */
  budget(budget: Name | { slots: number; queue?: number; maxWait?: number }): BudgetMiddleware
  /**
   * Refuses, before anything is done, while one of these is unavailable.
   * @throws OptionError (`ERR_OPTION`) for an unknown dependency
   */
  requires(...dependencies: string[]): RequestHandler
  /** Answers our errors: 503 with `Retry-After`, or 504; nothing internal. Others go on. */
  errors(): ErrorRequestHandler
  /** 200 when the process should be sent requests, else 503. */
  ready(): RequestHandler
  /**
   * What operators may do, over HTTP: `app.use('/ops', guard.operator({ authorize }))`, before or after a body parser.
   * It has no deadline: a drain takes as long as it was given.
   * @throws OptionError (`ERR_OPTION`), also without `authorize` unless `NODE_ENV` is `development`
   */
  operator(options?: OperatorOptions<Request>): RequestHandler
  /**
   * For after the server's own `close()`: lets go of timers. Without it one for each deadline runs out by itself, and keeps
   * no process alive. Registry and budgets are closed by whoever made them: other apps may share them.
   */
  close(): void
}

/** A response carries its visit: kept in a WeakMap instead, it cost the collector a fifth of all time. */
const VISIT = Symbol('cofferdam.visit')

interface Carrier {
  [VISIT]?: Visit
}

/** An app that has a guard has one. */
const guarded = new WeakSet<object>()

/**
 * Guards an Express app, 4 or 5: a scope for each request, budgets by class of route, modes in templates.
 *
 * @throws OptionError (`ERR_OPTION`)
 * @example
 * const guard = cofferdam({ registry, budgets, deadline: 2_000 })
 * app.use(guard)
 * app.use('/ajax', express.json(), guard.budget('callbacks'))
 * app.get('/', guard.budget('pages').wrap(async (req, res) => res.render('home')))
 * app.use(guard.errors())
 */
export function cofferdam<Name extends string = never>(options: ExpressGuardOptions<Name>): ExpressGuard<Name> {
  const inbound = new Inbound<Name>(options, 'cofferdam')
  const { registry } = options
  const production = process.env.NODE_ENV === 'production'
  const operators: OperatorHandler<Request>[] = []
  const visitOf = (response: Response): Visit => {
    const visit = (response as Carrier)[VISIT]
    if (visit === undefined) throw new OptionError('guard', 'is missing: app.use(guard) must come before its budgets')
    return visit
  }

  const enter: RequestHandler = (request, response, next) => {
    // On a Router, or in an app that is mounted in another: nothing tells of that before a request comes.
    if ((response as Carrier)[VISIT] !== undefined) {
      next(new OptionError('guard', 'this request has come through a guard already; an app and its routers have one'))
      return
    }
    const visit = inbound.enter(request.headers, () => {
      if (response.headersSent) return
      answer(response, new DeadlineError('the time for the request is over'))
      ignoreLate(response)
    })
    const health = registry.snapshot()
    visit.health = health
    ;(response as Carrier)[VISIT] = visit
    response.locals.health = production ? health : strictSnapshot(health)
    watchClose(visit, request, response)
    visit.scope.run(next)
  }

  const answer = (response: Response, error: unknown): boolean => {
    const refusal = refusalOf(error, registry.clock.random())
    if (refusal === undefined) return false
    if (response.headersSent) return response.writableEnded
    if (refusal.retryAfter !== undefined) response.setHeader('Retry-After', refusal.retryAfter)
    response.status(refusal.status).json({ error: refusal.message })
    return true
  }

  /**
   * Passes an error on with the status that it stands for; a handler of the app's own needs no knowledge of us. Not
   * after an answer: when the deadline's 504 is out, calls that the deadline ended reject too, and Express destroys the
   * connection of an answered request that comes with an error.
   */
  const refuse = (response: Response, next: NextFunction, error: unknown): void => {
    const refusal = refusalOf(error, registry.clock.random())
    if (refusal === undefined) {
      next(error)
      return
    }
    if (response.writableEnded) return
    const { status, retryAfter } = refusal
    if (retryAfter !== undefined && !response.headersSent) response.setHeader('Retry-After', retryAfter)
    next(Object.assign(error as Error, { status, statusCode: status, expose: false }))
  }

  const take = (name: string, response: Response, next: NextFunction, go: (visit: Visit) => void): void => {
    const visit = visitOf(response)
    const decide = (refused: Error | undefined): void => {
      // The body parser may have left the scope, so it is entered again.
      if (refused === undefined) visit.scope.run(() => go(visit))
      else if (!response.closed) refuse(response, next, refused)
    }
    const taken = visit.take(name)
    if (taken instanceof Promise) void taken.then(decide)
    else decide(taken)
  }

  return Object.assign(mountable(enter), {
    budget(budget: Name | { slots: number; queue?: number; maxWait?: number }): BudgetMiddleware {
      const name =
        typeof budget === 'object' ? inbound.ownBudget(budget, 'budget') : inbound.checkBudget(budget, 'budget')
      const middleware: RequestHandler = (_request, response, next) => {
        take(name, response, next, () => next())
      }
      const wrap =
        (handler: Handler): RequestHandler =>
        (request, response, next) => {
          take(name, response, next, (visit) => {
            const failed = (error: unknown): void => {
              refuse(response, next, error)
            }
            void follow(visit, () => handler(request, response, next), failed)
          })
        }
      return Object.assign(middleware, { wrap })
    },
    requires(...dependencies: string[]): RequestHandler {
      for (const name of dependencies)
        if (registry.get(name) === undefined)
          throw new OptionError('requires', `"${name}" is no dependency of the registry`)
      return (_request, response, next) => {
        const { health } = visitOf(response)
        const missing = dependencies.find((name) => health?.[name]?.available !== true)
        if (missing === undefined) next()
        else refuse(response, next, new UnavailableError(`${missing} is unavailable`, { dependency: missing }))
      }
    },
    errors(): ErrorRequestHandler {
      return (error: unknown, _request, response, next) => {
        if (!answer(response, error)) next(error)
      }
    },
    ready(): RequestHandler {
      return (_request, response) => {
        const readiness = registry.ready()
        response.status(readiness.ready ? 200 : 503).json(readiness)
      }
    },
    operator(given: OperatorOptions<Request> = {}): RequestHandler {
      const operator = new OperatorHandler<Request>(registry, inbound.budgets, given, 'operator')
      operators.push(operator)
      return (request, response) => {
        const visit = (response as Carrier)[VISIT]
        visit?.deadlines?.remove(visit)
        void operator.handle(exchangeOf(request, response))
      }
    },
    close(): void {
      inbound.finish()
      for (const operator of operators) operator.close()
    },
  })
}

/** The visit knows when its handler has settled, whatever it does. */
async function follow(visit: Visit, handle: () => unknown, failed: (error: unknown) => void): Promise<void> {
  visit.began()
  try {
    await handle()
  } catch (error) {
    failed(error)
  } finally {
    visit.settled()
  }
}

interface Mounting {
  /** Express 4. */
  _router?: { stack: { handle: RequestHandler }[] }
  /** Express 5. */
  router?: { stack: { handle: RequestHandler }[] }
}

/**
 * Express tells what looks like an app where it is mounted (`handle`, `set`, and a `mount` event). That is how a second
 * guard on one app is found when the app is built, not at its first request.
 */
function mountable(enter: RequestHandler): RequestHandler {
  return Object.assign(enter, {
    handle: enter,
    set: () => undefined,
    emit: (event: string, app: object) => {
      if (event !== 'mount') return false
      if (guarded.has(app)) throw new OptionError('guard', 'this app has a guard already')
      guarded.add(app)
      // Express has put a wrapper around it that changes the prototypes of both request and response, 15 µs a request.
      const layer = ((app as Mounting)._router ?? (app as Mounting).router)?.stack.at(-1)
      if (layer !== undefined) layer.handle = enter
      return true
    },
  })
}
