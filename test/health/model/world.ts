import { getEventListeners } from 'node:events'
import { expect } from 'vitest'
import {
  createRegistry,
  INCONCLUSIVE,
  invariant,
  type CallContext,
  type Dependency,
  type Drained,
  type Registry,
} from '../../../src/index.js'
import { ManualClock, settle } from '../../../src/testing.js'
import { watch, type Watched } from '../../support/calls.js'
import { gate, type Gate } from '../../support/gate.js'
import { Model, TIMES, type ModelWork } from './model.js'

export type How = 'ok' | 'fail' | 'hang' | 'stubborn'

interface Work {
  rules: ModelWork
  gate: Gate<string>
  controller: AbortController
  result: Watched<string>
}

/** A real registry with `feed`, which depends on `db`, beside the model of what should become of it. */
export class World {
  readonly clock = new ManualClock()
  readonly registry: Registry
  readonly feed: Dependency
  readonly model: Model
  readonly flips: string[] = []
  readonly errors: unknown[] = []
  readonly works: Work[] = []
  readonly drains: Watched<Drained>[] = []
  readonly #callers: Work[] = []
  readonly #load
  #begun: { gate: Gate<string>; signal: AbortSignal } | undefined
  #probing = 0

  constructor(recover: 'itself' | 'operator', probed: boolean) {
    this.model = new Model(recover, probed)
    this.registry = createRegistry({ clock: this.clock })
    this.registry.dependency('db')
    const { timeout, openFor, openForAtMost, ramp } = TIMES
    this.feed = this.registry.dependency('feed', {
      timeout,
      dependsOn: ['db'],
      circuit: {
        window: { calls: 6, maxAge: 3_600_000 },
        minimumCalls: 6,
        consecutiveFailures: 3,
        slowCall: 3_000,
        slowRate: 1,
        warnRate: 1,
        openFor,
        openForAtMost,
        rampFor: ramp,
        recover,
      },
      bulkhead: { slots: 8, queue: 0, reclaimAfter: 60_000 },
      invariants: [invariant('sane', () => this.#check(), { every: 10_000.5, timeout: TIMES.invariantTimeout })],
      ...(probed && {
        probe: {
          run: () => this.#probe(),
          every: 730.5,
          timeout: TIMES.probeTimeout,
          failures: 2,
          successes: 2,
        },
      }),
    })
    this.#load = this.feed.wrap((context: CallContext, how: How) => this.#operation(context, how), { name: 'load' })
    this.registry.on('flip', ({ dependency, mode, cause, enforced }) => {
      if (dependency === 'feed' && enforced) this.flips.push(mode === 'available' ? mode : `${mode}: ${cause.kind}`)
    })
    this.registry.on('error', ({ error }) => this.errors.push(error))
  }

  #operation(context: CallContext, how: How): Promise<string> {
    const work = gate<string>()
    this.#begun = { gate: work, signal: context.signal }
    if (how === 'ok') work.open('ok')
    if (how === 'fail') work.fail(new Error('down'))
    if (how === 'hang')
      context.signal.addEventListener('abort', () => {
        work.fail(context.signal.reason)
      })
    return work.promise
  }

  #check(): boolean | Promise<boolean> {
    const { model } = this
    model.catchUp(this.clock.now())
    if (model.invariant === 'bad') model.latch()
    if (model.invariant === 'cannot tell') throw new Error('unreadable')
    return model.invariant === 'hangs' ? new Promise(() => undefined) : model.invariant === 'well'
  }

  async #probe(): Promise<unknown> {
    const { model } = this
    model.catchUp(this.clock.now())
    // Thrown here, they would pass for a failed probe.
    if (model.circuit.kind === 'open') this.errors.push('a probe while it is open')
    if (this.#probing > 0) this.errors.push('a probe beside another')
    if (model.closed) this.errors.push('a probe after the end')
    const answer = model.probe
    if (answer === 'hangs') {
      this.#probing++
      this.clock.setTimer(() => this.#probing--, TIMES.probeTimeout)
    }
    model.probeBegan()
    if (answer === 'bad') throw new Error('down')
    if (answer === 'hangs') return new Promise(() => undefined)
    return Promise.resolve(answer === 'well' ? true : INCONCLUSIVE)
  }

  async call(how: How): Promise<void> {
    const { model } = this
    const controller = new AbortController()
    const expected = model.admit(how === 'stubborn')
    this.#begun = undefined
    const result = watch(this.#load.with({ signal: controller.signal })(how))
    const begun = this.#begun as { gate: Gate<string>; signal: AbortSignal } | undefined
    if (begun === undefined) {
      await settle()
      const { code } = result.error as { code: string }
      if (typeof expected === 'string') expect(code).toBe(expected)
      else {
        // Only a full bulkhead keeps out what may pass, and never a trial.
        expect(code).toBe('ERR_BULKHEAD_FULL')
        expect(expected.trial).toBe(false)
        expect(model.works.size).toBeGreaterThan(0)
      }
      return
    }
    if (typeof expected === 'string') expect(`began, although ${model.ruling?.by ?? ''}`).toBe(expected)
    const rules = expected as ModelWork
    const work: Work = { rules, gate: begun.gate, controller, result }
    model.begun(rules)
    this.works.push(work)
    this.#callers.push(work)
    if (how === 'ok' || how === 'fail') model.ended(rules, how === 'fail')
  }

  end(which: number, ok: boolean): void {
    const running = this.works.filter(({ rules }) => this.model.works.has(rules))
    const work = running[which % running.length]
    if (work === undefined) return
    this.model.ended(work.rules, !ok)
    if (ok) work.gate.open('done')
    else work.gate.fail(new Error('down'))
  }

  leave(which: number): void {
    const waiting = this.#callers.filter(({ result }) => result.state === 'pending')
    const work = waiting[which % waiting.length]
    if (work === undefined) return
    this.model.leave(work.rules)
    work.controller.abort(new Error('left'))
  }

  drain(): void {
    if (this.model.closed) return
    this.model.drain(this.drains.length)
    this.drains.push(watch(this.feed.drain({ reason: 'repair', timeout: TIMES.drain, grace: TIMES.grace })))
  }

  release(which: number): void {
    const held = [...this.model.drains].filter(([, state]) => state === 'held').map(([id]) => id)
    const id = held[which % held.length]
    if (id === undefined) return
    this.model.release(id)
    this.drains[id]!.value!.release()
  }

  async advance(ms: number): Promise<void> {
    await this.clock.advance(ms)
    this.model.catchUp(this.clock.now())
  }

  /** What must be so after every command. */
  async check(): Promise<void> {
    await settle()
    const { model, feed } = this
    model.catchUp(this.clock.now())
    const health = feed.health()
    const seen = { mode: health.mode, inFlight: health.inFlight, flips: this.flips }
    expect(seen).toEqual({ mode: model.mode, inFlight: model.works.size, flips: model.flips })
    if (!model.closed) {
      const { wouldBe, available, circuit, retryAfter, ramp = 1 } = health
      const { calls, failures } = health.window
      // Its last step may come a hair early, and is made up for by another.
      const ramping = ramp < 0.999
      expect({ wouldBe, available, circuit, ramping, window: { calls, failures } }).toEqual({
        ramping: model.ramping,
        window: model.window,
        wouldBe: model.wouldBe,
        available: model.available,
        circuit: model.circuit.kind,
      })
      if (retryAfter !== undefined) expect(retryAfter).toBeCloseTo(model.circuit.until - this.clock.now(), 3)
      expect(this.registry.snapshot()['feed']).toMatchObject({ mode: model.mode, available: model.available })
    }
    for (const [id, { state }] of this.drains.entries())
      expect([id, state]).toEqual([
        id,
        model.failedDrains.has(id) ? 'rejected' : model.drains.get(id) === 'emptying' ? 'pending' : 'resolved',
      ])
    for (const { result, controller } of this.#callers)
      if (result.state !== 'pending') expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0)
    expect(this.errors).toEqual([])
  }

  /** Everything is well again, and nobody says otherwise: it comes back, whatever has been. */
  async mend(): Promise<void> {
    const { model, registry } = this
    if (model.closed) return
    model.invariant = model.probe = 'well'
    registry.clearMode('db')
    model.setParent(false)
    registry.clearMode('feed')
    model.lift()
    registry.enable('feed')
    model.enable()
    registry.configure('feed', { enforce: true })
    model.configure(true, model.openFor)
    while (this.works.some(({ rules }) => model.works.has(rules))) this.end(0, true)
    await this.advance(1_000)
    for (const [id] of model.drains) {
      this.drains[id]!.value!.release()
      model.release(id)
    }
    await this.check()
    for (let i = 0; i < 40 && health(this) !== 'available'; i++) {
      await this.advance(10_000)
      await this.call('ok')
      await this.check()
      void registry.acknowledge('feed')
      model.acknowledge()
      await this.check()
    }
    expect(this.feed.health()).toMatchObject({ mode: 'available', circuit: 'closed' })
    await this.call('ok')
  }

  /** Nothing is left when all is over. */
  async endAll(): Promise<void> {
    const { model, registry } = this
    while (this.works.some(({ rules }) => model.works.has(rules))) this.end(0, true)
    const closed = watch(registry.close())
    await this.clock.advance(5_000)
    expect(closed.state).toBe('resolved')
    expect(this.#callers.filter(({ result }) => result.state === 'pending')).toEqual([])
    expect(this.feed.health()).toMatchObject({ slots: { busy: 0 }, waiters: 0, inFlight: 0 })
    expect(this.feed.inFlight()).toEqual([])
    for (const { controller } of this.#callers) expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0)
    expect(this.clock.pending()).toBe(0)
  }
}

const health = ({ feed }: World): string => feed.health().mode
