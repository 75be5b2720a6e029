import { OptionError } from '../core/errors.js'
import { CheckState } from './check-state.js'
import { DriftState } from './drift-state.js'
import { IdentityState } from './identity-state.js'
import type { CheckedRun, InvariantHost, InvariantState } from './invariant-state.js'
import type { Identity, InBandInvariant, Invariant, Monotonic } from './invariant-definition.js'
import { MonotonicState } from './monotonic-state.js'

/** The invariants of one dependency. Those of one name are one, polled or in band, in however many operations. */
export class Invariants {
  readonly #host: InvariantHost
  readonly #states = new Map<string, InvariantState>()

  constructor(host: InvariantHost) {
    this.#host = host
  }

  /** All that were polled or given to an operation so far. */
  get states(): readonly InvariantState[] {
    return [...this.#states.values()]
  }

  get(name: string): InvariantState | undefined {
    return this.#states.get(name)
  }

  /**
   * One to poll.
   * @throws OptionError (`ERR_OPTION`) when it contradicts one of the same name
   */
  polled(definition: Invariant, path: string): InvariantState {
    switch (definition.kind) {
      case 'monotonic':
        return this.#monotonic(definition, path, true)
      case 'identity':
        return this.#identity(definition, path, true)
      case 'drift':
        return this.#add(new DriftState(this.#host, definition), path)
      case 'check':
        return this.#add(new CheckState(this.#host, definition), path)
    }
  }

  /**
   * One that checks an operation's results.
   * @throws OptionError (`ERR_OPTION`) when it contradicts one of the same name
   */
  inBand<R>(definition: InBandInvariant<R>, path: string): CheckedRun<R> {
    return definition.kind === 'monotonic'
      ? this.#monotonic(definition, path, false).inBand(definition)
      : this.#identity(definition, path, false).inBand(definition)
  }

  #monotonic<R>(definition: Monotonic<R>, path: string, polled: boolean): MonotonicState {
    const held = this.#states.get(definition.name)
    if (held !== undefined && !(held instanceof MonotonicState)) throw this.#taken(held, path)
    const state = held ?? new MonotonicState(this.#host, definition)
    state.join(definition, path, polled)
    this.#states.set(state.name, state)
    return state
  }

  #identity<R>(definition: Identity<R>, path: string, polled: boolean): IdentityState {
    const held = this.#states.get(definition.name)
    if (held !== undefined && !(held instanceof IdentityState)) throw this.#taken(held, path)
    const state = held ?? new IdentityState(this.#host, definition)
    state.join(definition, path, polled)
    this.#states.set(state.name, state)
    return state
  }

  #add(state: InvariantState, path: string): InvariantState {
    const held = this.#states.get(state.name)
    if (held !== undefined) throw this.#taken(held, path)
    this.#states.set(state.name, state)
    return state
  }

  #taken({ name, kind }: InvariantState, path: string): OptionError {
    return new OptionError(path, `${JSON.stringify(name)} is already the name of an invariant (${kind})`)
  }
}
