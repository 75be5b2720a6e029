import { kindOf } from '../core/comparable.js'
import { InvariantState, type Finding, type InvariantHost } from './invariant-state.js'
import type { Check } from './invariant-definition.js'

/** A user's own check. Remembers nothing. */
export class CheckState extends InvariantState {
  readonly #definition: Check

  constructor(host: InvariantHost, definition: Check) {
    super(host, definition)
    this.#definition = definition
    this.timeout = definition.timeout
    this.every = definition.every
  }

  async poll(signal?: AbortSignal): Promise<Finding> {
    const answer: unknown = await this.read(this.#definition.check, signal)
    if (answer === true) return 'holds'
    if (answer === false) return this.violation('the check said no')
    // Most likely a forgotten `return`, which must not pass for either.
    throw new TypeError(`${this.name}: a check must give true or false, got ${kindOf(answer)}`)
  }
}
