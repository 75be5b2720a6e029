import { LRUCache } from 'lru-cache'
import { fallbackReply, type Operation, type Reply } from '../work.js'
import { Window } from './floor-window.js'
import type { BuildStack, StackOptions } from './stack.js'

const openFor = 5_000
const refusal = new Error('refused')

/**
 * Written by hand for this one operation, knowing all of it: slot count, deadline, window, trip, cache write and
 * fallback, and nothing that can be configured, observed or waited for. What a library adds to this is its price.
 *
 * One timer serves every call, since deadlines of one length end in the order they began. It stays armed after the
 * last call, where a library would let the process end.
 *
 * No closure here has a name: tsx would define that name anew at every call.
 */
export const build: BuildStack = (options) => {
  const floor = new Floor(options)
  return {
    call: (category) => floor.call(category),
    refuse: () => floor.refuse(),
    close: () => floor.close(),
  }
}

class Attempt {
  next: Attempt | undefined = undefined
  done = false
  readonly start: number
  readonly category: string
  readonly controller: AbortController | undefined
  readonly resolve: (reply: Reply) => void
  readonly reject: (error: unknown) => void

  constructor(
    start: number,
    category: string,
    controller: AbortController | undefined,
    resolve: (reply: Reply) => void,
    reject: (error: unknown) => void,
  ) {
    this.start = start
    this.category = category
    this.controller = controller
    this.resolve = resolve
    this.reject = reject
  }
}

class Floor {
  private readonly operation: Operation
  private readonly timeout: number
  private readonly readsSignal: boolean
  private readonly fallback: boolean
  private readonly neverTrip: boolean
  private readonly cache: LRUCache<string, Reply>
  private readonly window = new Window()
  private free: number
  private openUntil = 0
  private head: Attempt | undefined = undefined
  private tail: Attempt | undefined = undefined
  private timer: NodeJS.Timeout | undefined = undefined

  constructor(options: StackOptions) {
    this.operation = options.operation
    this.timeout = options.timeout
    this.readsSignal = options.readsSignal
    this.fallback = options.fallback
    this.neverTrip = options.neverTrip
    this.cache = new LRUCache({ max: 1_000 })
    this.free = options.slots
  }

  call(category: string): Promise<Reply> {
    const start = performance.now()
    if (start < this.openUntil || this.free === 0) return this.refused(category)
    this.free--
    return new Promise((resolve, reject) => {
      const controller = this.readsSignal ? new AbortController() : undefined
      const attempt = new Attempt(start, category, controller, resolve, reject)
      this.line(attempt)
      this.operation(category, controller?.signal).then(
        (reply) => this.succeeded(attempt, reply),
        (error: unknown) => this.failed(attempt, error),
      )
    })
  }

  refuse(): void {
    this.openUntil = Infinity
  }

  close(): void {
    clearTimeout(this.timer)
  }

  private refused(category: string): Promise<Reply> {
    if (this.fallback) return Promise.resolve(this.cache.get(category) ?? fallbackReply)
    return Promise.reject(refusal)
  }

  private succeeded(attempt: Attempt, reply: Reply): void {
    this.free++
    if (attempt.done) return
    this.finish(attempt)
    this.window.succeeded(performance.now())
    this.cache.set(attempt.category, reply)
    attempt.resolve(reply)
  }

  /** The work of a call that has timed out may end here later: its slot was taken until now. */
  private failed(attempt: Attempt, error: unknown): void {
    this.free++
    if (attempt.done) return
    this.finish(attempt)
    this.settle(attempt, error, performance.now())
  }

  private settle(attempt: Attempt, error: unknown, now: number): void {
    if (this.window.failed(now) && !this.neverTrip) this.openUntil = now + openFor
    if (this.fallback) attempt.resolve(this.cache.get(attempt.category) ?? fallbackReply)
    else attempt.reject(error)
  }

  private line(attempt: Attempt): void {
    if (this.tail === undefined) this.head = attempt
    else this.tail.next = attempt
    this.tail = attempt
    this.timer ??= setTimeout(() => this.expire(), this.timeout)
  }

  /** Only the head is unlinked at once: what ended behind it goes when its turn comes. */
  private finish(attempt: Attempt): void {
    attempt.done = true
    while (this.head !== undefined && this.head.done) this.head = this.head.next
    if (this.head === undefined) this.tail = undefined
  }

  private expire(): void {
    const now = performance.now()
    while (this.head !== undefined && this.head.start + this.timeout <= now) {
      const late = this.head
      this.finish(late)
      late.controller?.abort()
      this.settle(late, new Error(`took longer than ${this.timeout} ms`), now)
    }
    const next = this.head
    this.timer = next && setTimeout(() => this.expire(), next.start + this.timeout - now)
  }
}
