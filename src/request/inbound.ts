import * as v from 'valibot'
import type { Clock } from '../core/clock.js'
import { Deadlines } from '../core/deadlines.js'
import { OptionError } from '../core/errors.js'
import { duration, durationOrZero, flag, group, parse } from '../core/options.js'
import { Budgets } from './budgets.js'
import { inboundDeadline } from './inbound-deadline.js'
import { Scope } from './scope.js'
import { Visit } from './visit.js'

/** What both frameworks' guards are given. */
export interface InboundOptions<Registry, Name extends string> {
  registry: Registry
  /** Made with `createBudgets`. Default: none, and routes can't name any. */
  budgets?: Budgets<Name>
  /** Time for a request, ms; then 504, unless something was sent. Default 30,000. */
  deadline?: number
  /** How long after its deadline a request may keep its slot, ms. Default 5,000. */
  grace?: number
  /** With less than this left, ms, no outbound call is started. Default 5. */
  floor?: number
  /** Whether `x-envoy-expected-rq-timeout-ms` and `grpc-timeout` of inbound requests may shorten the deadline. Default false. */
  trustDeadline?: boolean
}

const schema = group({
  registry: v.custom<{ clock: Clock }>((registry) => {
    const { clock, snapshot } = Object(registry) as { clock?: unknown; snapshot?: unknown }
    return typeof clock === 'object' && typeof snapshot === 'function'
  }, 'must be a registry'),
  budgets: v.optional(v.instance(Budgets, 'must be made with createBudgets()')),
  deadline: v.optional(duration),
  grace: v.optional(duration),
  floor: v.optional(durationOrZero),
  trustDeadline: v.optional(flag),
})

const NONE = 'there are no budgets; give some made with createBudgets()'

/** Requests as they come in: deadlines of equal length share a timer, as those of outbound calls do. */
export class Inbound<Name extends string> {
  readonly budgets: Budgets<Name> | undefined
  readonly #clock: Clock
  readonly #deadline: number
  readonly #floor: number
  readonly #trust: boolean
  readonly #byLength = new Map<number, Deadlines<Visit>>()
  readonly #grace: Deadlines<Visit>

  /** @throws OptionError (`ERR_OPTION`), also when a class may wait as long as a request may take */
  constructor(options: object, path: string) {
    const given = parse(schema, options, path)
    const { clock } = given.registry
    this.#clock = clock
    this.budgets = given.budgets as Budgets<Name> | undefined
    this.#deadline = given.deadline ?? 30_000
    this.#floor = given.floor ?? 5
    this.#trust = given.trustDeadline ?? false
    this.checkDeadline(this.#deadline, `${path}.deadline`)
    this.#grace = new Deadlines<Visit>(clock, given.grace ?? 5_000, 'background', (visit) => {
      visit.reclaim()
    })
  }

  /**
   * @param budget the only one that it is to do with; default all
   * @throws OptionError for a deadline that a wait for a slot alone could use up
   */
  checkDeadline(ms: number, path: string, budget?: string): number {
    parse(duration, ms, path)
    const longest = this.budgets?.longestWait(budget)
    if (longest !== undefined && longest.maxWait >= ms)
      throw new OptionError(path, `${ms} is not more than maxWait of the class ${longest.class}, ${longest.maxWait}`)
    return ms
  }

  /** @throws OptionError for a name that is no budget's */
  checkBudget(name: unknown, path: string): Name {
    if (this.budgets === undefined) throw new OptionError(path, NONE)
    if (typeof name === 'string' && this.budgets.has(name)) return name
    throw new OptionError(
      path,
      `must be one of ${this.budgets.names.join(', ')}, got ${typeof name === 'string' ? JSON.stringify(name) : typeof name}`,
    )
  }

  /**
   * A budget of one route's own.
   *
   * @param deadline the route's, ms, where it has one of its own
   * @returns its name
   * @throws OptionError, also when a wait for one of its slots alone could use up the deadline
   */
  ownBudget(
    options: { slots: number; queue?: number; maxWait?: number },
    path: string,
    deadline = this.#deadline,
  ): string {
    if (this.budgets === undefined) throw new OptionError(path, NONE)
    return this.budgets.own(options, path, deadline)
  }

  /** A request has come; `late` runs when its deadline passes before it is answered. */
  enter(headers: Parameters<typeof inboundDeadline>[0], late: () => void, deadline = this.#deadline): Visit {
    const said = this.#trust ? inboundDeadline(headers) : undefined
    const within = said === undefined ? deadline : Math.min(deadline, Math.max(1, said))
    const visit = new Visit(this.budgets, late, new Scope(this.#clock, within, this.#floor))
    this.#deadlinesOf(within, within === deadline).add(visit, this.#clock.now())
    return visit
  }

  /** The server was closed: from now on timers end with the last request. */
  finish(): void {
    for (const deadlines of this.#byLength.values()) deadlines.finish()
    this.#grace.finish()
  }

  #deadlinesOf(ms: number, shared: boolean): Deadlines<Visit> {
    let deadlines = this.#byLength.get(ms)
    if (deadlines !== undefined) return deadlines
    const expired = (visit: Visit): void => {
      if (!visit.done) this.#grace.add(visit, this.#clock.now())
      visit.expire()
    }
    deadlines = new Deadlines<Visit>(this.#clock, ms, shared ? 'shared' : 'single', expired)
    if (shared) this.#byLength.set(ms, deadlines)
    return deadlines
  }
}
