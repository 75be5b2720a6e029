import type { Deadlines, Timed } from '../core/deadlines.js'
import { BudgetExhaustedError, CofferdamError, DeadlineError } from '../core/errors.js'
import { BudgetPermit, type Budgets } from './budgets.js'
import type { Scope } from './scope.js'

/** What is asked of a snapshot. */
interface Modes {
  readonly [name: string]: { readonly available: boolean } | undefined
}

/**
 * One inbound request: its scope, and its slot of a budget. The slot is given back once, when the response is closed
 * *and* the handler has settled. Either alone is wrong: released on close alone, 34 handlers ran at once in 5 slots;
 * on the framework's own "response sent", 5 of 5 leaked when clients went.
 */
export class Visit implements Timed<Visit> {
  readonly scope: Scope
  /** The modes of all dependencies as they were when it came. */
  health: Modes | undefined = undefined
  due = 0
  deadlines: Deadlines<Visit> | undefined = undefined
  sooner: Visit | undefined = undefined
  later: Visit | undefined = undefined
  readonly #budgets: Budgets | undefined
  readonly #late: () => void
  #permit: BudgetPermit | undefined
  #handlers = 0
  #closed = false
  #expired = false
  #leaveLine: (() => void) | undefined

  /** @param late runs when its deadline passes before it is answered */
  constructor(budgets: Budgets | undefined, late: () => void, scope: Scope) {
    this.#budgets = budgets
    this.#late = late
    this.scope = scope
  }

  /** The class whose slot it holds. */
  get budget(): string | undefined {
    return this.#permit?.class
  }

  /** Closed, and its handlers have settled. */
  get done(): boolean {
    return this.#closed && this.#handlers <= 0
  }

  /**
   * Takes a slot of a budget, in place of one that it holds already: the innermost budget wins.
   *
   * @returns nothing when it has the slot; an error when it is refused; or a promise that says so later
   */
  take(budget: string): undefined | CofferdamError | Promise<CofferdamError | undefined> {
    const over = this.#over()
    if (over !== undefined) return over
    if (this.#permit?.class === budget) return undefined
    this.#permit?.release()
    this.#permit = undefined
    this.scope.class = budget
    const taken = this.#budgets!.take(budget, this.scope.remaining)
    if (taken instanceof BudgetPermit) {
      this.#permit = taken
      return undefined
    }
    if (taken instanceof CofferdamError) return taken
    this.#leaveLine = () => {
      taken.leave()
    }
    return taken.permit.then(
      (permit) => {
        this.#leaveLine = undefined
        const late = this.#over()
        if (late === undefined) this.#permit = permit
        else permit.release()
        return late
      },
      (error: unknown) => {
        this.#leaveLine = undefined
        return error as CofferdamError
      },
    )
  }

  /** A handler that the framework lets us follow has begun. */
  began(): void {
    this.#handlers++
  }

  /** It has settled. */
  settled(): void {
    this.#handlers--
    this.#settle()
  }

  /** The response is closed, or will never be; `gone` = the client left before it had its answer. */
  close(gone: Error | undefined): void {
    if (this.#closed) return
    this.#closed = true
    this.#leaveLine?.()
    if (gone !== undefined) this.scope.abort(gone)
    this.#settle()
  }

  /** The connection is somebody else's now: an upgrade, or a reply that was taken over. */
  hijacked(): void {
    this.close(undefined)
    this.#handlers = 0
    this.#settle()
  }

  /** Its deadline has passed. */
  expire(): void {
    this.#expired = true
    this.scope.expire()
    // The timer is shared, so it fires in no scope, or in another's.
    if (!this.#closed) this.scope.run(this.#late)
  }

  /** And the grace after it. */
  reclaim(): void {
    this.#permit?.reclaim()
  }

  /** Why no handler should begin any more: an upload may have outlasted the deadline, or its client. */
  #over(): CofferdamError | undefined {
    if (this.#closed) return new BudgetExhaustedError('the client has gone')
    return this.#expired ? new DeadlineError('the time for the request is over') : undefined
  }

  #settle(): void {
    if (!this.done) return
    this.#permit?.release()
    this.scope.end()
    // Calls that the request has begun and not waited for still have its deadline.
    if (this.#expired || this.scope.idle) this.deadlines?.remove(this)
  }
}
