import { describe, expect, it } from 'vitest'
import { ClosedError, compose, createBudgets, createRegistry, OptionError } from '../src/index.js'
import { ManualClock } from '../src/testing.js'
import { watch } from './support/calls.js'
import { rig } from './support/rig.js'

describe('naming', () => {
  it('finds a dependency by its name, and refuses a second of the same', () => {
    const registry = createRegistry()
    const feed = registry.dependency('feed')
    expect(registry.get('feed')).toBe(feed)
    expect(registry.get('other')).toBeUndefined()
    expect(() => registry.dependency('feed')).toThrow(OptionError)
  })

  it('takes __proto__ for a name like any other', () => {
    const registry = createRegistry()
    registry.dependency('__proto__')
    expect(registry.snapshot()['__proto__']).toMatchObject({ known: true, available: true })
  })
})

describe('a clock', () => {
  it.each([[{}], [null], [{ now: () => 1, wall: () => 1 }], ['x']])('is refused when it is none: %o', (clock) => {
    const options = { clock: clock as never }
    const refusal = expect.objectContaining({ code: 'ERR_OPTION' }) as Error
    expect(() => createRegistry(options)).toThrow(refusal)
    expect(() => createBudgets({ slots: 1, classes: { pages: {} }, ...options })).toThrow(refusal)
    expect(() => compose([], [], options)).toThrow(refusal)
  })
})

describe('an operator', () => {
  it('forces a mode that holds whatever traffic says, until it expires', async () => {
    const { registry, dependency, succeed, begun, call, clock } = rig()
    registry.setMode('feed', 'unavailable', { reason: 'upgrade', by: 'ann', for: 60_000 })
    await expect(call()).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE' })
    expect(begun).toHaveLength(0)
    expect(dependency.mode).toBe('unavailable')
    await clock.advance(59_999)
    expect(dependency.mode).toBe('unavailable')
    await clock.advance(1)
    expect(dependency.mode).toBe('available')
    await succeed(1)
    expect(registry.history().map(({ kind, mode, cause }) => [kind, mode, cause.reason, cause.by])).toEqual([
      ['setMode', 'unavailable', 'upgrade', 'ann'],
      ['flip', 'unavailable', 'upgrade', 'ann'],
      ['clearMode', 'unavailable', 'expired', undefined],
      ['flip', 'available', 'expired', undefined],
    ])
  })

  it('forces available: calls pass although the circuit was open, and failures flip nothing until it is cleared', async () => {
    const { registry, dependency, failing, clock } = rig()
    await failing(10)
    registry.setMode('feed', 'available', { reason: 'known good' })
    await failing(30)
    expect(dependency.health()).toMatchObject({ mode: 'available', counts: { failures: 40, rejects: 0 } })
    registry.clearMode('feed', { by: 'ann' })
    expect(dependency.mode).toBe('available')
    await failing(1)
    expect(dependency.mode).toBe('unavailable')
    await clock.advance(0)
  })

  it('holds for 30 minutes unless told otherwise, and without end only if told so', async () => {
    const { registry, dependency, clock } = rig()
    registry.setMode('feed', 'unavailable', { reason: 'r' })
    await clock.advance(30 * 60_000 - 1)
    expect(dependency.mode).toBe('unavailable')
    await clock.advance(1)
    expect(dependency.mode).toBe('available')
    registry.setMode('feed', 'unavailable', { reason: 'r', for: Infinity })
    await clock.advance(365 * 24 * 3_600_000)
    expect(dependency.mode).toBe('unavailable')
  })

  it('does not see the expiry of an override that was replaced', async () => {
    const { registry, dependency, clock } = rig()
    registry.setMode('feed', 'unavailable', { reason: 'first', for: 1_000 })
    registry.setMode('feed', 'unavailable', { reason: 'second', for: 10_000 })
    await clock.advance(5_000)
    expect(dependency.mode).toBe('unavailable')
  })

  it('lets a dependency come back through the ramp after a forced outage', () => {
    const { registry, dependency } = rig()
    registry.setMode('feed', 'unavailable', { reason: 'upgrade' })
    registry.clearMode('feed')
    expect(dependency.health()).toMatchObject({ mode: 'available', ramp: 0 })
  })

  it('is not fooled by the wall clock: stepping it an hour changes stamps only', async () => {
    const { registry, dependency, clock } = rig()
    registry.setMode('feed', 'unavailable', { reason: 'upgrade', for: 60_000 })
    clock.stepWall(3_600_000)
    await clock.advance(59_999)
    expect(dependency.mode).toBe('unavailable')
    clock.stepWall(-7_200_000)
    await clock.advance(1)
    expect(dependency.mode).toBe('available')
  })

  it.each([
    ['no reason', 'feed', 'unavailable', {}, 'setMode.reason'],
    ['an empty reason', 'feed', 'unavailable', { reason: '' }, 'setMode.reason'],
    ['an unknown mode', 'feed', 'down', { reason: 'r' }, 'mode'],
    ['an unknown name', 'nope', 'unavailable', { reason: 'r' }, 'name'],
    ['a time of 0', 'feed', 'unavailable', { reason: 'r', for: 0 }, 'setMode.for'],
    ['a time that is NaN', 'feed', 'unavailable', { reason: 'r', for: NaN }, 'setMode.for'],
    ['an unknown option', 'feed', 'unavailable', { reason: 'r', form: 1 }, 'setMode.form'],
  ])('is refused %s, and nothing has happened then', (_case, name, mode, options, path) => {
    const { registry, dependency } = rig()
    const force = (): void => registry.setMode(name, mode as 'available', options as { reason: string })
    expect(force).toThrow(expect.objectContaining({ code: 'ERR_OPTION', path }) as Error)
    expect(dependency.mode).toBe('available')
    expect(registry.history()).toHaveLength(0)
  })
})

describe('listening', () => {
  it('tells of every call how it ended, without arguments, keys or values', async () => {
    const { registry, dependency, clock } = rig()
    const calls: unknown[] = []
    const off = registry.on('call', (call) => calls.push(call))
    const load = dependency.wrap(
      ({ attempt }, secret: string) => {
        if (secret === 'boom') throw Object.assign(new Error(`no ${secret}`), { code: 'E_NO' })
        return attempt
      },
      { name: 'get', key: (secret) => secret, scope: 'public' },
    )
    await load.with({ class: 'pages', label: 'home' })('s3cret')
    await load('boom').catch(() => undefined)
    off()
    await load('s3cret')
    await clock.advance(0)
    expect(calls).toEqual([
      {
        dependency: 'feed',
        operation: 'get',
        class: 'pages',
        label: 'home',
        ok: true,
        source: 'live',
        attempts: 1,
        took: 0,
      },
      { dependency: 'feed', operation: 'get', ok: false, code: 'E_NO', attempts: 1, took: 0 },
    ])
    expect(JSON.stringify(calls)).not.toContain('s3cret')
  })

  it('tells how long its caller waited, also for something better than a value that was judged failed', async () => {
    const { registry, dependency, clock } = rig({ circuit: { isFailure: ({ value }) => value === 'bad' } })
    const took: number[] = []
    registry.on('call', (call) => took.push(call.took))
    const after = <T>(ms: number, settle: (resolve: (value: T) => void, reject: (error: Error) => void) => void) =>
      new Promise<T>((resolve, reject) => clock.setTimer(() => settle(resolve, reject), ms))
    const load = dependency.wrap((_context, value: string) => after<string>(50, (resolve) => resolve(value)), {
      fallback: () => after<string>(300, (_resolve, reject) => reject(new Error('none either'))),
    })
    const answers = [load('good'), load('bad')]
    await clock.advance(400)
    expect(await Promise.all(answers)).toEqual(['good', 'bad'])
    expect(took).toEqual([50, 350])
  })

  it('does not let a listener hurt a call: what it throws or rejects with is reported', async () => {
    const { registry, dependency } = rig()
    const errors: unknown[] = []
    registry.on('error', ({ error }) => errors.push(error))
    registry.on('call', () => {
      throw new Error('sync')
    })
    registry.on('call', () => Promise.reject(new Error('async')))
    expect(await dependency.run(() => 7)).toBe(7)
    await Promise.resolve()
    expect(errors.map(String)).toEqual(['Error: sync', 'Error: async'])
  })

  it('does not go round in circles when the listener for errors throws', async () => {
    const { registry, dependency } = rig()
    let told = 0
    registry.on('error', () => {
      told++
      throw new Error('again')
    })
    registry.on('call', () => {
      throw new Error('first')
    })
    await dependency.run(() => 7)
    expect(told).toBe(1)
  })
})

describe('closing', () => {
  it('refuses new calls and waiters, lets calls in flight end, and then says so', async () => {
    const { registry, call, begun, clock } = rig({ bulkhead: { slots: 1 } })
    const running = watch(call())
    const waiting = watch(call())
    const closed = watch(registry.close())
    await clock.advance(0)
    expect(waiting.error).toBeInstanceOf(ClosedError)
    await expect(call()).rejects.toMatchObject({ code: 'ERR_CLOSED' })
    expect([running.state, closed.state]).toEqual(['pending', 'pending'])
    begun[0]!.open('done')
    await clock.advance(0)
    expect(running).toMatchObject({ state: 'resolved', value: 'done' })
    expect(closed.state).toBe('resolved')
    expect(() => registry.dependency('late')).toThrow(ClosedError)
  })

  it('aborts what is left after its time, and leaves no timer but that of a slot which hung work still holds', async () => {
    const { registry, dependency, clock } = rig({ timeout: 5_000 })
    let signal: AbortSignal | undefined
    const hung = watch(
      dependency.run((context) => {
        signal = context.signal
        return new Promise<never>(() => undefined)
      }),
    )
    const closed = watch(registry.close({ timeout: 100 }))
    await clock.advance(100)
    expect(closed.state).toBe('resolved')
    expect(hung.error).toBeInstanceOf(ClosedError)
    expect(signal!.reason).toBeInstanceOf(ClosedError)
    await clock.advance(100)
    expect(clock.pending({ referenced: true })).toBe(0)
    await clock.advance(50_000)
    expect(clock.pending()).toBe(0)
  })

  it('is the same when asked twice', () => {
    const { registry } = rig()
    expect(registry.close()).toBe(registry.close())
  })

  it('gives its share of a pool back', async () => {
    const { createPool } = await import('../src/index.js')
    const pool = createPool({ name: 'db', slots: 10 })
    const registry = createRegistry({ clock: new ManualClock() })
    const first = registry.dependency('first', { bulkhead: { pool, guaranteed: 8 } })
    await first.close()
    expect(pool.usage().members).toEqual({})
    registry.dependency('second', { bulkhead: { pool, guaranteed: 8 } })
  })
})

describe('many dependencies', () => {
  it('holds ten thousand, which have no timer while they are idle', async () => {
    const clock = new ManualClock()
    const registry = createRegistry({ clock })
    const all = Array.from({ length: 10_000 }, (_, i) => registry.dependency(`d${i}`))
    expect(clock.pending()).toBe(0)
    await Promise.all(all.map((dependency) => dependency.run(() => Promise.resolve(1))))
    await clock.advance(10_000)
    expect(clock.pending()).toBe(0)
    expect(registry.snapshot().list()).toHaveLength(10_000)
  })
})
