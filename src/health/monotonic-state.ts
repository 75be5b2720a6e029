import type { InvariantError } from '../core/errors.js'
import { rankOf, type Comparable, type Rank } from '../core/comparable.js'
import { HandedOut, type Ticket } from './handed-out.js'
import { Memory, type Order } from './invariant-memory.js'
import { InvariantState, type CheckedRun, type Finding, type InvariantHost } from './invariant-state.js'
import type { Monotonic, Read } from './invariant-definition.js'
import type { Kept } from './kept.js'

/** The higher mark goes before the lower. */
const order: Order<Rank> = {
  fits: (token): token is Rank => token.kind !== 'string',
  precedes: (found, kept) => {
    if (found.epoch !== kept.epoch) return found.epoch > kept.epoch
    if (found.token === undefined || kept.token === undefined) return found.token !== undefined
    if (found.token.kind !== kept.token.kind) throw new Error('the store has a value of another kind')
    if (found.token.at !== kept.token.at) return found.token.at > kept.token.at
    return found.given && !kept.given
  },
}

/** A value that must not decrease, polled and in band: both know one mark. */
export class MonotonicState extends InvariantState {
  readonly #memory: Memory<Rank>
  readonly #handedOut = new HandedOut()
  #read: Read<Comparable> | undefined

  constructor(host: InvariantHost, definition: Monotonic) {
    super(host, definition)
    this.#memory = new Memory(order, host.report)
  }

  /** How many values it remembers for the sake of the calls in flight. */
  get remembered(): number {
    return this.#handedOut.size
  }

  join({ read, every, timeout, store }: Monotonic, path: string, polled: boolean): void {
    this.keepIn(this.#memory, store, timeout, path)
    if (polled) this.beginPolling(every, path)
    if (!polled && this.#read !== undefined) return
    this.#read = read
    this.timeout = timeout
  }

  poll(signal?: AbortSignal): Promise<Finding> {
    return this.#look(signal, false)
  }

  /** With nothing to read, the next result is the baseline. Results of calls that began before are withheld. */
  override accept(signal?: AbortSignal): Promise<Finding> {
    return this.#look(signal, true)
  }

  async #look(signal: AbortSignal | undefined, accepting: boolean): Promise<Finding> {
    const memory = this.#memory
    if (this.#read === undefined && !accepting) return 'holds'
    await memory.refresh()
    if (this.#read === undefined) memory.replace(undefined)
    else {
      // As it is now: what is handed out while it is read may be higher than what it reads.
      const before = memory.kept
      const value = await this.read(this.#read, signal)
      if (memory.kept.epoch !== before.epoch) throw this.moved()
      const rank = rankOf(value)
      if (rank === undefined) return this.notComparable(value)
      const finding = this.#compare(rank, before)
      if (finding === undefined) memory.raise(rank, false)
      else if (accepting) memory.replace(rank)
      else return finding
    }
    await memory.keep()
    return 'holds'
  }

  #compare({ kind, at }: Rank, { token }: Kept<Rank>): { violation: string } | undefined {
    if (token === undefined) return undefined
    if (kind !== token.kind) return this.kindChanged(token.kind, kind)
    return at < token.at ? this.violation(`the value went back (${kind} after ${token.kind})`) : undefined
  }

  /** For one operation. */
  inBand<R>({ of }: Monotonic<R>): CheckedRun<R> {
    return async (work, context) => {
      if (this.#memory.key !== undefined) {
        await this.#pull()
        context?.signal.throwIfAborted()
      }
      const ticket = this.#handedOut.begin(this.#memory.kept)
      try {
        const result = await work()
        await this.#handOut(ticket, this.pick(of, result))
        return result
      } finally {
        this.#handedOut.end(ticket)
      }
    }
  }

  /** Each time: other processes have handed out values since. */
  async #pull(): Promise<void> {
    try {
      await this.#memory.pull()
    } catch (cause) {
      throw this.undecided('the mark could not be read; the operation was not started', { cause })
    }
  }

  async #handOut(ticket: Ticket, value: unknown): Promise<void> {
    const memory = this.#memory
    this.#fence(ticket)
    const rank = rankOf(value)
    if (rank === undefined) throw this.broken(this.notComparable(value))
    const refusal = this.#judge(ticket, rank)
    if (refusal !== undefined) throw refusal
    memory.raise(rank, true)
    if (memory.key === undefined) return
    let found: Kept<Rank> | undefined
    try {
      found = await memory.push()
    } catch (cause) {
      throw this.undecided('the mark could not be written; the result was withheld', { cause })
    }
    this.#fence(ticket)
    if (found?.epoch === ticket.start.epoch && found.given && found.token?.at === rank.at)
      throw this.broken(this.violation(`the result was handed out before, by another process (${rank.kind})`))
  }

  #judge(ticket: Ticket, rank: Rank): InvariantError | undefined {
    const { token } = this.#memory.kept
    if (token !== undefined && token.kind !== rank.kind) return this.broken(this.kindChanged(token.kind, rank.kind))
    switch (this.#handedOut.judge(ticket, rank.at)) {
      case 'new':
        return undefined
      case 'below':
        return this.broken(
          this.violation(`the result is not above what was handed out before (${rank.kind} after ${rank.kind})`),
        )
      case 'again':
        return this.broken(this.violation(`the result was handed out before (${rank.kind})`))
      case 'unknown':
        return this.undecided('the call took too long to tell whether its result is a new one; it was withheld')
    }
  }

  /** A call that began before a baseline was accepted may bring a value of the other server. */
  #fence({ start }: Ticket): void {
    if (start.epoch !== this.#memory.kept.epoch)
      throw this.undecided('the baseline changed while the call was running; its result was withheld')
  }
}
