import { Invariants } from '../../src/health/invariants.js'
import type { InvariantStore } from '../../src/health/invariant-store.js'
import { ManualClock } from '../../src/testing.js'
import { gate, type Gate } from './gate.js'

export interface Watching {
  clock: ManualClock
  invariants: Invariants
  /** What was told of results that broke an invariant. */
  violations: string[]
  reported: unknown[]
}

/** The invariants of one dependency, as one process has them. */
export function watching(clock: ManualClock = new ManualClock(), dependency = 'db'): Watching {
  const violations: string[] = []
  const reported: unknown[] = []
  const invariants = new Invariants({
    dependency,
    clock,
    report: (error) => reported.push(error),
    onViolation: (reason) => violations.push(reason),
  })
  return { clock, invariants, violations, reported }
}

/** A store that answers at once, until it is told to fail or to hang. */
export class MemoryStore implements InvariantStore {
  readonly data = new Map<string, string>()
  readonly log: string[] = []
  error: Error | undefined
  /** Each access waits for the test to open its gate. */
  gates: Gate<void>[] | undefined

  async get(key: string): Promise<string | undefined> {
    this.log.push('get')
    await this.#access()
    return this.data.get(key)
  }

  async set(key: string, value: string): Promise<void> {
    this.log.push('set')
    await this.#access()
    this.data.set(key, value)
  }

  async #access(): Promise<void> {
    if (this.gates !== undefined) {
      const access = gate()
      this.gates.push(access)
      await access.promise
    }
    if (this.error !== undefined) throw this.error
  }
}
