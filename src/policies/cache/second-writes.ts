import { inside } from '../../core/ambient.js'
import { bound } from '../../core/bound.js'
import { backgroundTimer, type Clock, type Timer } from '../../core/clock.js'
import { Pause } from './pause.js'

/** Writes at once. */
const LANES = 4
/** How long one may take, ms. */
const WITHIN = 1_000
/** Values that wait at most, and deletes; the oldest goes first. */
const MOST = 1_000
/** A key whose write was given up but has not ended waits so long for it, ms: it might land after the next. */
const LINGERS = 30_000

/** What waits outlives a time when the store takes nothing, but for values, which would pile up. One `clear` an operation. */
export type WriteKind = 'clear' | 'delete' | 'expire' | 'value'

const KINDS: readonly WriteKind[] = ['clear', 'delete', 'expire', 'value']

export interface Write {
  readonly key: string
  readonly kind: WriteKind
  /** Looks first and writes then, unless it is `late` meanwhile. A rejection is the store's failure. */
  run(late: () => boolean): Promise<void>
  failed(): void
  /** It will never run any more. */
  dropped(): void
}

/** Writes of a store: never awaited, the latest per key, in a bounded queue and a few lanes. */
export class SecondWrites {
  readonly #clock: Clock
  readonly #pause: Pause
  readonly #failed: (error: unknown) => void
  /** The latest of each kind and key; in this order. */
  readonly #waiting: Record<WriteKind, Map<string, Write>> = {
    clear: new Map(),
    delete: new Map(),
    expire: new Map(),
    value: new Map(),
  }
  /** Keys that are being written, since when. */
  readonly #busy = new Map<string, number>()
  #running = 0
  #timer: Timer | undefined
  #idle: (() => void)[] = []

  /** @param clock one whose timers keep no process alive */
  constructor(clock: Clock, failed: (error: unknown) => void) {
    this.#clock = clock
    this.#pause = new Pause(clock)
    this.#failed = failed
  }

  push(write: Write): void {
    const waiting = this.#waiting[write.kind]
    waiting.delete(write.key)
    waiting.set(write.key, write)
    if (waiting.size > MOST && write.kind !== 'clear') dropOldest(waiting)
    this.#pump()
  }

  /** Resolves when nothing is left to write, or can be written now. */
  idle(): Promise<void> {
    if (this.#isIdle()) return Promise.resolve()
    return new Promise((resolve) => this.#idle.push(resolve))
  }

  #isIdle(): boolean {
    return this.#running === 0 && (this.#pause.open || KINDS.every((kind) => this.#waiting[kind].size === 0))
  }

  #pump(): void {
    while (this.#running < LANES) {
      const next = this.#next()
      if (next === undefined) break
      const asked = this.#pause.ask()
      if (asked === 'skip') {
        this.#wait()
        break
      }
      this.#waiting[next.kind].delete(next.key)
      void inside(undefined, () => this.#run(next, asked))
    }
    if (this.#isIdle()) for (const resolve of this.#idle.splice(0)) resolve()
  }

  #next(): Write | undefined {
    for (const kind of KINDS)
      for (const write of this.#waiting[kind].values()) if (!this.#isBusy(write.key)) return write
    return undefined
  }

  /** Nothing is taken at present: deletes wait for the next trial, values aren't kept for it. */
  #wait(): void {
    const { value } = this.#waiting
    for (const write of value.values()) write.dropped()
    value.clear()
    const { dueIn } = this.#pause
    // The end of a trial that is running is heard of anyway.
    if (dueIn === 0 || KINDS.every((kind) => this.#waiting[kind].size === 0)) return
    this.#timer ??= backgroundTimer(
      this.#clock,
      () => {
        this.#timer = undefined
        this.#pump()
      },
      Math.ceil(dueIn),
    )
  }

  async #run(write: Write, asked: 'go' | 'try'): Promise<void> {
    const { key, kind } = write
    this.#running++
    this.#busy.set(key, this.#clock.now())
    if (this.#busy.size > MOST) this.#busy.delete(this.#busy.keys().next().value!)
    let late = false
    const work = write.run(() => late)
    const free = (): void => {
      this.#busy.delete(key)
      if (late) this.#pump()
    }
    work.then(free, free)
    try {
      await bound(this.#clock, work, WITHIN, () => {
        late = true
        throw new Error(`the second cache level took no write within ${WITHIN} ms`)
      })
      this.#pause.passed(asked)
    } catch (error) {
      write.failed()
      if (this.#pause.failed(asked)) this.#failed(error)
      if (kind === 'value') write.dropped()
      else if (!this.#waiting[kind].has(key)) this.#waiting[kind].set(key, write)
    }
    this.#running--
    this.#pump()
  }

  #isBusy(key: string): boolean {
    const since = this.#busy.get(key)
    return since !== undefined && this.#clock.now() - since < LINGERS
  }
}

function dropOldest(waiting: Map<string, Write>): void {
  for (const [id, write] of waiting) {
    waiting.delete(id)
    write.dropped()
    return
  }
}
