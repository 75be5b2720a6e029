import * as v from 'valibot'
import { OptionError } from '../core/errors.js'
import { count, duration, durationOrZero, flag, group, oneOf, parse, ratio, text } from '../core/options.js'
import type { DrainOptions } from '../drain.js'
import type { Registry } from '../registry.js'
import type { Budgets } from '../request/budgets.js'
import type { Leases } from './leases.js'

/** What an action is done to: one dependency, all that have a tag, or a class of routes. */
export type OperatorTarget = { readonly name: string } | { readonly tag: string } | { readonly budget: string }

/** Where actions are done. */
export interface Desk {
  readonly registry: Registry
  readonly budgets: Budgets | undefined
  readonly leases: Leases
  /** Aborts when the operator has left without his answer. */
  readonly gone: AbortSignal
}

/** Nothing is there that was not given: JSON knows no `undefined`. */
type Given<T> = { [Name in keyof T]: Exclude<T[Name], undefined> }
type Done = object | undefined

interface Action {
  readonly schema: v.GenericSchema
  readonly run: (desk: Desk, fields: never) => Done | Promise<Done>
}

function action<const Entries extends v.ObjectEntries>(
  entries: Entries,
  run: (desk: Desk, fields: Given<v.InferOutput<v.StrictObjectSchema<Entries, undefined>>>) => Done | Promise<Done>,
): Action {
  return { schema: group(entries), run }
}

const by = v.optional(text)
const one = { name: text, by }
const some = { name: v.optional(text), tag: v.optional(text), by }
const budget = { budget: text, by }
/** JSON has no `Infinity`, and for ever must be said. */
const lasting = v.optional(
  v.union(
    [
      v.pipe(
        v.literal('forever'),
        v.transform(() => Infinity),
      ),
      duration,
    ],
    'must be milliseconds, more than 0, or "forever"',
  ),
)

const status = v.pipe(
  count,
  v.check((n) => n <= 599, 'must be an HTTP status'),
)

/** All that can be asked for, and the fields of each. */
const actions = {
  setMode: action(
    {
      ...some,
      mode: oneOf(['available', 'unavailable']),
      reason: text,
      notice: v.optional(text),
      for: lasting,
    },
    ({ registry }, { name, tag, mode, ...options }) => {
      registry.setMode(name ?? { tag: tag! }, mode, options)
    },
  ),
  clearMode: action(some, ({ registry }, { name, tag, ...options }) => {
    registry.clearMode(name ?? { tag: tag! }, options)
  }),
  acknowledge: action(
    { ...one, note: v.optional(text), accept: v.optional(flag) },
    ({ registry }, { name, ...options }) => registry.acknowledge(name, options),
  ),
  disable: action({ ...one, reason: v.optional(text), for: lasting }, ({ registry }, { name, ...options }) => {
    registry.disable(name, options)
  }),
  enable: action(one, ({ registry }, { name, ...options }) => {
    registry.enable(name, options)
  }),
  inject: action(
    {
      ...some,
      error: v.optional(text),
      status: v.optional(status),
      value: v.optional(v.unknown()),
      hang: v.optional(flag),
      delay: v.optional(duration),
      rate: v.optional(ratio),
      for: duration,
      class: v.optional(text),
      reason: v.optional(text),
      allowProduction: v.optional(flag),
    },
    ({ registry }, { name, tag, error, status, ...options }) => {
      const thrown = error === undefined && status === undefined ? {} : { error: () => failing(error, status) }
      registry.inject(name ?? { tag: tag! }, { ...options, ...thrown })
    },
  ),
  stopInjecting: action(some, ({ registry }, { name, tag, ...options }) => {
    registry.stopInjecting(name ?? { tag: tag! }, options)
  }),
  note: action({ ...one, text }, ({ registry }, { name, text: remark, ...options }) => {
    registry.note(name, remark, options)
  }),
  drain: action(
    {
      ...one,
      reason: v.optional(text),
      timeout: v.optional(duration),
      grace: v.optional(durationOrZero),
      token: v.optional(text),
      for: v.optional(duration),
    },
    drain,
  ),
  release: action({ ...one, token: text }, ({ leases }, { name, token, by }) => {
    leases.release(name, token, by)
  }),
  pause: action({ ...budget, reason: text, for: lasting }, ({ budgets }, { budget: name, ...options }) => {
    budgets!.pause(name, options)
  }),
  resume: action(budget, ({ budgets }, { budget: name, by }) => {
    budgets!.resume(name, by === undefined ? {} : { by })
  }),
} satisfies Record<string, Action>

/** As it would come from a client of HTTP's. */
function failing(message = 'an injected error', status?: number): Error {
  return Object.assign(new Error(message), status === undefined ? {} : { status })
}

/** The names of the actions. */
export type OperatorAction = keyof typeof actions

const names = Object.keys(actions) as OperatorAction[]

interface DrainFields extends Partial<DrainOptions> {
  name: string
  token?: string
  for?: number
}

/** With the token of an earlier one: keeps that. */
async function drain({ registry, leases, gone }: Desk, fields: DrainFields): Promise<object> {
  const { name, token, for: ms = 10 * 60_000, ...options } = fields
  if (token !== undefined) {
    const beside = (['reason', 'timeout', 'grace'] as const).find((option) => option in options)
    if (beside !== undefined) throw new OptionError(`drain.${beside}`, 'does not go with a token, which renews a lease')
    return leases.renew(name, token, ms)
  }
  const drained = await registry.get(name)!.drain({ ...options, signal: gone } as DrainOptions)
  const lease = leases.grant(name, drained, ms, options.by)
  const end = (): void => {
    leases.end(lease.token, 'gone')
  }
  if (gone.aborted) end()
  else gone.addEventListener('abort', end, { once: true })
  return lease
}

type Fields = Record<string, unknown> & { by?: string }

/** One action that was asked for, in a body that was checked. */
export class Asked {
  readonly action: OperatorAction
  readonly target: OperatorTarget
  readonly #fields: Fields

  /** @param named told as soon as it is known which action it is */
  constructor(body: unknown, named: (action: OperatorAction) => void) {
    if (typeof body !== 'object' || body === null || Array.isArray(body))
      throw new OptionError('body', 'must be an object with an "action"')
    const { action: wanted, ...rest } = body as { action?: unknown }
    this.action = parse(oneOf(names), wanted, 'action')
    named(this.action)
    this.#fields = parse(actions[this.action].schema, rest, this.action) as Fields
    this.target = targetOf(this.action, this.#fields)
  }

  /** Who does it: who he was found to be, or else who he says that he is. */
  get by(): string | undefined {
    return this.#fields.by
  }

  /** He was found to be somebody, whatever he says. */
  signed(name: string): void {
    this.#fields.by = name
  }

  async run(desk: Desk): Promise<object> {
    return (await actions[this.action].run(desk, this.#fields as never)) ?? {}
  }
}

function targetOf(action: OperatorAction, fields: Record<string, unknown>): OperatorTarget {
  const { name, tag, budget } = fields as { name?: string; tag?: string; budget?: string }
  if (budget !== undefined) return { budget }
  if (name !== undefined && tag === undefined) return { name }
  if (tag !== undefined && name === undefined) return { tag }
  throw new OptionError(`${action}.name`, 'is required, or else "tag": one of them')
}
