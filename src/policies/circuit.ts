import type { Attempt } from '../core/attempt.js'
import { OptionError } from '../core/errors.js'
import { GATE, type Gate, type Gated } from '../core/gate.js'
import type { Departure, Guard, Outcome } from '../core/guard.js'
import type { GuardPolicy } from '../core/policy.js'
import type { Tally } from '../core/tally.js'

/** Lets attempts through or not, and tells what came of them. The verdict behind the gate decides. */
export class Circuit implements Guard {
  readonly kind = 'circuit'
  readonly #gate: Gate
  readonly #tally: Tally

  constructor(gate: Gate, tally: Tally) {
    this.#gate = gate
    this.#tally = tally
  }

  enter(attempt: Attempt): Error | undefined {
    let refusal: Error | undefined
    if (this.#gate.closed) attempt.generation = this.#gate.generation
    else refusal = this.#gate.admit(attempt)
    this.#tally.fired(attempt)
    if (refusal !== undefined) this.#tally.rejected(attempt)
    return refusal
  }

  resume(attempt: Attempt): Error | undefined {
    const refusal = this.#gate.readmit(attempt)
    if (refusal !== undefined) this.#tally.rejected(attempt)
    return refusal
  }

  settle(attempt: Attempt, outcome: Outcome): void {
    if (outcome === 'refused' || outcome === 'cancelled') {
      if (outcome === 'cancelled') this.#tally.add('aborts', attempt)
      this.#decideNothing(attempt)
    } else if (attempt.sampled) this.#tally.add('lates', attempt)
    else {
      attempt.sampled = true
      this.#sample(attempt, outcome, attempt.endedAt - attempt.startedAt)
      if (outcome === 'success') this.#tally.succeeded(attempt)
      else this.#tally.add(outcome === 'failure' ? 'failures' : 'ignored', attempt)
    }
  }

  abandon(attempt: Attempt, why: Departure): void {
    attempt.sampled = true
    if (why === 'aborted') {
      this.#decideNothing(attempt)
      this.#tally.add('aborts', attempt)
      return
    }
    this.#sample(attempt, why, attempt.call.pipeline.clock.now() - attempt.startedAt)
    if (why === 'timeout') {
      this.#tally.add('timeouts', attempt)
      this.#tally.add('failures', attempt)
    } else this.#tally.add('cuts', attempt)
  }

  #sample(attempt: Attempt, sample: Parameters<Gate['sample']>[1], took: number): void {
    if (attempt.call.pipeline.counts) this.#gate.sample(attempt, sample, took)
    else this.#decideNothing(attempt)
  }

  #decideNothing(attempt: Attempt): void {
    if (attempt.trial) this.#gate.giveBack(attempt)
  }
}

/**
 * For `compose`: the circuit of a dependency. It has no opinion of its own: the dependency's verdict decides, and what
 * comes of each attempt is told to it.
 *
 * @throws OptionError (`ERR_OPTION`) for anything but a dependency
 * @example
 * compose([], [circuit(registry.dependency('feed')), timeout(500)])(load)
 */
export function circuit(dependency: Gated): GuardPolicy {
  if (!(Object(dependency) === dependency && GATE in dependency))
    throw new OptionError('circuit', 'must be given a dependency of a registry')
  const { gate, tally, inFlight } = dependency[GATE]
  return { role: 'guard', kind: 'circuit', gate, inFlight, make: () => new Circuit(gate, tally) }
}
