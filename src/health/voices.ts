import { causeOf, decide, type Cause, type CauseKind, type Signal, type Signals } from './cause.js'
import type { Mode } from './override.js'

/** Who has a say in a dependency's mode, what each asks for at present, and whose word holds. */
export class Voices {
  /** With `false` only people are obeyed; the others are heard and reported. */
  enforce: boolean
  readonly #signals: Signals = {}

  constructor(enforce: boolean) {
    this.enforce = enforce
  }

  /** The word that holds; undefined while nobody speaks who is obeyed. */
  get ruling(): Signal | undefined {
    return decide(this.#obeyed)
  }

  get mode(): Mode {
    return this.ruling?.mode ?? 'available'
  }

  /** What it would be without an operator, and if it were obeyed. */
  get wouldBe(): Mode {
    const { parent, invariant, traffic, probe } = this.#signals
    return (parent ?? invariant ?? traffic ?? probe)?.mode ?? 'available'
  }

  of(kind: CauseKind): Signal | undefined {
    return this.#signals[kind]
  }

  speak(mode: Mode, cause: Cause): Signal {
    return (this.#signals[cause.kind] = { mode, cause })
  }

  /** It still speaks, but only until somebody has looked whether it may fall silent. */
  waive(kind: CauseKind, { reason, by }: Cause, why: string): Signal {
    const cause = causeOf(kind, `${reason}; ${why}`, by)
    return (this.#signals[kind] = { mode: 'unavailable', cause, waived: true })
  }

  silence(kind: CauseKind): void {
    this.#signals[kind] = undefined
  }

  /** Whether all would be well if `kind` fell silent. */
  isLast(kind: CauseKind): boolean {
    return decide({ ...this.#obeyed, [kind]: undefined }) === undefined
  }

  get #obeyed(): Signals {
    if (this.enforce) return this.#signals
    const { closed, drain, disabled, operator } = this.#signals
    return { closed, drain, disabled, operator }
  }
}

/** The circuit's own word, which anybody else outranks. */
export function isCircuits(ruling: Signal): boolean {
  return ruling.cause.kind === 'traffic' || ruling.cause.kind === 'probe'
}
