import * as v from 'valibot'
import { closeSchema, type CloseOptions } from './close-options.js'
import { Background } from './core/background.js'
import type { CallWatch } from './core/call.js'
import { systemClock, type Clock } from './core/clock.js'
import { ClosedError, OptionError } from './core/errors.js'
import { Events } from './core/events.js'
import { clockSchema, fn, group, oneOf, parse, text } from './core/options.js'
import {
  dependencySettings,
  parseDefaults,
  reconfigured,
  type DependencyChanges,
  type DependencyOptions,
} from './dependency-options.js'
import type { DependencyHost } from './dependency-host.js'
import { Dependency, type Registered } from './dependency.js'
import { History, type HistoryEntry } from './health/history.js'
import { Lineage } from './health/lineage.js'
import type { Acknowledged } from './health/monitors.js'
import { Orphans } from './health/orphans.js'
import type { Mode, SetModeOptions } from './health/override.js'
import { RESERVED, snapshotOf, type Snapshot } from './health/snapshot.js'
import { OperatorControl, type AcknowledgeOptions, type DisableOptions, type Target } from './operator-control.js'
import { EVENTS, storyOf, who, type RegistryEvents } from './registry-events.js'
import type { Injected, InjectOptions } from './policies/inject.js'

export interface RegistryOptions {
  /** Time and chance. Default: the system's; tests give a manual one. */
  clock?: Clock
  /** In place of the clock's, for jitter: a function giving numbers in [0, 1). */
  random?: () => number
  /** What its dependencies have in common; their own options go before it. */
  defaults?: DependencyOptions
}

const registrySchema = group({
  clock: v.optional(clockSchema),
  random: v.optional(v.custom<() => number>((random) => typeof random === 'function', 'must be a function')),
  defaults: v.optional(v.unknown()),
})

/** The answer for a load balancer. */
export interface Readiness {
  ready: boolean
  /** The process is about to end. */
  leaving: boolean
  /** Required dependencies that are unavailable. */
  waitingFor: string[]
}

const INJECTED = { injected: true } as const

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
  readonly #lineage = new Lineage()
  readonly #orphans: Orphans
  /** Those whose flip to unavailable faults that are injected had a part in. */
  readonly #downInRehearsal = new Set<string>()
  readonly #events: Events<RegistryEvents>
  readonly #history = new History()
  readonly #control: OperatorControl
  readonly #watch: CallWatch = { ended: undefined }
  readonly #registered: Registered
  #background: Background | undefined
  #snapshot: Snapshot | undefined
  #closing: Promise<void> | undefined
  #leaving = false

  /** @internal Use {@link createRegistry}. */
  constructor(options: RegistryOptions = {}) {
    const { clock = systemClock, random, defaults = {} } = parse(registrySchema, options)
    this.clock = random === undefined ? clock : withRandom(clock, random)
    this.#defaults = parseDefaults(defaults)
    this.#registered = { clock: this.clock, defaults: this.#defaults, hostOf: (name) => this.#host(name) }
    this.#events = new Events<RegistryEvents>((error, event) => {
      if (event !== 'error') this.#events.emit('error', { error, event })
    })
    this.#orphans = new Orphans(this.clock, (child, missing) => {
      this.#dependencies.get(child)?.missParents(missing)
    })
    this.#control = new OperatorControl(this.clock, this.#dependencies, this.#history)
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
    const settings = dependencySettings(options, this.#defaults)
    this.#lineage.declare(name, settings.dependsOn)
    let dependency: Dependency
    try {
      dependency = new Dependency(name, settings, this.#registered)
    } catch (error) {
      this.#lineage.declare(name, [])
      throw error
    }
    this.#dependencies.set(name, dependency)
    this.#snapshot = undefined
    for (const one of [name, ...this.#lineage.childrenOf(name)]) this.#lookForParents(one)
    this.#tellChild(name)
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
   * @param target a dependency's name, or `{ tag }` for all that have it
   * @throws OptionError (`ERR_OPTION`) for an unknown dependency, no reason, or a bad duration; ClosedError
   * @example
   * registry.setMode('zdz-feed', 'unavailable', { reason: 'schema upgrade', notice: 'Back at noon', for: 3_600_000 })
   * registry.setMode({ tag: 'writes' }, 'unavailable', { reason: 'read-only while the ids are repaired' })
   */
  setMode(target: Target, mode: Mode, options: SetModeOptions): void {
    this.#control.setMode(target, mode, options)
  }

  /**
   * Ends a forced mode; the others decide again, with a ramp if it was unavailable, and with its invariants read before.
   * @throws OptionError (`ERR_OPTION`) for an unknown dependency; ClosedError
   */
  clearMode(target: Target, options: { by?: string } = {}): void {
    this.#control.clearMode(target, options)
  }

  /**
   * An operator takes a dependency back whose invariants were broken, or whose recovery was left to him. What broke is
   * read once more, and keeps it unavailable unless it holds.
   *
   * @returns what is still broken, if anything
   * @throws OptionError (`ERR_OPTION`) for an unknown dependency; ClosedError
   */
  acknowledge(name: string, options: AcknowledgeOptions = {}): Promise<Acknowledged> {
    return this.#control.acknowledge(name, options)
  }

  /**
   * Takes the library out of the way: calls go straight through, unguarded and uncached, until it is enabled or `for` is
   * over; what is in flight is still counted, and a warning stands. Invariants in band go on withholding.
   * @throws OptionError (`ERR_OPTION`); ClosedError
   */
  disable(name: string, options: DisableOptions = {}): void {
    this.#control.disable(name, options)
  }

  /** Ends {@link disable}. @throws OptionError (`ERR_OPTION`) for an unknown dependency; ClosedError */
  enable(name: string, options: { by?: string } = {}): void {
    this.#control.enable(name, options)
  }

  /**
   * Rehearses a fault: delay, error, hang or wrong result in place of what the operations do, until it is stopped or its
   * time is over. All guards and recoverers do what they would do if it were real; `call` and `flip` events, counts and
   * history tell that it isn't, and a warning stands meanwhile. Of several the newest that fits is met.
   *
   * @param target a dependency's name, or `{ tag }` for all that have it
   * @throws OptionError (`ERR_OPTION`), also where NODE_ENV is production unless `allowProduction`, and for one that is
   * disabled; ClosedError
   * @example
   * using fault = registry.inject('zdz-feed', { hang: true, rate: 0.2, for: 60_000 })
   */
  inject(target: Target, options: InjectOptions): Injected {
    return this.#control.inject(target, options)
  }

  /** Ends all that {@link inject} has begun. @throws OptionError (`ERR_OPTION`) for an unknown dependency; ClosedError */
  stopInjecting(target: Target, options: { by?: string } = {}): void {
    this.#control.stopInjecting(target, options)
  }

  /** An operator's remark in the history. @throws OptionError (`ERR_OPTION`); ClosedError */
  note(name: string, text: string, options: { by?: string } = {}): void {
    this.#control.remark(name, text, options)
  }

  /**
   * Other settings at run time, in place of those that are named; window and mode stay. All or nothing.
   *
   * @throws OptionError (`ERR_OPTION`) naming the option; nothing has changed then. `stale`, `invariants`,
   * `bulkhead.pool` and the names of its classes can't change; ClosedError (`ERR_CLOSED`)
   * @example
   * registry.configure('zdz-feed', { timeout: 500, circuit: { failureRate: 0.3 } })
   */
  configure(name: string, options: DependencyChanges): void {
    const dependency = this.#control.one(name)
    const settings = reconfigured(dependency.settings, options, this.#defaults)
    const parents = this.#lineage.parentsOf(name)
    this.#lineage.declare(name, settings.dependsOn)
    try {
      dependency.configure(settings)
    } catch (error) {
      this.#lineage.declare(name, parents)
      throw error
    }
    this.#control.note(dependency, 'configure', `configured: ${Object.keys(options).join(', ')}`)
    this.#lookForParents(name)
    this.#tellChild(name)
  }

  /**
   * Whether this process should be sent requests. It is while a dependency is down, unless that is `required`; not
   * before each required one that has a probe was found well, and not any more once it is leaving.
   */
  ready(): Readiness {
    const waitingFor = [...this.#dependencies.values()]
      .filter(
        (dependency) => dependency.required && (dependency.awaited || !this.snapshot()[dependency.name]!.available),
      )
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
   * @throws OptionError (`ERR_OPTION`) for an event that there isn't, or a listener that is no function
   */
  on<Name extends keyof RegistryEvents>(event: Name, listener: (payload: RegistryEvents[Name]) => unknown): () => void {
    parse(oneOf(EVENTS), event, 'event')
    parse(fn(), listener, 'listener')
    const off = this.#events.on(event, listener)
    this.#listened(event)
    return () => {
      off()
      this.#listened(event)
    }
  }

  /**
   * Refuses new calls, lets calls in flight end, aborts those that are left after `timeout` with `ClosedError`.
   * Idempotent.
   *
   * @throws OptionError (`ERR_OPTION`)
   */
  close(options: CloseOptions = {}): Promise<void> {
    const given = parse(closeSchema, options, 'close')
    this.#leaving = true
    this.#control.closed = true
    this.#orphans.stop()
    const each = given.timeout === undefined ? {} : { timeout: given.timeout }
    return (this.#closing ??= Promise.all([...this.#dependencies.values()].map((d) => d.close(each))).then(() => {
      this.#background?.close()
    }))
  }

  /** @internal Something of the caller's that was run for him threw: for whoever listens to `error`. */
  report(error: unknown, event: string): void {
    this.#events.emit('error', { error, event })
  }

  /** Only while somebody listens does a call tell of its end, and is work looked at that takes long. */
  #listened(event: keyof RegistryEvents): void {
    const heard = this.#events.has(event)
    if (event === 'longCall') for (const dependency of this.#dependencies.values()) dependency.longCallsHeard = heard
    else if (event === 'call')
      this.#watch.ended = heard
        ? (call, error, failed) => {
            this.#events.emit('call', storyOf(call, error, failed))
          }
        : undefined
  }

  /** Whoever is on hand to those who are depended on: one that is unavailable is the reason. */
  #tellChild(name: string): void {
    const down = this.#lineage.parentsOf(name).find((parent) => this.#dependencies.get(parent)?.mode === 'unavailable')
    this.#dependencies.get(name)?.setParent(down === undefined ? undefined : `${down} is unavailable`)
  }

  /** Whether a flip is part of a rehearsal: faults are, or were, or it follows what was flipped by them. */
  #rehearsed(name: string, parents: readonly string[]): boolean {
    return (
      this.#dependencies.get(name)?.rehearsed === true || parents.some((parent) => this.#downInRehearsal.has(parent))
    )
  }

  #lookForParents(name: string): void {
    const missing = this.#lineage.parentsOf(name).filter((parent) => !this.#dependencies.has(parent))
    this.#orphans.look(name, missing)
  }

  #tellChildren(name: string): void {
    for (const child of this.#lineage.childrenOf(name)) this.#tellChild(child)
  }

  #host(name: string): DependencyHost {
    const events = this.#events
    const { clock } = this
    const mark = () => (this.#dependencies.get(name)?.injected === true ? INJECTED : {})
    return {
      clock,
      background: () => (this.#background ??= new Background(clock)),
      longCallsHeard: events.has('longCall'),
      changed: () => {
        this.#snapshot = undefined
        const dependency = this.#dependencies.get(name)
        if (dependency !== undefined) this.#unsettled.add(dependency)
      },
      flipped: (mode, cause, enforced) => {
        const parents = cause.kind === 'parent' ? this.#lineage.parentsOf(name) : []
        const injected = this.#rehearsed(name, parents)
        const marked = injected ? INJECTED : {}
        if (enforced && mode === 'unavailable' && injected) this.#downInRehearsal.add(name)
        else if (enforced) this.#downInRehearsal.delete(name)
        if (enforced) this.#history.add({ at: clock.wall(), dependency: name, kind: 'flip', mode, cause, ...marked })
        if (events.has('flip'))
          events.emit('flip', {
            dependency: name,
            mode,
            cause: Object.freeze({ ...cause }),
            at: clock.wall(),
            enforced,
            ...marked,
            ...(parents.length === 0 ? {} : { parents: Object.freeze([...parents]) }),
          })
        if (enforced) this.#tellChildren(name)
      },
      shut: () => {
        // When all are closed together, none is told of it as if it had failed.
        if (!this.#control.closed) this.#tellChildren(name)
      },
      warned: ({ warning, text }, raised) => {
        // A probe that can't tell leaves the trial to calls: what looks at the snapshot first must learn of it.
        if (warning === 'probe') this.#snapshot = undefined
        if (events.has('warning'))
          events.emit('warning', {
            dependency: name,
            warning,
            raised,
            text,
            at: clock.wall(),
            ...(warning === 'injected' ? {} : mark()),
          })
      },
      flapping: (flapping) => {
        if (events.has('flapping'))
          events.emit('flapping', { dependency: name, ...flapping, at: clock.wall(), ...mark() })
      },
      disagreed: (probes) => {
        if (events.has('disagreement'))
          events.emit('disagreement', { dependency: name, probes, at: clock.wall(), ...mark() })
      },
      longCall: (attempt, ranFor) => {
        if (!events.has('longCall')) return
        const callerGone = attempt.phase === 'abandoned'
        events.emit('longCall', { ...who(attempt.call), attempt: attempt.attempt, ranFor, callerGone })
      },
      drained: (reason, by) => {
        const dependency = this.#dependencies.get(name)!
        if (reason === undefined) this.#control.note(dependency, 'release', 'released', by)
        else this.#control.note(dependency, 'drain', reason, by)
      },
      leaked: (attempt) => {
        if (events.has('leak')) events.emit('leak', { ...who(attempt.call), attempt: attempt.attempt })
      },
      olderValue: (operation) => {
        events.emit('olderValue', { dependency: name, operation })
      },
      connection: (state) => {
        if (events.has('connection'))
          events.emit('connection', { dependency: name, ...state, at: clock.wall(), ...mark() })
      },
      inject: (options) => this.#control.inject(name, options),
      watch: this.#watch,
      report: (error) => {
        events.emit('error', { error, dependency: name })
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

function withRandom(clock: Clock, random: () => number): Clock {
  return {
    now: () => clock.now(),
    wall: () => clock.wall(),
    random,
    setTimer: (fire, ms) => clock.setTimer(fire, ms),
    clearTimer: (timer) => {
      clock.clearTimer(timer)
    },
    afterPoll: (fire) => {
      clock.afterPoll(fire)
    },
  }
}
