import pLimit, { type LimitFunction } from 'p-limit'
import { Agenda } from './agenda.js'
import type { Clock } from './clock.js'

/** How many pieces of background work of one kind run at once, however many are due. */
const LANES = 10

/** What is done in the background. Each kind has lanes of its own, so that a thousand hung probes hold up no invariant. */
export type BackgroundKind = 'probe' | 'invariant' | 'refresh' | 'file'

/** Where the background work of a registry is done. One timer, a few lanes. */
export class Background {
  readonly clock: Clock
  readonly agenda: Agenda
  readonly #lanes = new Map<BackgroundKind, LimitFunction>()

  constructor(clock: Clock) {
    this.clock = clock
    this.agenda = new Agenda(clock)
  }

  /** Runs `work`, which must bound itself, in the next lane of its kind that is free. */
  run<T>(kind: BackgroundKind, work: () => Promise<T>): Promise<T> {
    let lanes = this.#lanes.get(kind)
    if (lanes === undefined) this.#lanes.set(kind, (lanes = pLimit(LANES)))
    return lanes(work)
  }

  close(): void {
    this.agenda.close()
    for (const lanes of this.#lanes.values()) lanes.clearQueue()
  }
}
