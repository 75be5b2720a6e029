import pLimit from 'p-limit'
import type { Deadlines, Timed } from './deadlines.js'

/** Dead seats that are left standing, whatever the number of the living: clearing a handful would not pay. */
const FEW = 32

/**
 * Somebody who waits for a slot: in line, at the head of it, granted, or gone. Only what happens first counts,
 * so a grant and a time-out in the same turn of the loop can't lose a slot between them.
 */
export class Waiter implements Timed<Waiter> {
  state: 'waiting' | 'granted' | 'gone' = 'waiting'
  /** Its place among the waiters of all lines of a pool. */
  readonly ticket: number
  readonly promise: Promise<void>
  /** Ends its turn at the head. */
  step: (() => void) | undefined = undefined
  /** What sends it away when it has waited for too long, and what it does then. */
  deadlines: Deadlines<Waiter> | undefined = undefined
  overdue: (() => void) | undefined = undefined
  due = Infinity
  sooner: Waiter | undefined = undefined
  later: Waiter | undefined = undefined
  readonly #line: Line
  readonly #granted: () => void
  #resolve!: () => void
  #reject!: (error: unknown) => void

  /** @param granted runs in the same synchronous step in which its slot is taken */
  constructor(line: Line, ticket: number, granted: () => void) {
    this.#line = line
    this.ticket = ticket
    this.#granted = granted
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    this.promise.catch(() => undefined)
  }

  grant(): void {
    this.state = 'granted'
    this.#granted()
    this.#resolve()
    this.#line.depart(this, false)
  }

  /** Gives up its seat at once. @returns false when it holds a slot already, or had gone before */
  leave(error?: unknown): boolean {
    if (this.state !== 'waiting') return false
    this.state = 'gone'
    this.#line.depart(this, true)
    this.#reject(error)
    return true
  }
}

/**
 * The line in front of full slots, one per member, kept by p-limit: of `pLimit(1)` the one running task is the head
 * of the line, waiting to be handed the next free slot.
 *
 * p-limit can't remove a waiter (100,000 abandoned ones held 94 MB). One that leaves gives its seat back at once and is
 * passed over when its turn comes; when more are dead than alive, the living are lined up again in an empty queue.
 */
export class Line {
  /** The waiter whose turn it is. */
  head: Waiter | undefined
  readonly #limit = pLimit(1)
  readonly #living = new Set<Waiter>()
  readonly #headChanged: () => void
  #dead = 0

  constructor(headChanged: () => void) {
    this.#headChanged = headChanged
  }

  /** How many wait. */
  get length(): number {
    return this.#living.size
  }

  /** Who has waited longest: the head, or whom p-limit is still calling there. */
  get next(): Waiter | undefined {
    return this.head ?? this.#living.values().next().value
  }

  join(ticket: number, granted: () => void): Waiter {
    const waiter = new Waiter(this, ticket, granted)
    this.#living.add(waiter)
    this.#enqueue(waiter)
    return waiter
  }

  /** Sends everybody away. */
  dismiss(error: unknown): void {
    for (const waiter of [...this.#living]) waiter.leave(error)
  }

  /** @internal A waiter's seat is free again. */
  depart(waiter: Waiter, gone: boolean): void {
    this.#living.delete(waiter)
    waiter.deadlines?.remove(waiter)
    if (this.head === waiter) {
      this.head = undefined
      waiter.step?.()
    } else if (gone && ++this.#dead > FEW && this.#dead > this.#living.size) this.#rebuild()
    if (this.head === undefined) this.#headChanged()
  }

  #enqueue(waiter: Waiter): void {
    void this.#limit(() => this.#lead(waiter))
  }

  #lead(waiter: Waiter): Promise<void> | undefined {
    // Gone; or led before: a rebuild lines up once more the one whom p-limit was just calling.
    if (waiter.state !== 'waiting') {
      if (this.#dead > 0) this.#dead--
      return undefined
    }
    return new Promise((done) => {
      waiter.step = done
      this.head = waiter
      this.#headChanged()
    })
  }

  #rebuild(): void {
    this.#dead = 0
    this.#limit.clearQueue()
    for (const waiter of this.#living) if (waiter !== this.head) this.#enqueue(waiter)
  }
}
