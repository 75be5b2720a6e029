import { describe, expect, it } from 'vitest'
import {
  circuit,
  compose,
  createRegistry,
  type Drained,
  type DependencyOptions,
  type OperationOptions,
} from '../src/index.js'
import { ManualClock, settle } from '../src/testing.js'
import { watch } from './support/calls.js'
import { gate, type Gate } from './support/gate.js'
import { rig } from './support/rig.js'
import { probed } from './support/probed.js'
import { turns } from './support/turns.js'

/** Work that ends when it is told to by its signal. */
function obedient(options: DependencyOptions = {}, own: OperationOptions<[], unknown> = {}) {
  const clock = new ManualClock()
  const registry = createRegistry({ clock })
  const dependency = registry.dependency('feed', options)
  const aborted: unknown[] = []
  const call = dependency.wrap(
    ({ signal }) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          aborted.push(signal.reason)
          reject(new Error('stopped'))
        })
      }),
    { name: 'load', ...own },
  )
  return { clock, registry, dependency, call, aborted }
}

const reason = 'repair'

describe('a drain', () => {
  it('of a dependency that nobody uses is done at once; calls are refused until it is released', async () => {
    const { dependency, registry, call, begun, succeed } = rig({ circuit: { rampFor: 0 } })
    const drained = await dependency.drain({ reason, by: 'ann' })
    expect(registry.snapshot().feed).toMatchObject({ mode: 'unavailable', available: false, reason })
    await expect(call()).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE' })
    expect(begun).toHaveLength(0)
    drained.release()
    await succeed()
    expect(dependency.mode).toBe('available')
    expect(registry.history().map(({ kind, mode, cause }) => [kind, mode, cause.reason, cause.by])).toEqual([
      ['drain', 'available', reason, 'ann'],
      ['flip', 'unavailable', reason, 'ann'],
      ['release', 'unavailable', 'released', 'ann'],
      ['flip', 'available', 'released', undefined],
    ])
  })

  it('waits for the calls in flight, which go on as if nothing were', async () => {
    const { dependency, call, begun, clock } = rig()
    const calls = [watch(call()), watch(call())]
    const drained = watch(dependency.drain({ reason, timeout: 1_000 }))
    await clock.advance(900)
    begun[0]!.open('one')
    await settle()
    expect([drained.state, calls[0]!.value]).toEqual(['pending', 'one'])
    begun[1]!.open('two')
    await settle()
    expect([drained.state, calls[1]!.value]).toEqual(['resolved', 'two'])
    expect(clock.pending({ referenced: true })).toBe(0)
  })

  it('refuses who waits for a slot, at once', async () => {
    const { dependency, call, begun } = rig({ bulkhead: { slots: 1 } })
    void call()
    const waiting = watch(call())
    const drained = watch(dependency.drain({ reason }))
    await settle()
    expect(waiting.error).toMatchObject({ code: 'ERR_UNAVAILABLE' })
    begun[0]!.open('ok')
    await settle()
    expect([begun.length, drained.state]).toEqual([1, 'resolved'])
  })

  it('refuses them too when it was unavailable before', async () => {
    const { dependency, registry, call, begun } = rig({ bulkhead: { slots: 1 } })
    void call()
    registry.setMode('feed', 'available', { reason: 'vouched for' })
    const waiting = watch(call())
    const first = watch(dependency.drain({ reason }))
    await settle()
    expect(waiting.error).toMatchObject({ code: 'ERR_UNAVAILABLE' })
    begun[0]!.open('ok')
    await settle()
    expect(first.state).toBe('resolved')
  })

  // Between the grant and the start of the work lie a few promise reactions.
  it.each([0, 1, 2, 3, 4])('lets nobody begin who was handed a slot %i turns before', async (later) => {
    for (const enforce of [true, false]) {
      const feed = rig({ bulkhead: { slots: 1 }, enforce, circuit: { consecutiveFailures: 1 } })
      const { dependency, call, begun } = feed
      // With rules that are only watched, those who pass an open circuit have their own mark.
      if (!enforce) await feed.failing()
      watch(call())
      const waiting = watch(call())
      await settle()
      begun[0]!.open('ok')
      await turns(later)
      const drained = watch(dependency.drain({ reason }))
      await settle()
      // Either it had begun, and is waited for, or it never does.
      if (begun.length === 1) expect([waiting.state, drained.state]).toEqual(['rejected', 'resolved'])
      else expect([waiting.state, drained.state]).toEqual(['pending', 'pending'])
    }
  })

  it('aborts at its bound what is left; callers are told, and it is done when the work has ended', async () => {
    const { clock, dependency, call, aborted } = obedient()
    const caller = watch(call())
    const drained = watch(dependency.drain({ reason, timeout: 500 }))
    await clock.advance(499)
    expect(aborted).toEqual([])
    await clock.advance(1)
    expect(caller.error).toMatchObject({ code: 'ERR_UNAVAILABLE', dependency: 'feed', message: 'feed is drained' })
    expect([aborted, drained.state]).toEqual([[caller.error], 'resolved'])
    expect(dependency.health().counts).toMatchObject({ aborts: 1, failures: 0 })
  })

  it("has the dependency's timeout for its bound unless it is told one", async () => {
    const { clock, dependency, call, aborted } = obedient({ timeout: 700 }, { timeout: 60_000 })
    watch(call())
    void dependency.drain({ reason })
    await clock.advance(699)
    expect(aborted).toEqual([])
    await clock.advance(1)
    expect(aborted).toHaveLength(1)
  })

  it('waits for work whose caller has had his time-out, and for work whose slot was reclaimed', async () => {
    const { clock, dependency, call, begun } = rig({ timeout: 100, bulkhead: { reclaimAfter: 200 } })
    watch(call())
    await clock.advance(100)
    watch(call())
    await clock.advance(200)
    expect(dependency.inFlight()).toMatchObject([
      { callerGone: true, reclaimed: true },
      { callerGone: true, reclaimed: false },
    ])
    const drained = watch(dependency.drain({ reason, timeout: 10_000 }))
    begun[1]!.open('late')
    await settle()
    expect(drained.state).toBe('pending')
    begun[0]!.open('later')
    await settle()
    expect(drained.state).toBe('resolved')
  })

  it('waits for detached work whose caller has left', async () => {
    const clock = new ManualClock()
    const dependency = createRegistry({ clock }).dependency('feed')
    const work = gate<string>()
    const leaving = new AbortController()
    const save = dependency.wrap(() => work.promise, { name: 'save', idempotent: false })
    const caller = watch(save.with({ signal: leaving.signal })())
    leaving.abort(new Error('gone'))
    await settle()
    expect(caller.error).toMatchObject({ message: 'gone' })
    const drained = watch(dependency.drain({ reason, timeout: 1_000 }))
    await clock.advance(999)
    expect(drained.state).toBe('pending')
    work.open('saved')
    await settle()
    expect(drained.state).toBe('resolved')
  })

  it('waits for operations that were composed by hand around its circuit, and refuses more of them', async () => {
    const clock = new ManualClock()
    const dependency = createRegistry({ clock }).dependency('feed')
    const work = gate<string>()
    const load = compose([], [circuit(dependency)], { clock, name: 'by hand' })(() => work.promise)
    const caller = watch(load())
    expect(dependency.inFlight()).toMatchObject([{ operation: 'by hand' }])
    const drained = watch(dependency.drain({ reason, timeout: 1_000 }))
    await clock.advance(500)
    expect(drained.state).toBe('pending')
    await expect(load()).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE' })
    work.open('ok')
    await settle()
    expect([caller.value, drained.state]).toEqual(['ok', 'resolved'])
  })

  it('waits for calls that went straight through while it was disabled, and refuses more of them', async () => {
    const { dependency, registry, call, begun } = rig()
    registry.disable('feed', { reason: 'library in doubt' })
    const caller = watch(call())
    const drained = watch(dependency.drain({ reason }))
    await expect(call()).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE' })
    begun[0]!.open('ok')
    await settle()
    expect([caller.value, drained.state]).toEqual(['ok', 'resolved'])
    drained.value!.release()
    const after = watch(call())
    await settle()
    expect([begun.length, after.state]).toEqual([2, 'pending'])
  })

  it('goes before a forced mode', async () => {
    const { dependency, registry, call } = rig()
    registry.setMode('feed', 'available', { reason: 'vouched for' })
    await dependency.drain({ reason })
    await expect(call()).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE' })
    registry.setMode('feed', 'available', { reason: 'really' })
    await expect(call()).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE' })
  })

  it('is obeyed where rules are only watched', async () => {
    const { dependency, call } = rig({ enforce: false })
    const drained = await dependency.drain({ reason })
    await expect(call()).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE' })
    drained.release()
    expect(dependency.mode).toBe('available')
  })

  it('is refused by a dependency that is closed, and with bad options', async () => {
    const { dependency } = rig()
    await expect(dependency.drain({} as never)).rejects.toMatchObject({ code: 'ERR_OPTION', path: 'drain.reason' })
    for (const [name, value] of Object.entries({ timeout: 0, grace: -1, by: '', for: 1 }))
      await expect(dependency.drain({ reason, [name]: value })).rejects.toMatchObject({
        code: 'ERR_OPTION',
        path: `drain.${name}`,
      })
    expect(dependency.mode).toBe('available')
    await dependency.close()
    await expect(dependency.drain({ reason })).rejects.toMatchObject({ code: 'ERR_CLOSED' })
  })
})

describe('a drain that can not finish', () => {
  it('says which calls hold it, oldest first, with class, label and age, and lets calls in again', async () => {
    const { clock, registry, dependency, call, begun } = rig({ circuit: { rampFor: 0 }, timeout: 60_000 })
    watch(call({ class: 'feeds', label: 'category page' }))
    await clock.advance(300)
    watch(call())
    const drained = watch(dependency.drain({ reason, by: 'ann', timeout: 500, grace: 200 }))
    await clock.advance(699)
    expect([drained.state, dependency.mode]).toEqual(['pending', 'unavailable'])
    await clock.advance(1)
    expect(drained.error).toMatchObject({
      code: 'ERR_DRAIN',
      dependency: 'feed',
      message: 'feed could not be drained: 2 still running',
      held: [
        { operation: 'load', class: 'feeds', label: 'category page', age: 1_000 },
        { operation: 'load', age: 700 },
      ],
    })
    expect(dependency.mode).toBe('available')
    expect(registry.history().map(({ kind }) => kind)).toEqual(['drain', 'flip', 'release', 'flip'])
    const next = watch(call())
    begun[2]!.open('ok')
    await settle()
    expect(next.value).toBe('ok')
    expect(dependency.inFlight()).toHaveLength(2)
  })

  it('names only what held it: not what a listener begins the moment it is open again', async () => {
    const { clock, registry, dependency, call } = rig({ circuit: { rampFor: 0 }, timeout: 60_000 })
    watch(call())
    registry.on('flip', ({ mode }) => {
      if (mode === 'available') watch(call())
    })
    const drained = watch(dependency.drain({ reason, timeout: 100, grace: 0 }))
    await clock.advance(100)
    expect((drained.error as { held: unknown[] }).held).toHaveLength(1)
    expect((drained.error as Error).message).toBe('feed could not be drained: 1 still running')
  })

  it('is held by work that is listed no more, of which there may be any number', async () => {
    const { clock, dependency, begun, call } = rig({
      timeout: 100,
      bulkhead: { slots: 2_000, reclaimAfter: 100 },
      circuit: { minimumCalls: 5_000, consecutiveFailures: false, rampFor: 0 },
    })
    for (let i = 0; i < 1_005; i++) watch(call())
    await clock.advance(200)
    expect(dependency.inFlight()).toHaveLength(1_000)
    expect(dependency.health().inFlight).toBe(1_005)
    const works: Gate<string>[] = begun.splice(0)
    for (const work of works.slice(5)) work.open('late')
    await settle()
    expect(dependency.inFlight()).toHaveLength(0)
    expect(dependency.health().inFlight).toBe(5)
    const first = watch(dependency.drain({ reason, timeout: 100, grace: 0 }))
    await clock.advance(100)
    expect(first.error).toMatchObject({ message: 'feed could not be drained: 5 still running', held: [] })
    const second = watch(dependency.drain({ reason, timeout: 100 }))
    for (const work of works.slice(0, 5)) work.open('at last')
    await settle()
    expect([second.state, dependency.health().inFlight]).toEqual(['resolved', 0])
  })

  it('leaves others to theirs: one who gives up does not open it for the one who goes on', async () => {
    const { clock, dependency, call, begun } = rig({ timeout: 60_000 })
    watch(call())
    const [short, long] = [
      watch(dependency.drain({ reason: 'short', timeout: 100, grace: 100 })),
      watch(dependency.drain({ reason: 'long', timeout: 10_000 })),
    ]
    await clock.advance(200)
    expect([short.state, long.state, dependency.mode]).toEqual(['rejected', 'pending', 'unavailable'])
    begun[0]!.open('ok')
    await settle()
    expect([long.state, dependency.mode]).toEqual(['resolved', 'unavailable'])
    expect(dependency.health().reason).toBe('long')
  })
})

describe('two drains at once', () => {
  it('both get it; it is open again when both have released it, and the history says who did what', async () => {
    const { registry, dependency } = rig({ circuit: { rampFor: 0 } })
    const ann = await dependency.drain({ reason: 'repair', by: 'ann' })
    const bob = await dependency.drain({ reason: 'backup', by: 'bob' })
    expect(dependency.health().reason).toBe('repair')
    ann.release()
    expect([dependency.mode, dependency.health().reason]).toEqual(['unavailable', 'backup'])
    bob.release()
    expect(dependency.mode).toBe('available')
    const acts = registry.history().filter(({ kind }) => kind !== 'flip')
    expect(acts.map(({ kind, cause }) => [kind, cause.reason, cause.by])).toEqual([
      ['drain', 'repair', 'ann'],
      ['drain', 'backup', 'bob'],
      ['release', 'released', 'ann'],
      ['release', 'released', 'bob'],
    ])
    expect(registry.history().filter(({ kind }) => kind === 'flip')).toHaveLength(2)
  })

  it('may be given the very same options', async () => {
    const { dependency } = rig({ circuit: { rampFor: 0 } })
    const options = { reason }
    const [first, second] = await Promise.all([dependency.drain(options), dependency.drain(options)])
    first.release()
    expect(dependency.mode).toBe('unavailable')
    second.release()
    expect(dependency.mode).toBe('available')
  })
})

describe('a release', () => {
  it('is idempotent: twice by one does not open it for another', async () => {
    const { registry, dependency } = rig({ circuit: { rampFor: 0 } })
    const first = await dependency.drain({ reason })
    const second = await dependency.drain({ reason })
    first.release()
    first.release()
    await first[Symbol.asyncDispose]()
    expect(dependency.mode).toBe('unavailable')
    second.release()
    expect(dependency.mode).toBe('available')
    expect(registry.history().filter(({ kind }) => kind === 'release')).toHaveLength(2)
  })

  it('comes by itself at the end of the block that holds it, thrown out of or not', async () => {
    const { dependency } = rig({ circuit: { rampFor: 0 } })
    const repair = async (): Promise<void> => {
      await using drained: Drained = await dependency.drain({ reason })
      expect([typeof drained.release, dependency.mode]).toEqual(['function', 'unavailable'])
      throw new Error('the repair failed')
    }
    await expect(repair()).rejects.toThrow('the repair failed')
    expect(dependency.mode).toBe('available')
  })

  it('is followed by a ramp', async () => {
    const { dependency } = rig({ bulkhead: { slots: 10 }, circuit: { rampFor: 10_000 } })
    const drained = await dependency.drain({ reason })
    drained.release()
    expect(dependency.health()).toMatchObject({ mode: 'available', ramp: 0 })
  })

  it('after the registry was closed is harmless', async () => {
    const { clock, registry, dependency } = rig()
    const drained = await dependency.drain({ reason })
    await registry.close()
    drained.release()
    expect([dependency.mode, clock.pending()]).toEqual(['unavailable', 0])
  })
})

describe('a drain whose dependency is closed meanwhile', () => {
  it('is given up with work that does not end, and leaves no timer that keeps the process alive', async () => {
    const { clock, registry, call } = rig({ bulkhead: { reclaimAfter: 10_000 } })
    watch(call())
    const drains = [
      watch(registry.get('feed')!.drain({ reason, timeout: 60_000 })),
      watch(registry.get('feed')!.drain({ reason, timeout: 50, grace: 60_000 })),
    ]
    await clock.advance(60)
    const closed = watch(registry.close({ timeout: 100 }))
    await clock.advance(99)
    expect(drains.map(({ state }) => state)).toEqual(['pending', 'pending'])
    await clock.advance(1)
    expect(closed.state).toBe('resolved')
    for (const { error } of drains) expect(error).toMatchObject({ code: 'ERR_CLOSED' })
    expect(clock.pending()).toBe(0)
  })

  it('is done as ever when the work ends in time', async () => {
    const { clock, registry, call, begun } = rig()
    watch(call())
    const drained = watch(registry.get('feed')!.drain({ reason, timeout: 60_000 }))
    await settle()
    const closed = watch(registry.close({ timeout: 100 }))
    begun[0]!.open('ok')
    await settle()
    expect([drained.state, closed.state]).toEqual(['resolved', 'resolved'])
    // The watch for stalls of the loop ends with its next look.
    await clock.advance(100)
    expect(clock.pending()).toBe(0)
  })
})

describe('a drain and a circuit that is not closed', () => {
  it('waits for a trial, whose success closes the circuit, and opens the dependency only when released', async () => {
    const { clock, dependency, failing, call, begun } = rig({ circuit: { openFor: 1_000, rampFor: 0 } })
    await failing(10)
    await clock.advance(1_000)
    const trial = watch(call())
    const drained = watch(dependency.drain({ reason, timeout: 1_000 }))
    await clock.advance(500)
    expect([drained.state, dependency.health().circuit]).toEqual(['pending', 'half-open'])
    begun[0]!.open('ok')
    await settle()
    expect([trial.value, drained.state]).toEqual(['ok', 'resolved'])
    expect(dependency.health()).toMatchObject({ circuit: 'closed', mode: 'unavailable', reason })
    drained.value!.release()
    expect(dependency.mode).toBe('available')
  })

  it('aborts a trial at its bound, which decides nothing: the next may run after the release', async () => {
    const { clock, registry, dependency, failing, call, begun } = rig({ circuit: { openFor: 1_000, rampFor: 0 } })
    await failing(10)
    await clock.advance(1_000)
    const trial = watch(call())
    const drained = watch(dependency.drain({ reason, timeout: 100 }))
    await clock.advance(100)
    expect(trial.error).toMatchObject({ code: 'ERR_UNAVAILABLE' })
    begun[0]!.fail(new Error('late'))
    await settle()
    drained.value!.release()
    expect(registry.snapshot().feed).toMatchObject({ circuit: 'half-open', mode: 'unavailable', available: true })
    const next = watch(call())
    begun[1]!.open('ok')
    await settle()
    expect([next.value, dependency.mode]).toEqual(['ok', 'available'])
  })

  it('lets no call be a trial while it lasts', async () => {
    const { clock, registry, dependency, failing, call, begun } = rig({ circuit: { openFor: 1_000 } })
    await failing(10)
    await dependency.drain({ reason })
    await clock.advance(5_000)
    expect(registry.snapshot().feed).toMatchObject({ circuit: 'half-open', available: false })
    await expect(call()).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE' })
    expect(begun).toHaveLength(0)
  })

  it('learns from probes how it is when it is released', async () => {
    const feed = probed({ every: 1_000, failures: 2 }, { circuit: { openFor: 60_000 } })
    const drained = await feed.dependency.drain({ reason })
    feed.answer = 'fail'
    await feed.clock.advance(5_000)
    drained.release()
    expect(feed.dependency.health()).toMatchObject({ mode: 'unavailable', circuit: 'open' })
    expect(feed.flips).toEqual(['unavailable by drain'])
  })
})
