import { getEventListeners } from 'node:events'
import fc from 'fast-check'
import { afterEach, describe, expect, it, vi } from 'vitest'
import {
  createRegistry,
  InvariantError,
  keepTrying,
  monotonic,
  OptionError,
  type InjectOptions,
  type RegistryEvents,
} from '../../src/index.js'
import { ManualClock, settle } from '../../src/testing.js'
import { watch, type Watched } from '../support/calls.js'
import { gate, type Gate } from '../support/gate.js'
import { loads } from '../support/loads.js'
import { rig } from '../support/rig.js'

const SECONDS = 1_000
const down = new Error('injected')

afterEach(() => {
  vi.unstubAllEnvs()
})

describe('an injected fault', () => {
  it('that is an error is thrown in place of the operation, and judges the dependency as a real one would', async () => {
    const { dependency, begun, call } = rig({ circuit: { consecutiveFailures: 3 } })
    dependency.inject({ error: down, for: 60 * SECONDS })
    for (let i = 0; i < 3; i++) await expect(call()).rejects.toBe(down)
    await expect(call()).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE' })
    expect(begun).toHaveLength(0)
    expect(dependency.health()).toMatchObject({ counts: { failures: 3, injected: 3, rejects: 1 }, slots: { busy: 0 } })
  })

  it('is made anew for each attempt by a function', async () => {
    const { dependency, call } = rig()
    let made = 0
    dependency.inject({ error: () => Object.assign(new Error(`no ${++made}`), { status: 404 }), for: SECONDS })
    await expect(call()).rejects.toThrow('no 1')
    await expect(call()).rejects.toThrow('no 2')
    expect(dependency.health().counts).toMatchObject({ ignored: 2, failures: 0 })
  })

  it('that hangs holds its slot until the timeout aborts it, and no longer', async () => {
    const { clock, dependency, begun, call } = rig({ timeout: 100 })
    dependency.inject({ hang: true, for: 60 * SECONDS })
    const caller = watch(call())
    await clock.advance(99)
    expect([caller.state, dependency.health().slots.busy]).toEqual(['pending', 1])
    await clock.advance(1)
    expect(caller.error).toMatchObject({ code: 'ERR_CALL_TIMEOUT' })
    expect(dependency.health()).toMatchObject({ slots: { busy: 0 }, inFlight: 0, counts: { timeouts: 1, lates: 1 } })
    expect(begun).toHaveLength(0)
  })

  it('that hangs ends at once when its caller leaves', async () => {
    const { dependency, call } = rig()
    dependency.inject({ hang: true, for: 60 * SECONDS })
    const leaving = new AbortController()
    const caller = watch(call({ signal: leaving.signal }))
    leaving.abort(new Error('left'))
    await settle()
    expect(caller.error).toMatchObject({ message: 'left' })
    expect(dependency.health()).toMatchObject({ slots: { busy: 0 }, inFlight: 0 })
    expect(getEventListeners(leaving.signal, 'abort')).toHaveLength(0)
  })

  it('that delays lets the operation begin later, unless the attempt is over by then', async () => {
    const { clock, dependency, begun, call } = rig({ timeout: 100 })
    dependency.inject({ delay: 60, for: 60 * SECONDS })
    const caller = watch(call())
    await clock.advance(59)
    expect(begun).toHaveLength(0)
    await clock.advance(1)
    begun[0]!.open('late')
    await settle()
    expect(caller.value).toBe('late')
    const cut = watch(call({ timeout: 50 }))
    await clock.advance(50)
    expect(cut.error).toMatchObject({ code: 'ERR_CALL_TIMEOUT' })
    await clock.advance(SECONDS)
    expect(begun).toHaveLength(1)
    expect(clock.pending({ referenced: true })).toBe(0)
  })

  it('may be late and wrong together', async () => {
    const { clock, dependency, call } = rig()
    dependency.inject({ error: down, delay: 50, for: SECONDS })
    const caller = watch(call())
    await clock.advance(49)
    expect(caller.state).toBe('pending')
    await clock.advance(1)
    expect(caller.error).toBe(down)
  })

  it('that is a value is given in place of the result; undefined is one too', async () => {
    const { dependency, begun, call } = rig()
    using first = dependency.inject({ value: 'wrong', for: SECONDS })
    expect(await call()).toBe('wrong')
    first.stop()
    dependency.inject({ value: undefined, for: SECONDS })
    expect(await call()).toBeUndefined()
    expect(begun).toHaveLength(0)
  })

  it('that is a function is given the real result, at once or later', async () => {
    const registry = createRegistry()
    const feed = registry.dependency('feed')
    feed.inject({ value: (real: number) => -real, for: SECONDS })
    expect(await feed.run(() => 5)).toBe(-5)
    expect(await feed.run(() => Promise.resolve(6))).toBe(-6)
    await expect(
      feed.run(() => {
        throw down
      }),
    ).rejects.toBe(down)
    await registry.close()
  })

  it('is beneath the invariant that results are checked by', async () => {
    const registry = createRegistry({ clock: new ManualClock() })
    const orders = registry.dependency('orders')
    let id = 0
    const next = orders.wrap(() => ++id, { invariant: monotonic('order ids') })
    expect([await next(), await next()]).toEqual([1, 2])
    orders.inject({ value: 1, for: SECONDS })
    await expect(next()).rejects.toBeInstanceOf(InvariantError)
    expect(orders.health()).toMatchObject({ mode: 'unavailable', counts: { injected: 1 } })
  })

  it('is met by the probe too, or that would vouch for what fails the calls', async () => {
    const clock = new ManualClock()
    const registry = createRegistry({ clock })
    let probes = 0
    const probe = { run: () => ++probes, every: SECONDS, failures: 2 }
    const feed = registry.dependency('feed', { probe })
    const fault = feed.inject({ hang: true, for: 60 * SECONDS })
    await clock.advance(5 * SECONDS)
    expect([feed.mode, probes]).toEqual(['unavailable', 0])
    fault.stop()
    feed.inject({ value: 0, for: 60 * SECONDS })
    feed.inject({ error: down, class: 'pages', for: 60 * SECONDS })
    await clock.advance(60 * SECONDS)
    expect(feed.mode).toBe('available')
    await registry.close()
  })

  it('leaves a stale value and a fallback to be served', async () => {
    const { dependency, load, fill } = loads({ fallback: { value: 'instead' } })
    await fill('a', 'good')
    dependency.inject({ error: down, for: SECONDS })
    expect(await load.outcome('a')).toMatchObject({ value: 'good', source: 'stale' })
    expect(await load.outcome('b')).toMatchObject({ value: 'instead', source: 'fallback', error: down })
  })
})

describe('which attempts meet it', () => {
  it('is a share of them, by chance', async () => {
    const chances = [0.1, 0.3, 0.29, 0.9]
    const { dependency, call, begun } = rig({}, new ManualClock({ random: () => chances.shift() ?? 0.99 }))
    dependency.inject({ error: down, rate: 0.3, for: SECONDS })
    const met = []
    for (let i = 0; i < 4; i++) {
      const result = call()
      begun.pop()?.open('ok')
      met.push(
        await result.then(
          () => false,
          () => true,
        ),
      )
    }
    expect(met).toEqual([true, false, true, false])
    expect(dependency.health().counts.injected).toBe(2)
  })

  it('is those of a class', async () => {
    const { dependency, call, begun } = rig()
    dependency.inject({ error: down, class: 'callbacks', for: SECONDS })
    await expect(call({ class: 'callbacks' })).rejects.toBe(down)
    for (const options of [{ class: 'pages' }, {}]) {
      const result = call(options)
      begun.pop()!.open('ok')
      expect(await result).toBe('ok')
    }
  })

  it('is, of several faults, decided by the newest that fits', async () => {
    const { dependency, call } = rig()
    dependency.inject({ value: 'oldest', for: SECONDS })
    const newer = dependency.inject({ value: 'newer', for: SECONDS })
    dependency.inject({ value: 'for pages', class: 'pages', for: SECONDS })
    expect(await call()).toBe('newer')
    expect(await call({ class: 'pages' })).toBe('for pages')
    newer.stop()
    expect(await call()).toBe('oldest')
  })

  it('is, by a tag, those of all that have it', async () => {
    const registry = createRegistry({ clock: new ManualClock() })
    const writes = ['orders', 'users'].map((name) => registry.dependency(name, { tags: ['writes'] }))
    const reads = registry.dependency('reads')
    const fault = registry.inject({ tag: 'writes' }, { error: down, for: SECONDS })
    for (const each of writes) await expect(each.run(() => 1)).rejects.toBe(down)
    expect(await reads.run(() => 1)).toBe(1)
    fault.stop()
    for (const each of writes) expect(await each.run(() => 1)).toBe(1)
  })
})

describe('what is injected ends', () => {
  const ends = { error: down, for: 60 * SECONDS, reason: 'drill', by: 'ann' }
  const told = ({ registry }: { registry: ReturnType<typeof rig>['registry'] }) =>
    registry.history().map(({ kind, cause: { reason, by } }) => [kind, reason, by])

  it('by itself, on a timer that keeps no process alive', async () => {
    const { clock, registry, dependency } = rig()
    dependency.inject(ends)
    expect([clock.pending(), clock.pending({ referenced: true })]).toEqual([1, 0])
    await clock.advance(60 * SECONDS)
    expect(dependency.health().warnings).toEqual([])
    expect(told({ registry })).toEqual([
      ['inject', 'error: drill', 'ann'],
      ['stopInjecting', 'expired: error', undefined],
    ])
  })

  it('when it is stopped, once', () => {
    const { clock, registry, dependency } = rig()
    const fault = dependency.inject(ends)
    fault.stop({ by: 'bob' })
    fault.stop()
    fault[Symbol.dispose]()
    expect(told({ registry }).slice(1)).toEqual([['stopInjecting', 'stopped: error', 'bob']])
    expect(clock.pending()).toBe(0)
    expect(() => {
      fault.stop({ who: 'bob' } as object)
    }).toThrow(OptionError)
  })

  it('all together by stopInjecting', () => {
    const { registry, dependency } = rig()
    dependency.inject(ends)
    dependency.inject({ hang: true, for: SECONDS })
    registry.stopInjecting('feed', { by: 'bob' })
    expect(dependency.health().warnings).toEqual([])
    expect(told({ registry }).slice(2)).toEqual([
      ['stopInjecting', 'stopped: hang', 'bob'],
      ['stopInjecting', 'stopped: error', 'bob'],
    ])
    expect(() => {
      registry.stopInjecting('fed')
    }).toThrow(OptionError)
  })

  it('when the dependency is disabled, into which nothing is injected', async () => {
    const { registry, dependency, call, begun } = rig()
    dependency.inject(ends)
    registry.disable('feed', { by: 'bob' })
    const result = call()
    begun[0]!.open('ok')
    expect(await result).toBe('ok')
    expect(() => dependency.inject(ends)).toThrow('nothing is injected into what is disabled')
    expect(told({ registry }).slice(1)).toEqual([
      ['disable', 'disabled', 'bob'],
      ['stopInjecting', 'disabled: error', 'bob'],
    ])
  })

  it('when the dependency closes, and what hangs with it', async () => {
    const { clock, registry, dependency, call } = rig({ timeout: 100 })
    dependency.inject({ hang: true, for: 60 * SECONDS })
    const caller = watch(call())
    const closed = watch(dependency.close({ timeout: 50 }))
    await clock.advance(50)
    expect([caller.state, closed.state, clock.pending({ referenced: true })]).toEqual(['rejected', 'resolved', 0])
    expect(dependency.health()).toMatchObject({ slots: { busy: 0 }, inFlight: 0 })
    expect(told({ registry }).at(-1)).toEqual(['stopInjecting', 'closed: hang', undefined])
    expect(() => dependency.inject(ends)).toThrow(expect.objectContaining({ code: 'ERR_CLOSED' }) as Error)
  })
})

describe('that it was no real fault', () => {
  it('is told by a warning that stands until the last one ends', () => {
    const { registry, dependency } = rig()
    const heard: unknown[] = []
    registry.on('warning', ({ warning, raised, text }) => heard.push([warning, raised, text]))
    const first = dependency.inject({ error: new Error('private'), delay: 20, rate: 0.5, for: SECONDS })
    const second = dependency.inject({ delay: 30, class: 'pages', for: SECONDS })
    expect(dependency.health().warnings).toMatchObject([
      {
        warning: 'injected',
        text: 'faults are injected: delay of 30 ms, for class pages; error after 20 ms, at a rate of 0.5',
      },
    ])
    first.stop()
    second.stop()
    expect(heard).toEqual([
      ['injected', true, 'faults are injected: error after 20 ms, at a rate of 0.5'],
      ['injected', false, 'faults are injected: delay of 30 ms, for class pages'],
    ])
  })

  it('is told by the events of calls and flips, and by the history', async () => {
    const { clock, registry, dependency, call, succeed } = rig({ circuit: { consecutiveFailures: 1, openFor: 50 } })
    const calls: RegistryEvents['call'][] = []
    const flips: RegistryEvents['flip'][] = []
    registry.on('call', (event) => calls.push(event))
    registry.on('flip', (event) => flips.push(event))
    const fault = dependency.inject({ error: down, for: SECONDS })
    await call().catch(() => undefined)
    fault.stop()
    await clock.advance(100)
    await succeed()
    expect(calls.map(({ ok, injected }) => [ok, injected])).toEqual([
      [false, true],
      [true, undefined],
    ])
    expect(flips.map(({ mode, injected }) => [mode, injected])).toEqual([
      ['unavailable', true],
      ['available', undefined],
    ])
    const flipped = registry.history().filter(({ kind }) => kind === 'flip')
    expect(flipped.map(({ injected }) => injected)).toEqual([true, undefined])
  })

  it('is told by a flip that comes when the fault has ended: of calls that still hang, or are still counted', async () => {
    const hung = rig({ timeout: 100, circuit: { consecutiveFailures: 10, openFor: 60_000 } })
    const flips: unknown[] = []
    hung.registry.on('flip', ({ mode, injected }) => flips.push([mode, injected]))
    const hang = hung.dependency.inject({ hang: true, for: SECONDS })
    for (let i = 0; i < 20; i++) watch(hung.call())
    hang.stop()
    await hung.clock.advance(100)
    expect(flips).toEqual([['unavailable', true]])

    const counted = rig({ circuit: { consecutiveFailures: 10, openFor: 60_000, window: 10_000 } })
    counted.registry.on('flip', ({ mode, injected }) => flips.push([mode, injected]))
    const fault = counted.dependency.inject({ error: down, for: SECONDS })
    for (let i = 0; i < 9; i++) await counted.call().catch(() => undefined)
    fault.stop()
    await counted.failing(1)
    expect(flips).toEqual([
      ['unavailable', true],
      ['unavailable', true],
    ])
  })

  it('is told no more once what came of it has left the window', async () => {
    const { registry, dependency, call, failing, clock } = rig({ circuit: { consecutiveFailures: 10, window: 10_000 } })
    const flips: unknown[] = []
    registry.on('flip', ({ mode, injected }) => flips.push([mode, injected]))
    const fault = dependency.inject({ error: down, for: SECONDS })
    for (let i = 0; i < 9; i++) await call().catch(() => undefined)
    fault.stop()
    await clock.advance(11_000)
    await failing(10)
    expect(flips).toEqual([['unavailable', undefined]])
  })

  it('is told of work that it holds up too long, and of a slot that is taken back from it', async () => {
    const { clock, registry, dependency, call } = rig({
      timeout: 100,
      longCall: 50,
      bulkhead: { slots: 2, reclaimAfter: 200 },
    })
    const marks: unknown[] = []
    for (const event of ['longCall', 'leak'] as const)
      registry.on(event, ({ injected }) => marks.push([event, injected]))
    using _fault = dependency.inject({ value: () => new Promise(() => undefined), class: 'pages', for: SECONDS })
    for (const of of ['pages', 'feeds']) {
      watch(call({ class: of }))
      await clock.advance(400)
    }
    expect(marks).toEqual([
      ['longCall', true],
      ['leak', true],
      ['longCall', undefined],
      ['leak', undefined],
    ])
  })

  it('is told of flapping that it brings about', async () => {
    const { clock, registry, dependency, call, succeed } = rig({
      circuit: { consecutiveFailures: 3, openFor: 1_000, rampFor: 0 },
    })
    const marks: unknown[] = []
    registry.on('flapping', ({ flips, injected }) => marks.push([flips, injected]))
    for (let flip = 0; flip < 4; flip++) {
      const fault = dependency.inject({ error: down, for: SECONDS })
      for (let i = 0; i < 3; i++) await call().catch(() => undefined)
      fault.stop()
      await clock.advance(1_000)
      await succeed()
    }
    expect(marks).toEqual([[4, true]])
  })

  it('is told of warnings, and of connections that fail, while it lasts', async () => {
    const { clock, registry, dependency, call, succeed } = rig({ circuit: { consecutiveFailures: false } })
    const marks: unknown[] = []
    registry.on('warning', ({ warning, raised, injected }) => marks.push([warning, raised, injected]))
    registry.on('connection', ({ phase, injected }) => marks.push([phase, injected]))
    await succeed(20)
    const fault = dependency.inject({ error: down, for: SECONDS })
    for (let i = 0; i < 5; i++) await call().catch(() => undefined)
    const trying = keepTrying(() => 'connection', { dependency })
    await settle()
    fault.stop()
    await clock.advance(100)
    expect(await trying).toBe('connection')
    expect(marks).toEqual([
      ['injected', true, undefined],
      ['failures', true, true],
      ['waiting', true],
      ['injected', false, undefined],
      ['connected', undefined],
    ])
  })

  it('is told of every caller of a shared call', async () => {
    const { registry, dependency, load } = loads({ coalesce: true })
    const calls: unknown[] = []
    registry.on('call', ({ injected }) => calls.push(injected))
    dependency.inject({ error: down, for: SECONDS })
    await Promise.allSettled([load('a'), load('a'), load('b')])
    using fault = dependency.inject({ value: 'wrong', for: SECONDS })
    await Promise.all([load('c'), load('c')])
    expect(calls).toEqual([true, true, true, true, true])
    fault.stop()
    dependency.inject({ hang: true, for: SECONDS })
    const leaving = new AbortController()
    const left = load.with({ signal: leaving.signal })('d')
    leaving.abort(new Error('left'))
    await expect(left).rejects.toThrow('left')
    expect(calls.slice(5)).toEqual([true])
  })

  it('is told of work that outlives its caller', async () => {
    const registry = createRegistry({ clock: new ManualClock() })
    const calls: unknown[] = []
    registry.on('call', ({ ok, injected }) => calls.push([ok, injected]))
    const orders = registry.dependency('orders')
    const save = orders.wrap(() => 1, { name: 'save', detached: true })
    using fault = orders.inject({ error: down, for: SECONDS })
    await save().catch(() => undefined)
    fault.stop()
    orders.inject({ value: 2, for: SECONDS })
    await save()
    expect(calls).toEqual([
      [false, true],
      [true, true],
    ])
  })
})

describe('injecting is refused', () => {
  it.each<[string, object, string]>([
    ['without a fault', {}, 'inject'],
    ['with a hang that is none', { hang: false }, 'inject'],
    ['with an error and a value', { error: down, value: 1 }, 'inject.value'],
    ['with an error and a hang', { error: down, hang: true }, 'inject.hang'],
    ['with a value and a hang', { value: undefined, hang: true }, 'inject.hang'],
    ['with a rate of 0', { hang: true, rate: 0 }, 'inject.rate'],
    ['with a rate over 1', { hang: true, rate: 1.1 }, 'inject.rate'],
    ['with no delay', { delay: 0 }, 'inject.delay'],
    ['with no time', { hang: true, for: undefined }, 'inject.for'],
    ['for ever', { hang: true, for: Infinity }, 'inject.for'],
    ['for more than a day', { hang: true, for: 86_400_001 }, 'inject.for'],
    ['for no class', { hang: true, class: '' }, 'inject.class'],
    ['with an unknown name', { hang: true, rates: 1 }, 'inject.rates'],
  ])('%s', (_case, options, path) => {
    const { registry, dependency } = rig()
    const inject = (): unknown => dependency.inject({ for: SECONDS, ...options })
    expect(inject).toThrow(expect.objectContaining({ code: 'ERR_OPTION', path }) as Error)
    expect([registry.history(), dependency.health().warnings]).toEqual([[], []])
  })

  it('in production, unless that is allowed by name', async () => {
    vi.stubEnv('NODE_ENV', 'production')
    const { dependency, call } = rig()
    const fault: InjectOptions = { error: down, for: SECONDS }
    for (const options of [fault, { ...fault, allowProduction: false }])
      expect(() => dependency.inject(options)).toThrow(
        expect.objectContaining({ path: 'inject.allowProduction' }) as Error,
      )
    dependency.inject({ ...fault, allowProduction: true })
    await expect(call()).rejects.toBe(down)
  })

  it('into an unknown dependency or tag, or into any if one of a tag is disabled', () => {
    const registry = createRegistry({ clock: new ManualClock() })
    for (const name of ['orders', 'users']) registry.dependency(name, { tags: ['writes'] })
    const fault: InjectOptions = { hang: true, for: SECONDS }
    expect(() => registry.inject('fed', fault)).toThrow(OptionError)
    expect(() => registry.inject({ tag: 'reads' }, fault)).toThrow(OptionError)
    registry.disable('users')
    expect(() => registry.inject({ tag: 'writes' }, fault)).toThrow(OptionError)
    expect(registry.get('orders')!.health().warnings).toEqual([])
  })
})

// The same schedules each time; another seed explores others.
const seed = Number(process.env['SEED'] ?? 20_260_101)

const faults = fc.constantFrom<Omit<InjectOptions, 'for'>>(
  { hang: true },
  { error: down },
  { value: 'wrong' },
  { value: () => 'wrong' },
  { delay: 20 },
  { delay: 150 },
  { error: down, delay: 30 },
  { hang: true, rate: 0.5 },
  { delay: 10, class: 'pages' },
)
const which = fc.nat(9)
const steps = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('inject' as const),
      fault: faults,
      for: fc.integer({ min: 1, max: 300 }),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constant('call' as const), pages: fc.boolean(), shared: fc.boolean() }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('end' as const), which, ok: fc.boolean() }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('advance' as const), ms: fc.integer({ min: 0, max: 120 }) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('leave' as const, 'stop' as const), which }) },
  fc.record({ kind: fc.constantFrom('stop all' as const, 'disable' as const, 'enable' as const, 'close' as const) }),
)

it('whatever is injected, called, stopped and closed in whatever order, nothing is left of it', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(steps, { minLength: 10, maxLength: 40, size: 'max' }),
      fc.nat(99),
      async (taken, chance) => {
        const clock = new ManualClock({ random: () => chance / 100 })
        const registry = createRegistry({ clock })
        const circuit = { consecutiveFailures: 3, openFor: 40, rampFor: 50 }
        const feed = registry.dependency('feed', {
          timeout: 100,
          circuit,
          bulkhead: { slots: 3, queue: 3, maxWait: 50 },
        })
        const begun: Gate<string>[] = []
        const signals: AbortSignal[] = []
        const operation = ({ signal }: { signal: AbortSignal }): Promise<string> => {
          signals.push(signal)
          const work = gate<string>()
          begun.push(work)
          return work.promise
        }
        const plain = feed.wrap(operation, { name: 'plain' })
        const shared = feed.wrap(operation, { name: 'shared', key: () => 'one', scope: 'public' })
        const callers: { left: AbortController; result: Watched<string> }[] = []
        const stops: (() => void)[] = []
        const ended = { calls: 0, errors: [] as unknown[] }
        registry.on('call', () => ended.calls++)
        registry.on('error', ({ error }) => ended.errors.push(error))
        let closed = false
        for (const step of taken) {
          if (step.kind === 'inject') {
            if (!closed && !feed.disabled) {
              const fault = feed.inject({ ...step.fault, for: step.for })
              stops.push(() => {
                fault.stop()
              })
            }
          } else if (step.kind === 'call') {
            const left = new AbortController()
            const options = { signal: left.signal, ...(step.pages ? { class: 'pages' } : {}) }
            callers.push({ left, result: watch((step.shared ? shared : plain).with(options)()) })
          } else if (step.kind === 'end') {
            const [work] = begun.splice(step.which % Math.max(1, begun.length), 1)
            if (step.ok) work?.open('ok')
            else work?.fail(new Error('down'))
          } else if (step.kind === 'advance') await clock.advance(step.ms)
          else if (step.kind === 'leave') callers[step.which % callers.length]?.left.abort(new Error('left'))
          else if (step.kind === 'stop') stops[step.which % stops.length]?.()
          else if (step.kind === 'close') {
            closed = true
            void feed.close({ timeout: 30 })
          } else if (!closed)
            if (step.kind === 'stop all') registry.stopInjecting('feed')
            else registry[step.kind]('feed')
          expect(feed.health().warnings.some(({ warning }) => warning === 'injected')).toBe(feed.injected)
        }
        const closing = watch(registry.close({ timeout: 100 }))
        for (const work of begun) work.open('ok')
        await clock.advance(200)
        // What was delayed has begun meanwhile.
        for (const work of begun) work.open('ok')
        await clock.advance(1_500)
        expect(closing.state).toBe('resolved')
        expect(callers.filter(({ result }) => result.state === 'pending')).toEqual([])
        expect(ended).toEqual({ calls: callers.length, errors: [] })
        expect(feed.health()).toMatchObject({ slots: { busy: 0 }, waiters: 0, inFlight: 0 })
        expect(clock.pending()).toBe(0)
        for (const signal of [...signals, ...callers.map(({ left }) => left.signal)])
          expect(getEventListeners(signal, 'abort')).toHaveLength(0)
        const kinds = registry.history().map(({ kind }) => kind)
        const count = (kind: string): number => kinds.filter((one) => one === kind).length
        expect(count('stopInjecting')).toBe(count('inject'))
      },
    ),
    { seed, numRuns: 200 },
  )
})
