import pLimit from 'p-limit'
import { Agenda } from './agenda.js'
import type { Clock } from './clock.js'

/** How many pieces of background work run at once, however many are due. */
const LANES = 10

/** Where the background work of a registry is done: probes, invariants, refreshes. One timer, a few lanes. */
export class Background {
  readonly clock: Clock
  readonly agenda: Agenda
  readonly #lanes = pLimit(LANES)

  constructor(clock: Clock) {
    this.clock = clock
    this.agenda = new Agenda(clock)
  }

  /** Runs `work`, which must bound itself, in the next lane that is free. */
  run(work: () => Promise<void>): Promise<void> {
    return this.#lanes(work)
  }

  close(): void {
    this.agenda.close()
    this.#lanes.clearQueue()
  }
}
