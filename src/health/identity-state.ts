import { kindOf } from '../core/comparable.js'
import { Memory, type Order } from './invariant-memory.js'
import { InvariantState, type CheckedRun, type Finding, type InvariantHost } from './invariant-state.js'
import type { Identity, Read } from './invariant-definition.js'
import type { Token } from './kept.js'

/** Of two processes that start in the same instant, the one that finds the other's identity in the store takes it over. */
const order: Order<Token> = {
  fits: (token): token is Token => token.kind === 'string' || token.kind === 'number' || token.kind === 'bigint',
  precedes: (found, kept) => found.epoch > kept.epoch || (found.epoch === kept.epoch && found.token !== undefined),
}

function tokenOf(value: unknown): Token | undefined {
  if (typeof value === 'string') return { kind: 'string', at: value }
  if (typeof value === 'bigint') return { kind: 'bigint', at: value }
  return typeof value === 'number' && Number.isFinite(value) ? { kind: 'number', at: value } : undefined
}

/** Who answers, polled and in band: always the first that was seen. */
export class IdentityState extends InvariantState {
  readonly #memory: Memory<Token>
  #read: Read<string | number | bigint>

  constructor(host: InvariantHost, definition: Identity) {
    super(host, definition)
    this.#read = definition.read
    this.timeout = definition.timeout
    this.#memory = new Memory(order, host.report)
  }

  join({ read, every, timeout, store }: Identity, path: string, polled: boolean): void {
    this.keepIn(this.#memory, store, timeout, path)
    if (!polled) return
    this.beginPolling(every, path)
    this.#read = read
    this.timeout = timeout
  }

  poll(signal?: AbortSignal): Promise<Finding> {
    return this.#look(signal, false)
  }

  /** Results of calls that began before are withheld. */
  override accept(signal?: AbortSignal): Promise<Finding> {
    return this.#look(signal, true)
  }

  async #look(signal: AbortSignal | undefined, accepting: boolean): Promise<Finding> {
    const memory = this.#memory
    await memory.refresh()
    const { epoch } = memory.kept
    const value = await this.read(this.#read, signal)
    if (memory.kept.epoch !== epoch) throw this.moved()
    const token = tokenOf(value)
    if (token === undefined) return this.violation(`the value is no identity (${kindOf(value)})`)
    const finding = this.#compare(token)
    if (finding !== undefined) {
      if (!accepting) return finding
      memory.replace(token)
    }
    await memory.keep()
    return 'holds'
  }

  #compare(seen: Token): { violation: string } | undefined {
    const { token } = this.#memory.kept
    // The first one is the baseline.
    if (token === undefined) this.#memory.raise(seen, false)
    else if (seen.kind !== token.kind) return this.kindChanged(token.kind, seen.kind)
    else if (seen.at !== token.at) return this.violation(`another one answers (${seen.kind} after ${token.kind})`)
    return undefined
  }

  /** For one operation. */
  inBand<R>({ of }: Identity<R>): CheckedRun<R> {
    return async (work, context) => {
      const memory = this.#memory
      if (memory.unread) {
        await this.#pull()
        context?.signal.throwIfAborted()
      }
      const { epoch } = memory.kept
      const result = await work()
      const value = this.pick(of, result)
      if (memory.kept.epoch !== epoch)
        throw this.undecided('the baseline changed while the call was running; its result was withheld')
      const token = tokenOf(value)
      const first = memory.kept.token === undefined
      const finding =
        token === undefined ? this.violation(`the result is no identity (${kindOf(value)})`) : this.#compare(token)
      if (finding !== undefined) throw this.broken(finding)
      // Nobody waits for it: as long as it isn't kept, nothing is given out twice.
      if (first) void memory.keep()
      return result
    }
  }

  async #pull(): Promise<void> {
    try {
      await this.#memory.pull()
    } catch (cause) {
      throw this.undecided('the identity could not be read from the store; the operation was not started', { cause })
    }
  }
}
