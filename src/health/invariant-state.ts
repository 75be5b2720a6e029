import type { Clock } from '../core/clock.js'
import { InvariantError, OptionError } from '../core/errors.js'
import { kindOf } from '../core/comparable.js'
import { readWithin } from './invariant-read.js'
import { StoreKey, type InvariantStore } from './invariant-store.js'
import type { Invariant, Read } from './invariant-definition.js'
import type { Memory } from './invariant-memory.js'

/** What an invariant is told of the dependency that it watches. */
export interface InvariantHost {
  readonly dependency: string
  readonly clock: Clock
  /** What went wrong beside the question whether it holds: the store. */
  readonly report: (error: unknown) => void
  /** In band; after it the result is withheld. Says nothing private. */
  readonly onViolation: (reason: string, invariant: string) => void
}

/** What came of looking. */
export type Finding = 'holds' | { readonly violation: string }

/**
 * Runs an operation once and hands on its result if it keeps to the invariant. The context's signal is looked at only
 * after a wait for the store: an operation that nobody waits for any more is not started.
 */
export type CheckedRun<R> = (work: () => R | PromiseLike<R>, context?: { readonly signal: AbortSignal }) => Promise<R>

type Keeper = Pick<Memory<never>, 'key' | 'keepIn'>

/** One invariant of one dependency, for all that share it by its name. */
export abstract class InvariantState {
  readonly name: string
  readonly kind: Invariant['kind']
  protected readonly host: InvariantHost
  /** Time between two polls, ms; undefined when it is not polled. */
  every: number | undefined
  protected timeout = 0

  constructor(host: InvariantHost, { name, kind }: Invariant) {
    this.host = host
    this.name = name
    this.kind = kind
  }

  /**
   * Whether it holds; with nothing to read, nothing speaks against it. The reason of a violation says nothing private.
   * Rejects when the question stays open: nothing could be read in time, or `signal` aborted.
   */
  abstract poll(signal?: AbortSignal): Promise<Finding>

  /** The same, but takes what is read for the new baseline: another server answers, on purpose. */
  accept(signal?: AbortSignal): Promise<Finding> {
    return this.poll(signal)
  }

  protected read<T>(read: Read<T>, signal: AbortSignal | undefined): Promise<T> {
    const { host, name, timeout } = this
    return readWithin(read, { clock: host.clock, dependency: host.dependency, name, timeout, signal })
  }

  protected violation(reason: string): { violation: string } {
    return { violation: `${this.name}: ${reason}` }
  }

  /** For a value that nothing can be compared with. */
  protected notComparable(value: unknown): { violation: string } {
    return this.violation(`the value is not comparable (${kindOf(value)})`)
  }

  protected kindChanged(from: string, to: string): { violation: string } {
    return this.violation(`the value's kind changed from ${from} to ${to}`)
  }

  /** An operator has accepted a baseline, and what was read meanwhile may be the other server's. */
  protected moved(): Error {
    return new Error(`${this.name}: the baseline changed while it was read`)
  }

  protected beginPolling(every: number, path: string): void {
    if (this.every !== undefined) throw new OptionError(path, `${JSON.stringify(this.name)} is polled already`)
    this.every = every
  }

  /** Keeps the value in a store; two definitions of one name may not disagree on it. */
  protected keepIn(memory: Keeper, store: InvariantStore | undefined, timeout: number, path: string): void {
    if (store === undefined || store === memory.key?.store) return
    if (memory.key !== undefined) throw new OptionError(path, `${JSON.stringify(this.name)} already has another store`)
    const { clock, dependency } = this.host
    memory.keepIn(new StoreKey(clock, store, dependency, this.name, timeout))
  }

  /** A result that broke it: told once, and withheld. */
  protected broken({ violation }: { violation: string }): InvariantError {
    const { dependency, onViolation, report } = this.host
    try {
      onViolation(violation, this.name)
    } catch (error) {
      report(error)
    }
    return new InvariantError(`${dependency}: ${violation}; the result was withheld`, { dependency })
  }

  /** A result of which it can't be told whether it keeps to it. Nothing is known against the dependency. */
  protected undecided(why: string, cause?: { cause: unknown }): InvariantError {
    const { dependency } = this.host
    return new InvariantError(`${dependency}: ${this.name}: ${why}`, { dependency, ...cause })
  }

  /** Picks the value out of a result. */
  protected pick<R>(of: ((result: R) => unknown) | undefined, result: R): unknown {
    if (of === undefined) return result
    try {
      return of(result)
    } catch (cause) {
      throw this.undecided('`of` threw; the result was withheld', { cause })
    }
  }
}
