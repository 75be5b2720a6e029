import * as v from 'valibot'
import type { Clock } from './core/clock.js'
import { ClosedError, OptionError } from './core/errors.js'
import { flag, group, oneOf, parse, text } from './core/options.js'
import type { Dependency } from './dependency.js'
import { causeOf } from './health/cause.js'
import type { History, HistoryKind } from './health/history.js'
import type { Acknowledged } from './health/monitors.js'
import { endless, parseOverride, type Mode, type SetModeOptions } from './health/override.js'
import { parseFault, type Injected, type InjectOptions } from './policies/inject.js'

/** One dependency by its name, or all that have a tag. */
export type Target = string | { tag: string }

/** Who switches a dependency's guard off, and for how long. */
export interface DisableOptions {
  /** For other operators. Default: `disabled`. */
  reason?: string
  by?: string
  /** How long, ms; `Infinity` = until enabled. Default 1,800,000 (30 min). */
  for?: number
}

/** How an operator takes a dependency back. */
export interface AcknowledgeOptions {
  by?: string
  /** For the history. */
  note?: string
  /** What is read now is right from now on: the server was replaced on purpose. Default false. */
  accept?: boolean
}

const bySchema = group({ by: v.optional(text) })
const tagSchema = group({ tag: text })
const disableSchema = group({ reason: v.optional(text), by: v.optional(text), for: v.optional(endless) })
const acknowledgeSchema = group({ by: v.optional(text), note: v.optional(text), accept: v.optional(flag) })

/** What people do to dependencies: each act is checked whole, then written down, then done. */
export class OperatorControl {
  readonly #clock: Clock
  readonly #dependencies: ReadonlyMap<string, Dependency>
  readonly #history: History
  /** Why nothing can be done any more. */
  closed = false

  constructor(clock: Clock, dependencies: ReadonlyMap<string, Dependency>, history: History) {
    this.#clock = clock
    this.#dependencies = dependencies
    this.#history = history
  }

  setMode(target: Target, mode: Mode, options: SetModeOptions): void {
    const dependencies = this.find(target)
    const override = parseOverride(parse(oneOf(['available', 'unavailable']), mode, 'mode'), options)
    for (const dependency of dependencies) {
      this.note(dependency, 'setMode', override.reason, override.by, mode)
      dependency.force(override, () => {
        this.note(dependency, 'clearMode', 'expired')
      })
    }
  }

  clearMode(target: Target, options: { by?: string }): void {
    const dependencies = this.find(target)
    const { by } = parse(bySchema, options, 'clearMode')
    for (const dependency of dependencies) {
      this.note(dependency, 'clearMode', 'cleared', by)
      dependency.clear(by)
    }
  }

  async acknowledge(name: string, options: AcknowledgeOptions): Promise<Acknowledged> {
    const dependency = this.one(name)
    const { by, note, accept = false } = parse(acknowledgeSchema, options, 'acknowledge')
    this.note(dependency, 'acknowledge', note ?? (accept ? 'what is read now is right' : 'acknowledged'), by)
    return dependency.acknowledge(accept, by)
  }

  disable(name: string, options: DisableOptions): void {
    const dependency = this.one(name)
    const { reason = 'disabled', by, for: ms = 30 * 60_000 } = parse(disableSchema, options, 'disable')
    this.note(dependency, 'disable', reason, by)
    dependency.disable(reason, by, ms, () => {
      this.note(dependency, 'enable', 'expired')
    })
  }

  enable(name: string, options: { by?: string }): void {
    const dependency = this.one(name)
    const { by } = parse(bySchema, options, 'enable')
    this.note(dependency, 'enable', 'enabled', by)
    dependency.enable(by)
  }

  inject(target: Target, options: InjectOptions): Injected {
    const dependencies = this.find(target)
    const fault = parseFault(options)
    if (dependencies.some(({ disabled }) => disabled))
      throw new OptionError('inject', 'nothing is injected into what is disabled')
    const { text: what, reason, by } = fault
    const ends = dependencies.map((dependency) => {
      this.note(dependency, 'inject', reason === undefined ? what : `${what}: ${reason}`, by)
      return dependency.startInjecting(fault, (why, by) => {
        this.note(dependency, 'stopInjecting', `${why}: ${what}`, by)
      })
    })
    const stop = (options: { by?: string } = {}): void => {
      const { by } = parse(bySchema, options, 'stop')
      for (const end of ends) end('stopped', by)
    }
    return {
      stop,
      [Symbol.dispose]: () => {
        stop()
      },
    }
  }

  stopInjecting(target: Target, options: { by?: string }): void {
    const dependencies = this.find(target)
    const { by } = parse(bySchema, options, 'stopInjecting')
    for (const dependency of dependencies) dependency.stopInjecting(by)
  }

  remark(name: string, remark: string, options: { by?: string }): void {
    const dependency = this.one(name)
    const { by } = parse(bySchema, options, 'note')
    this.note(dependency, 'note', parse(text, remark, 'text'), by)
  }

  /** Into the history. */
  note(dependency: Dependency, kind: HistoryKind, reason: string, by?: string, mode = dependency.mode): void {
    this.#history.add({
      at: this.#clock.wall(),
      dependency: dependency.name,
      kind,
      mode,
      cause: Object.freeze(causeOf('operator', reason, by)),
    })
  }

  /** @throws OptionError (`ERR_OPTION`) for an unknown one; ClosedError (`ERR_CLOSED`), also for one closed by itself */
  one(name: string): Dependency {
    if (this.closed) throw new ClosedError('the registry was closed')
    const dependency = this.#dependencies.get(name)
    if (dependency === undefined) throw new OptionError('name', 'there is no dependency of that name')
    if (dependency.closed !== undefined) throw dependency.closed
    return dependency
  }

  /** @throws the same; a tag that nothing open has is most likely misspelled */
  find(target: Target): Dependency[] {
    if (typeof target === 'string') return [this.one(target)]
    if (this.closed) throw new ClosedError('the registry was closed')
    const { tag } = parse(tagSchema, target, 'target')
    const found = [...this.#dependencies.values()].filter(
      ({ tags, closed }) => closed === undefined && tags.includes(tag),
    )
    if (found.length === 0) throw new OptionError('tag', `no dependency is tagged ${JSON.stringify(tag)}`)
    return found
  }
}
