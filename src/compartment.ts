import type { Attempt } from './core/attempt.js'
import { bound } from './core/bound.js'
import type { Background } from './core/background.js'
import type { CallWatch, Life } from './core/call.js'
import { backgroundTimer, type Clock, type Timer } from './core/clock.js'
import { ClosedError } from './core/errors.js'
import type { Guard } from './core/guard.js'
import { InFlight } from './core/in-flight.js'
import { Slots, type Share } from './core/slots.js'
import { stallWatch } from './core/stall.js'
import { Tally } from './core/tally.js'
import type { DependencySettings } from './dependency-options.js'
import type { DependencyHost } from './dependency-host.js'
import { Drains, type Drainable } from './drain.js'
import type { VerdictListener } from './health/followers.js'
import { healthOf, type Health } from './health/health.js'
import { LongCalls } from './health/long-calls.js'
import { OpossumMirror } from './health/mirror.js'
import { Monitors, type Acknowledged, type Watched } from './health/monitors.js'
import type { Override } from './health/override.js'
import { Verdict } from './health/verdict.js'
import { Warnings } from './health/warnings.js'
import type { Operable } from './operation.js'
import type { Operations } from './operations.js'
import { Bulkhead } from './policies/bulkhead.js'
import { Circuit } from './policies/circuit.js'
import { Faults, type Injected, type InjectOptions } from './policies/inject.js'
import { Rate } from './policies/rate.js'
import { Retries } from './policies/retry/retries.js'
import { Timeout, Timeouts, type Limits } from './policies/timeout.js'
import type { TryingState } from './registry-events.js'
import { abortWork, forgetOldest } from './work-in-flight.js'

/**
 * What stands between one dependency and the rest: its verdict, slots, timers and monitors, put together from the rooms
 * below. It is made when the dependency is first used, since one that is not should cost nothing.
 */
export class Compartment implements Operable {
  readonly name: string
  readonly clock: Clock
  readonly background: () => Background
  readonly watch: CallWatch
  /** Others in their place are put into force by `configure`. */
  settings: DependencySettings
  readonly tally = new Tally()
  readonly inFlight = new InFlight<Attempt>()
  readonly life: Life
  readonly warnings: Warnings
  readonly verdict: Verdict
  readonly monitors: Monitors
  readonly slots: Slots
  readonly retries: Retries
  readonly drains: Drains
  readonly faults: Faults
  readonly longCalls: LongCalls
  /** Told of flips (`hurry`: an operator has said that it is available), and of the end. */
  readonly followers = new Set<(hurry: boolean) => void>()
  readonly #host: DependencyHost
  /** Ends what runs in the background for its operations. */
  readonly #stops: (() => void)[] = []
  readonly #classes: ReadonlyMap<string, Slots>
  readonly #circuit: Circuit
  readonly #rate: Rate
  readonly #bulkhead: Bulkhead
  readonly #timeouts: Timeouts
  readonly #limits: Limits
  #mirror: OpossumMirror | undefined
  #enabling: Timer | undefined
  #closing: Promise<void> | undefined

  /** @param since from when on it has been available, wall time */
  constructor(name: string, settings: DependencySettings, since: number, host: DependencyHost) {
    const { clock, background, watch } = host
    this.name = name
    this.clock = clock
    this.background = background
    this.watch = watch
    this.settings = settings
    this.#host = host
    this.life = { closed: undefined, bypassed: false, injection: undefined, ...lifeOf(settings) }
    this.faults = new Faults(clock, this.tally, (faults) => {
      this.#injecting(faults)
    })
    this.warnings = new Warnings((warning, raised) => {
      host.warned(warning, raised)
    })
    this.monitors = new Monitors(this.#watched(), settings.invariants)
    this.verdict = new Verdict({
      dependency: name,
      clock,
      since,
      stalls: stallWatch(clock),
      circuit: settings.circuit,
      enforce: settings.enforce,
      listener: this.#listener(),
      recovery: this.monitors,
      warnings: this.warnings,
    })
    const { bulkhead } = settings
    this.slots =
      bulkhead.pool?.slots.join(name, bulkhead.share, 'bulkhead.guaranteed') ?? Slots.pool(name, bulkhead.slots)
    const { others, classes } = this.#joinClasses()
    this.#classes = classes
    this.#circuit = new Circuit(this.verdict, this.tally)
    this.#rate = new Rate(clock, this.tally)
    this.#rate.configure(settings.rate)
    this.retries = new Retries(clock, settings.retry, () => this.verdict.mode === 'available')
    this.#bulkhead = new Bulkhead(clock, this.tally, others, classes, bulkhead, (attempt) => {
      this.#leaked(attempt)
    })
    this.#timeouts = new Timeouts(clock)
    this.#limits = limitsOf(this.#timeouts, settings)
    this.longCalls = new LongCalls(background, clock, this.inFlight, settings.longCall, (attempt, ranFor) => {
      host.longCall(attempt, ranFor)
    })
    this.drains = new Drains(this.#drainable())
  }

  /** What runs by itself begins: not before all else stands. */
  begin(): void {
    this.longCalls.heard = this.#host.longCallsHeard
    this.monitors.begin()
    this.monitors.probe(this.#probeOf(this.settings))
  }

  /** Its share of a pool is the others' again. */
  leavePool(): void {
    this.settings.bulkhead.pool?.slots.remove(this.slots)
  }

  get enforced(): boolean {
    return this.settings.enforce
  }

  guards(timeout: number | undefined): Guard[] {
    return [this.#circuit, this.#rate, this.#bulkhead, new Timeout(this.#timeouts, timeout ?? this.#limits)]
  }

  onClose(stop: () => void): void {
    this.#stops.push(stop)
  }

  olderValue(operation: string): void {
    this.#host.olderValue(operation)
  }

  report(error: unknown): void {
    this.#host.report(error)
  }

  connection(state: TryingState): void {
    this.#host.connection(state)
  }

  inject(options: InjectOptions): Injected {
    return this.#host.inject(options)
  }

  health(): Health {
    const { size, forgotten } = this.inFlight
    return healthOf(this.verdict, this.slots, this.tally, size + forgotten, this.warnings.list)
  }

  /** The opossum breaker that follows it; from the first reading on every call is told to it. */
  get mirror(): OpossumMirror {
    const mirror = this.#mirrored()
    this.tally.follow ??= (what, attempt) => {
      mirror.count(what, attempt)
    }
    return mirror
  }

  /** @param expired runs when its time is over */
  force(override: Override, expired: () => void): void {
    this.verdict.force(override, expired)
    this.#rampSlots()
    this.#tell(override.mode === 'available')
  }

  async acknowledge(accept: boolean, by?: string): Promise<Acknowledged> {
    const acknowledged = await this.monitors.acknowledge(accept, by)
    if (acknowledged.holds) this.verdict.acknowledge(by)
    return acknowledged
  }

  /** @param expired runs when its time is over */
  disable(reason: string, by: string | undefined, ms: number, expired: () => void): void {
    this.#cancelEnabling()
    this.faults.end('disabled', by)
    if (ms !== Infinity)
      this.#enabling = backgroundTimer(
        this.clock,
        () => {
          expired()
          this.enable()
        },
        ms,
      )
    this.warnings.raise('disabled', `disabled: ${reason}`, this.clock.wall())
    this.verdict.setDisabled(reason, by)
  }

  enable(by?: string): void {
    this.#cancelEnabling()
    this.verdict.setDisabled(undefined, by)
    this.warnings.clear('disabled')
  }

  /** @throws OptionError (`ERR_OPTION`); nothing has changed then */
  configure(settings: DependencySettings): void {
    const { bulkhead } = settings
    const shares = new Map<Slots, Share>()
    for (const [name, share] of bulkhead.classes) shares.set(this.#classes.get(name)!, share)
    this.slots.resize(bulkhead.pool === undefined ? bulkhead.slots : bulkhead.share, 'bulkhead', shares)
    this.settings = settings
    Object.assign(this.life, lifeOf(settings))
    Object.assign(this.#limits, limitsOf(this.#timeouts, settings))
    this.#bulkhead.configure(bulkhead)
    this.#rate.configure(settings.rate)
    this.retries.configure(settings.retry, this.inFlight.begun)
    this.longCalls.limit = settings.longCall
    this.monitors.probe(this.#probeOf(settings))
    this.verdict.configure(settings.circuit, settings.enforce)
  }

  /** Idempotent. @param operations whose second level is let go of */
  close(timeout: number, operations: Operations): Promise<void> {
    return (this.#closing ??= this.#close(timeout, operations))
  }

  #watched(): Watched {
    const { clock, background } = this.#host
    return {
      name: this.name,
      clock,
      required: () => this.settings.required,
      background,
      verdict: () => this.verdict,
      warnings: this.warnings,
      changed: () => {
        this.#host.changed()
      },
      disagreed: (probes) => {
        this.#host.disagreed(probes)
      },
      report: (error) => {
        this.#host.report(error)
      },
    }
  }

  #listener(): VerdictListener {
    const host = this.#host
    return {
      changed: () => {
        this.life.bypassed = this.verdict.decider === 'disabled'
        host.changed()
      },
      flipped: (to, cause, enforced) => {
        if (enforced && to === 'unavailable') {
          this.#mirrored()
          // Who waits learns it too, instead of calling what is known to be unavailable.
          this.#dismiss(this.verdict.refusal())
        }
        this.#tell(false)
        host.flipped(to, cause, enforced)
      },
      rose: () => {
        this.#rampSlots()
      },
      opened: (trialIn, kind) => {
        this.monitors.opened(trialIn, kind === 'traffic')
      },
      closed: () => {
        this.monitors.closed()
      },
      shut: () => {
        host.shut()
      },
      flapping: (flapping) => {
        host.flapping(flapping)
      },
    }
  }

  #drainable(): Drainable {
    return {
      name: this.name,
      clock: this.clock,
      inFlight: this.inFlight,
      timeout: () => this.settings.timeout,
      hold: (reason, by) => {
        this.verdict.setDrain(reason, by)
      },
      note: (reason, by) => {
        this.#host.drained(reason, by)
      },
      dismiss: () => {
        this.#dismiss(this.verdict.refusal())
      },
    }
  }

  #tell(hurry: boolean): void {
    for (const tell of [...this.followers]) tell(hurry)
  }

  /** Sends those away who wait: for a slot, for their turn, for another try. */
  #dismiss(error: unknown): void {
    this.#rate.dismiss(error)
    this.slots.dismiss(error)
    this.retries.dismiss()
  }

  #injecting(faults: Faults): void {
    this.life.injection = faults.active ? faults : undefined
    if (faults.active) this.warnings.raise('injected', `faults are injected: ${faults.text}`, this.clock.wall())
    else this.warnings.clear('injected')
  }

  #probeOf({ probe }: DependencySettings): DependencySettings['probe'] {
    if (probe === undefined) return undefined
    const faults = this.faults
    return {
      ...probe,
      run: (context) => (faults.active ? faults.probe(context.signal, () => probe.run(context)) : probe.run(context)),
    }
  }

  #joinClasses(): { others: Slots; classes: Map<string, Slots> } {
    const classes = new Map<string, Slots>()
    if (this.settings.bulkhead.classes.size === 0) return { others: this.slots, classes }
    try {
      for (const [name, share] of this.settings.bulkhead.classes)
        classes.set(name, this.slots.join(`class ${name}`, share, `bulkhead.classes.${name}`))
      return { others: this.slots.join('others', { guaranteed: 0 }, 'bulkhead.classes'), classes }
    } catch (error) {
      this.settings.bulkhead.pool?.slots.remove(this.slots)
      throw error
    }
  }

  #mirrored(): OpossumMirror {
    if (this.#mirror === undefined) {
      this.#mirror = new OpossumMirror(this.name, this.clock, (error) => {
        this.#host.report(error)
      })
      this.verdict.mirror = this.#mirror
      if (this.verdict.mode === 'unavailable') this.#mirror.showOpen(this.verdict.retryAfter ?? Infinity)
    }
    return this.#mirror
  }

  /** While the ramp runs, fewer slots than there are. */
  #rampSlots(): void {
    const { ramp } = this.verdict
    this.slots.ceiling = ramp.running ? () => ramp.ceiling(this.slots.capacity) : undefined
    this.slots.serve()
  }

  #leaked(attempt: Attempt): void {
    this.#host.leaked(attempt)
    forgetOldest(this.inFlight)
  }

  async #close(timeout: number, operations: Operations): Promise<void> {
    const closed = new ClosedError(`${this.name} was closed`, { dependency: this.name })
    this.life.closed = closed
    this.#dismiss(closed)
    this.#tell(false)
    this.verdict.shut()
    this.monitors.stop()
    this.longCalls.stop()
    for (const stop of this.#stops) stop()
    this.faults.end('closed')
    this.#cancelEnabling()
    await bound(this.clock, this.inFlight.empty(), timeout, () => undefined)
    for (const attempt of this.inFlight) abortWork(attempt, closed)
    await operations.close(timeout)
    this.#bulkhead.close()
    this.#timeouts.close()
    this.leavePool()
    this.#mirror?.shutdown()
    this.drains.close(closed)
  }

  #cancelEnabling(): void {
    if (this.#enabling !== undefined) this.clock.clearTimer(this.#enabling)
    this.#enabling = undefined
  }
}

function lifeOf({ total, timeout, circuit }: DependencySettings): Pick<Life, 'total' | 'patience' | 'isFailure'> {
  return { total, patience: timeout, isFailure: circuit.isFailure }
}

function limitsOf(timeouts: Timeouts, { timeout, bulkhead }: DependencySettings): Limits {
  const byClass = new Map<string, number>()
  for (const [name, share] of bulkhead.classes) if (share.timeout !== undefined) byClass.set(name, share.timeout)
  return { own: timeouts.of(timeout), byClass }
}
