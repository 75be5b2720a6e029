import type { IncomingMessage, ServerResponse } from 'node:http'
import * as v from 'valibot'
import { bound } from './core/bound.js'
import { OptionError } from './core/errors.js'
import { fn, group, parse, text } from './core/options.js'
import { Asked, type OperatorAction, type OperatorTarget } from './operator/actions.js'
import { Departure } from './operator/departure.js'
import { Leases, type LeaseEnd } from './operator/leases.js'
import { readBody } from './operator/read-body.js'
import { Refused, refusalBody, type OperatorAnswer } from './operator/refused.js'
import { isForeign, isLoopback } from './operator/same-origin.js'
import type { Registry } from './registry.js'
import type { Budgets } from './request/budgets.js'

/** How long `authorize` may take, ms. */
const PATIENCE = 10_000

/** `false` = he may not; else who he is, which goes before what the body says. `{}` = he may, under that name. */
export type Authorized = false | string | { by?: string }

export interface OperatorOptions<Request> {
  /**
   * Whether whoever sent the request may do this to that; may be async, for 10 s. When it throws, nothing is done.
   * Required unless `NODE_ENV` is `development`, where without it only this machine is served.
   */
  authorize?: (asked: {
    readonly action: OperatorAction
    readonly target: OperatorTarget
    readonly request: Request
  }) => Authorized | Promise<Authorized>
  /** Hears of every action that was asked for, refused ones too. What it throws goes to the registry's `error`. */
  audit?: (entry: AuditEntry) => unknown
}

/** One line of the audit: what is in nobody's body but the operator's is not in it. */
export interface AuditEntry {
  /** Wall time, ms. */
  readonly at: number
  /** Absent where it was refused before it was read. */
  readonly action?: OperatorAction
  readonly target?: OperatorTarget
  /** Who he was found to be; where nobody said, who he says that he is. Absent when he was refused. */
  readonly by?: string
  /** `ended`: a drain's lease ended without being given back; it had expired, or whoever asked for it had gone. */
  readonly outcome: 'done' | 'refused' | 'failed' | 'ended'
  /** Of the answer; absent where nobody was there to have one. */
  readonly status?: number
}

/** A request of an operator's, as a framework hands it over. */
export interface OperatorExchange<Request> {
  /** The framework's own. */
  readonly request: Request
  readonly raw: IncomingMessage
  readonly response: ServerResponse
  /** What it was sent to, scheme and host, as far as the framework trusts proxies. */
  readonly own: string
  /** The stream if it was not read yet, or what a parser made of it. */
  readonly body: unknown
  /** @returns whether it is the answer: somebody else may have given one */
  readonly send: (answer: OperatorAnswer) => boolean
}

/** What becomes known of a request while it is looked at. */
interface Known {
  action?: OperatorAction
  target?: OperatorTarget
  by?: string
}

const authorizedSchema = v.union(
  [v.literal(false), text, group({ by: v.optional(text) })],
  'must give false, a name, or { by }',
)

/**
 * The actions of operators over HTTP: POST and JSON only, from the same origin if it is a browser, authorised one by
 * one, and audited.
 */
export class OperatorHandler<Request> {
  readonly #registry: Registry
  readonly #budgets: Budgets | undefined
  readonly #options: OperatorOptions<Request>
  readonly #leases: Leases

  /** @throws OptionError (`ERR_OPTION`), also outside development without `authorize` */
  constructor(registry: Registry, budgets: Budgets | undefined, options: OperatorOptions<Request>, path: string) {
    type Options = OperatorOptions<Request>
    const schema = group({
      authorize: v.optional(fn<NonNullable<Options['authorize']>>()),
      audit: v.optional(fn<NonNullable<Options['audit']>>()),
    })
    this.#options = parse(schema, options, path) as Options
    if (this.#options.authorize === undefined && process.env.NODE_ENV !== 'development')
      throw new OptionError(`${path}.authorize`, 'is required, unless NODE_ENV is development')
    this.#registry = registry
    this.#budgets = budgets
    this.#leases = new Leases(registry.clock, (name, by, why) => {
      this.#ended(name, by, why)
    })
  }

  /** Never rejects. Sends nothing when somebody else has, or when the client has gone. */
  async handle(exchange: OperatorExchange<Request>): Promise<void> {
    const { raw, response, send } = exchange
    const departure = new Departure(raw, response)
    const known: Known = {}
    const answer = await this.#answer(exchange, departure.signal, known)
    let sent = false
    try {
      sent = departure.answer(() => send(answer))
    } catch (error) {
      this.#registry.report(error, 'operator')
    }
    if (known.action !== undefined || answer.status === 403) this.#audit(known, answer, !sent)
  }

  /** Lets go of the drains that are held, and of timers. */
  close(): void {
    this.#leases.close()
  }

  async #answer(exchange: OperatorExchange<Request>, gone: AbortSignal, known: Known): Promise<OperatorAnswer> {
    const headers: Record<string, string> = { 'Cache-Control': 'no-store' }
    try {
      return { status: 200, headers, body: { ok: true, ...(await this.#done(exchange, gone, known)) } }
    } catch (error) {
      const refusal = refusalBody(error)
      if (refusal === undefined && !gone.aborted) this.#registry.report(error, 'operator')
      const { status, error: told, more } = refusal ?? { status: 500, error: 'Internal Server Error' }
      if (status === 405) headers.Allow = 'POST'
      // The rest of the body would be read to its end first.
      if ((status === 413 || status === 408) && exchange.raw.httpVersionMajor === 1) headers.Connection = 'close'
      return { status, headers, body: { ok: false, error: told, ...more } }
    }
  }

  async #done(exchange: OperatorExchange<Request>, gone: AbortSignal, known: Known): Promise<object> {
    const { raw, own, body } = exchange
    if (raw.method !== 'POST') throw new Refused(405, 'POST only')
    if (isForeign(raw.headers, own))
      throw new Refused(403, `sent by a page of another origin than ${own}; behind a proxy, trust it in the framework`)
    if (!/^application\/json\s*(;|$)/i.test(raw.headers['content-type'] ?? '')) throw new Refused(415, 'JSON only')
    const asked = new Asked(await readBody(this.#registry.clock, body), (action) => (known.action = action))
    known.target = asked.target
    await this.#authorize(exchange, asked)
    if (asked.by !== undefined) known.by = asked.by
    const names = this.#namesOf(asked.target)
    const registry = this.#registry
    const result = await asked.run({ registry, budgets: this.#budgets, leases: this.#leases, gone })
    if (names === undefined) return result
    return { ...result, modes: Object.fromEntries(names.map((name) => [name, registry.get(name)!.mode])) }
  }

  async #authorize({ request, raw, own }: OperatorExchange<Request>, asked: Asked): Promise<void> {
    const { authorize } = this.#options
    if (authorize === undefined) {
      if (!isLoopback(own, raw.socket.remoteAddress))
        throw new Refused(403, 'without authorize, from this machine only')
      return
    }
    const { action, target } = asked
    const ask = async (): Promise<Authorized> =>
      parse(authorizedSchema, await authorize({ action, target, request }), 'authorize') as Authorized
    let authorized: Authorized
    try {
      authorized = await bound(this.#registry.clock, ask(), PATIENCE, () => {
        throw new Error(`authorize took longer than ${PATIENCE} ms`)
      })
    } catch (error) {
      this.#registry.report(error, 'authorize')
      throw new Refused(500, 'Internal Server Error')
    }
    if (authorized === false) throw new Refused(403, 'Forbidden')
    const by = typeof authorized === 'string' ? authorized : authorized.by
    if (by !== undefined) asked.signed(by)
  }

  /** @returns the dependencies concerned, or undefined for a budget */
  #namesOf(target: OperatorTarget): string[] | undefined {
    if ('budget' in target) {
      if (this.#budgets?.has(target.budget) === true) return undefined
      throw new Refused(404, 'there is no budget of that name')
    }
    const registry = this.#registry
    if ('name' in target) {
      if (registry.get(target.name) !== undefined) return [target.name]
      throw new Refused(404, 'there is no dependency of that name')
    }
    const all = registry.snapshot().list()
    const tagged = all.map(({ name }) => name).filter((name) => registry.get(name)!.tags.includes(target.tag))
    if (tagged.length > 0) return tagged
    throw new Refused(404, 'no dependency has that tag')
  }

  #ended(name: string, by: string | undefined, why: LeaseEnd): void {
    const because = {
      expired: 'its lease had expired',
      gone: 'whoever asked for it had gone',
      closed: 'the app closed',
    }
    try {
      this.#registry.note(name, `a drain was ended: ${because[why]}`)
    } catch {
      // Closed: nothing is drained any more.
    }
    this.#tell({ action: 'drain', target: { name }, ...(by === undefined ? {} : { by }), outcome: 'ended' })
  }

  #audit({ by, ...known }: Known, { status }: OperatorAnswer, gone: boolean): void {
    const outcome = status === 200 ? 'done' : status === 403 ? 'refused' : 'failed'
    this.#tell({
      ...known,
      ...(by === undefined ? {} : { by }),
      outcome,
      ...(gone ? {} : { status }),
    })
  }

  #tell(entry: Omit<AuditEntry, 'at'>): void {
    const { audit } = this.#options
    if (audit === undefined) return
    const failed = (error: unknown): void => {
      this.#registry.report(error, 'audit')
    }
    try {
      Promise.resolve(audit(Object.freeze({ at: this.#registry.clock.wall(), ...entry }))).catch(failed)
    } catch (error) {
      failed(error)
    }
  }
}
