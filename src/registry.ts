import * as v from 'valibot'
import type { Call, CallWatch, Source } from './core/call.js'
import { systemClock, type Clock } from './core/clock.js'
import { ClosedError, OptionError } from './core/errors.js'
import { Events } from './core/events.js'
import { duration, group, oneOf, parse, text } from './core/options.js'
import { dependencySettings, parseDefaults, type DependencyOptions } from './dependency-options.js'
import { Dependency, type DependencyHost } from './dependency.js'
import { History, type HistoryEntry } from './health/history.js'
import { parseOverride, type Mode, type SetModeOptions } from './health/override.js'
import { RESERVED, snapshotOf, type Snapshot } from './health/snapshot.js'
import type { Cause } from './health/cause.js'

/** What a registry tells its listeners. Payloads are frozen, and hold no arguments, keys or values. */
export interface RegistryEvents {
  /** A mode changed; with `enforced: false` it would have. */
  flip: { dependency: string; mode: Mode; cause: Cause; at: number; enforced: boolean }
  /** A slot was taken back from work that did not end. */
  leak: { dependency: string; operation: string; class?: string; label?: string; attempt: number }
  /** A call has ended. `code` is a failed one's error code, or its name. */
  call: {
    dependency: string
    operation: string
    class?: string
    label?: string
    ok: boolean
    source?: Source
    code?: string
    attempts: number
    /** Ms. */
    took: number
  }
  /** A value was dropped because its version is lower than the one held: perhaps its source was restored from an old dump. */
  olderValue: { dependency: string; operation: string }
  /** A listener, hook or classifier threw. */
  error: { error: unknown; dependency?: string; event?: string }
}

export interface RegistryOptions {
  /** Time and chance. Default: the system's; tests give a manual one. */
  clock?: Clock
  /** In place of the clock's, for jitter: a function giving numbers in [0, 1). */
  random?: () => number
  /** What its dependencies have in common; their own options go before it. */
  defaults?: DependencyOptions
}

const registrySchema = group({
  clock: v.optional(v.custom<Clock>((clock) => typeof clock === 'object' && clock !== null, 'must be a clock')),
  random: v.optional(v.custom<() => number>((random) => typeof random === 'function', 'must be a function')),
  defaults: v.optional(v.unknown()),
})
const clearSchema = group({ by: v.optional(text) })
const closeSchema = group({ timeout: v.optional(duration) })

/** The answer for a load balancer. */
export interface Readiness {
  ready: boolean
  /** The process is about to end. */
  leaving: boolean
  /** Required dependencies that are unavailable. */
  waitingFor: string[]
}

/**
 * All dependencies and their modes. Make one with {@link createRegistry} and share it in the app.
 */
export class Registry {
  /** Its time and chance. */
  readonly clock: Clock
  readonly #defaults: DependencyOptions
  readonly #dependencies = new Map<string, Dependency>()
  /** Those with a transition that falls due by itself: only they are looked at before a snapshot. */
  readonly #unsettled = new Set<Dependency>()
  readonly #events: Events<RegistryEvents>
  readonly #history = new History()
  readonly #watch: CallWatch = { ended: undefined }
  #snapshot: Snapshot | undefined
  #closing: Promise<void> | undefined
  #leaving = false

  /** @internal Use {@link createRegistry}. */
  constructor(options: RegistryOptions = {}) {
    const { clock = systemClock, random, defaults = {} } = parse(registrySchema, options)
    this.clock = random === undefined ? clock : withRandom(clock, random)
    this.#defaults = parseDefaults(defaults)
    this.#events = new Events<RegistryEvents>((error, event) => {
      if (event !== 'error') this.#events.emit('error', { error, event })
    })
  }

  /**
   * Puts an outside system under guard. The name alone gives a timeout, a bulkhead and a circuit with the defaults.
   *
   * @throws OptionError (`ERR_OPTION`) naming the option, before anything is registered; ClosedError (`ERR_CLOSED`)
   * @example
   * const feed = registry.dependency('zdz-feed', { timeout: 800, bulkhead: { slots: 20 } })
   */
  dependency(name: string, options: DependencyOptions = {}): Dependency {
    if (this.#closing !== undefined) throw new ClosedError('the registry was closed')
    parse(text, name, 'name')
    if (RESERVED.includes(name)) throw new OptionError('name', `"${name}" is reserved`)
    if (this.#dependencies.has(name)) throw new OptionError('name', `"${name}" is registered already; get() finds it`)
    const dependency: Dependency = new Dependency(
      name,
      dependencySettings(options, this.#defaults),
      this.#host(() => dependency),
    )
    this.#dependencies.set(name, dependency)
    this.#snapshot = undefined
    return dependency
  }

  /** The dependency of that name, if there is one. */
  get(name: string): Dependency | undefined {
    return this.#dependencies.get(name)
  }

  /** All modes at this instant: the same frozen object until something in it changes. Transitions that are due are made first. */
  snapshot(): Snapshot {
    for (const dependency of this.#unsettled) if (dependency.refresh()) this.#unsettled.delete(dependency)
    return (this.#snapshot ??= snapshotOf([...this.#dependencies.values()].map((dependency) => dependency.snapshot())))
  }

  /**
   * Forces a mode, in place of what traffic says, until it expires or is cleared.
   *
   * @throws OptionError (`ERR_OPTION`) for an unknown dependency, no reason, or a bad duration
   * @example
   * registry.setMode('zdz-feed', 'unavailable', { reason: 'schema upgrade', notice: 'Back at noon', for: 3_600_000 })
   */
  setMode(name: string, mode: Mode, options: SetModeOptions): void {
    const dependency = this.#known(name)
    const override = parseOverride(parse(oneOf(['available', 'unavailable']), mode, 'mode'), options)
    const { reason, by } = override
    this.#note(
      name,
      'setMode',
      mode,
      by === undefined ? { kind: 'operator', reason } : { kind: 'operator', reason, by },
    )
    dependency.force(override)
  }

  /**
   * Ends a forced mode; traffic decides again, with a ramp if it was unavailable.
   * @throws OptionError (`ERR_OPTION`) for an unknown dependency
   */
  clearMode(name: string, options: { by?: string } = {}): void {
    const dependency = this.#known(name)
    const { by } = parse(clearSchema, options, 'clearMode')
    const cause: Cause = { kind: 'operator', reason: 'cleared' }
    this.#note(name, 'clearMode', dependency.mode, by === undefined ? cause : { ...cause, by })
    dependency.clear(by)
  }

  /**
   * Whether this process should be sent requests. It is while a dependency is down, unless that is `required`;
   * not any more once it is leaving.
   */
  ready(): Readiness {
    const waitingFor = [...this.#dependencies.values()]
      .filter((dependency) => dependency.required && !this.snapshot()[dependency.name]!.available)
      .map(({ name }) => name)
    return { ready: !this.#leaving && waitingFor.length === 0, leaving: this.#leaving, waitingFor }
  }

  /** This process is about to end: not ready from now on, while requests in flight, and their calls, go on. */
  leave(): void {
    this.#leaving = true
  }

  /** What was decided and done, newest last; at most the last 1,000. */
  history(name?: string): readonly HistoryEntry[] {
    return this.#history.list(name)
  }

  /**
   * Listens. What a listener throws goes to `error` and nowhere else.
   * @returns a function that stops listening
   */
  on<Name extends keyof RegistryEvents>(event: Name, listener: (payload: RegistryEvents[Name]) => unknown): () => void {
    const off = this.#events.on(event, listener)
    this.#watchCalls()
    return () => {
      off()
      this.#watchCalls()
    }
  }

  /**
   * Refuses new calls, lets calls in flight end, aborts those that are left after `timeout` with `ClosedError`.
   * Idempotent.
   *
   * @param options `timeout` in ms; default: each dependency's own
   */
  close(options: { timeout?: number } = {}): Promise<void> {
    const given = parse(closeSchema, options, 'close')
    this.#leaving = true
    const each = given.timeout === undefined ? {} : { timeout: given.timeout }
    return (this.#closing ??= Promise.all([...this.#dependencies.values()].map((d) => d.close(each))).then(
      () => undefined,
    ))
  }

  /** Only while somebody listens does a call tell of its end. */
  #watchCalls(): void {
    const { ended } = this.#watch
    if (!this.#events.has('call')) this.#watch.ended = undefined
    else
      this.#watch.ended =
        ended ??
        ((call, error, failed) => {
          this.#events.emit('call', storyOf(call, error, failed, this.clock.now()))
        })
  }

  #known(name: string): Dependency {
    const dependency = this.#dependencies.get(name)
    if (dependency === undefined) throw new OptionError('name', 'there is no dependency of that name')
    return dependency
  }

  #note(dependency: string, kind: HistoryEntry['kind'], mode: Mode, cause: Cause): void {
    this.#history.add({ at: this.clock.wall(), dependency, kind, mode, cause })
  }

  #host(self: () => Dependency): DependencyHost {
    const events = this.#events
    return {
      clock: this.clock,
      changed: () => {
        this.#snapshot = undefined
        this.#unsettled.add(self())
      },
      flipped: (dependency, mode, cause, enforced) => {
        const at = this.clock.wall()
        if (enforced) this.#note(dependency, 'flip', mode, cause)
        if (events.has('flip'))
          events.emit('flip', { dependency, mode, cause: Object.freeze({ ...cause }), at, enforced })
      },
      leaked: (attempt) => {
        if (events.has('leak')) events.emit('leak', { ...who(attempt.call), attempt: attempt.attempt })
      },
      olderValue: (dependency, operation) => {
        events.emit('olderValue', { dependency, operation })
      },
      watch: this.#watch,
      report: (error, dependency) => {
        events.emit('error', { error, dependency })
      },
    }
  }
}

/**
 * Makes the registry that knows, at every moment, which dependencies can be trusted.
 *
 * @throws OptionError (`ERR_OPTION`)
 * @example
 * const registry = createRegistry({ defaults: { timeout: 1_000 } })
 */
export function createRegistry(options: RegistryOptions = {}): Registry {
  return new Registry(options)
}

function who(call: Call): { dependency: string; operation: string; class?: string; label?: string } {
  const { dependency, name } = call.pipeline
  const label = call.options?.label ?? call.pipeline.label
  return {
    dependency,
    operation: name,
    ...(call.class === undefined ? {} : { class: call.class }),
    ...(label === undefined ? {} : { label }),
  }
}

function storyOf(call: Call, error: unknown, failed: boolean, now: number): RegistryEvents['call'] {
  const story = { ...who(call), ok: !failed, attempts: call.attempts, took: now - call.began }
  if (!failed) return { ...story, source: call.source }
  const { code, name } = Object(error) as { code?: unknown; name?: unknown }
  return { ...story, code: typeof code === 'string' ? code : typeof name === 'string' ? name : typeof error }
}

function withRandom(clock: Clock, random: () => number): Clock {
  return Object.assign(Object.create(clock) as Clock, { random })
}
