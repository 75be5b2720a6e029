import { describe, expect, test } from 'vitest'
import { createRegistry } from '../../../src/registry.js'
import { settle } from '../../../src/testing.js'
import { watch } from '../../support/calls.js'
import { FakeKeyv } from '../../support/fake-keyv.js'
import { loads, type Loads } from '../../support/loads.js'
import { process } from '../../support/second-level.js'

/** Refreshed once, and from then on its dependency hangs. */
async function refreshed(rig: Loads, id = 'a', every = 10_000): Promise<void> {
  rig.load.refresh([id], { every })
  await rig.clock.advance(1_000)
  rig.last().open('put there')
  await settle()
}

describe('1. kinds: live: false', () => {
  test('with the dependency hung no request calls it, and each is answered with the true age', async () => {
    const rig = loads({ live: false })
    await refreshed(rig)
    const { clock, load, runs } = rig
    for (let waited = 0; waited < 100_000; waited += 5_000) {
      const refreshes = runs.length
      const outcome = watch(load.outcome('a'))
      await settle()
      expect(outcome.value).toMatchObject({ value: 'put there', source: 'stale', stale: true })
      expect(outcome.value!.age).toBe(clock.now() - 500)
      expect(runs).toHaveLength(refreshes)
      await clock.advance(5_000)
    }
    expect(load.cache.counts()['staleOffline']).toBe(20)
  })

  test('within freshFor what is read is fresh, and nothing is loaded ahead of its time', async () => {
    const rig = loads({ live: false, freshFor: 2_000 })
    await refreshed(rig, 'a', 600_000)
    await rig.clock.advance(1_400)
    expect(await rig.load.outcome('a')).toMatchObject({ source: 'fresh', stale: false, age: 1_900 })
    await rig.clock.advance(100)
    expect(await rig.load.outcome('a')).toMatchObject({ source: 'stale', stale: true, age: 2_000 })
    expect(rig.runs).toHaveLength(1)
  })

  test('it is answered in the same turn, with no timer, whatever the mode', async () => {
    const rig = loads({ live: false, total: 5_000 })
    await refreshed(rig)
    for (const mode of ['unavailable', 'available'] as const) {
      rig.registry.setMode('feed', mode, { reason: 'test' })
      const timers = rig.clock.pending()
      const served = watch(rig.load('a'))
      expect(rig.clock.pending()).toBe(timers)
      await settle()
      expect(served.value).toBe('put there')
    }
  })

  test('with nothing there the answer is an error that says so, and no call is made', async () => {
    const { load, runs, registry } = loads({ live: false })
    const told: unknown[] = []
    registry.on('call', ({ ok }) => told.push(ok))
    await expect(load('a')).rejects.toMatchObject({
      code: 'ERR_UNAVAILABLE',
      dependency: 'feed',
      message: expect.stringMatching(/nothing .* to read.*live: false/) as string,
    })
    expect(runs).toHaveLength(0)
    expect(told).toEqual([false])
    expect(load.cache.counts()).toMatchObject({ empty: 1 })
  })

  test('with nothing there a fallback is served', async () => {
    const { load, runs } = loads({ live: false, fallback: { value: 'instead' } })
    expect(await load.outcome('a')).toMatchObject({ value: 'instead', source: 'fallback' })
    const asked = loads({ live: false, fallback: ({ error }) => Promise.resolve(error) })
    expect(await asked.load('a')).toMatchObject({ code: 'ERR_UNAVAILABLE' })
    expect(runs).toHaveLength(0)
    expect(asked.runs).toHaveLength(0)
  })

  test('a caller that leaves while its fallback runs is told its own reason', async () => {
    const { load } = loads({ live: false, fallback: () => new Promise(() => undefined) })
    const controller = new AbortController()
    const left = watch(load.with({ signal: controller.signal })('a'))
    controller.abort('gone')
    await settle()
    expect(left).toMatchObject({ state: 'rejected', error: 'gone' })
  })

  test('what has passed staleFor is nothing', async () => {
    const rig = loads({ live: false, staleFor: 1_000 })
    await refreshed(rig, 'a', 600_000)
    await rig.clock.advance(500)
    await expect(rig.load('a')).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE' })
  })

  test('a call that key or scope keeps out of the cache is not made either', async () => {
    const { load, runs } = loads({
      live: false,
      key: (id) => {
        if (id === 'throws') throw new Error('key')
        return id === 'never' ? undefined : id
      },
    })
    for (const id of ['never', 'throws']) await expect(load(id)).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE' })
    expect(runs).toHaveLength(0)
  })

  test('not even while the dependency is disabled', async () => {
    const rig = loads({ live: false })
    await refreshed(rig)
    rig.registry.disable('feed', { reason: 'test', for: 1_000_000 })
    expect(await rig.load('a')).toBe('put there')
    await expect(rig.load('b')).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE' })
    expect(rig.runs).toHaveLength(1)
  })

  test('nor when the work would go on without its caller', async () => {
    const { load, runs } = loads({ live: false, detached: true })
    await expect(load('a')).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE' })
    expect(runs).toHaveLength(0)
  })

  test('after a delete nothing is there', async () => {
    const rig = loads({ live: false })
    await refreshed(rig, 'a', 600_000)
    rig.load.cache.delete('a')
    await expect(rig.load('a')).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE' })
  })

  test('what a caller waits for is of no use with it, and throws', () => {
    const dependency = createRegistry().dependency('feed', { stale: { softTimeout: 100 } })
    const cached = { key: () => 'k', scope: 'public' as const, live: false }
    for (const own of [{ softTimeout: 100 }, { coalesce: true }])
      expect(() => dependency.wrap(() => 1, { ...cached, ...own })).toThrow(
        expect.objectContaining({ code: 'ERR_OPTION', path: Object.keys(own)[0] }),
      )
    expect(() => dependency.wrap(() => 1, { live: false })).toThrow(expect.objectContaining({ path: 'live' }))
    dependency.wrap(() => 1, cached)
  })
})

describe('1. kinds: live: false with a second level', () => {
  const every = 10_000

  /** One process refreshes, another only ever reads; their stores are one. */
  function processes() {
    const store = new FakeKeyv()
    const refresher = process(store, {}, { timeout: 1_000 })
    const reader = process(store, { live: false }, { timeout: 1_000 })
    const both = async (ms: number): Promise<void> => {
      await refresher.clock.advance(ms)
      await reader.clock.advance(ms)
    }
    /** The refresher's call is answered. */
    const put = async (value: string): Promise<void> => {
      refresher.last().open(value)
      await settle()
      await refresher.clock.advance(1)
      await reader.clock.advance(1)
    }
    return { store, refresher, reader, both, put }
  }

  test('what another process has put there is the answer, with its age, and no call is made', async () => {
    const { refresher, reader, both, put } = processes()
    refresher.load.refresh(['a'], { every })
    await both(every)
    await put('first')
    const outcome = watch(reader.load.outcome('a'))
    await reader.clock.advance(1)
    expect(outcome.value).toMatchObject({ value: 'first', source: 'stale' })
    expect(outcome.value!.age).toBeGreaterThanOrEqual(1)
    expect(reader.runs).toHaveLength(0)
  })

  test('a value that came with a call, or from a dump, and doesn’t tell how often it is refreshed, is looked after too', async () => {
    const { store, refresher, reader, both, put } = processes()
    const called = refresher.load('a')
    await settle()
    await put('called')
    await called
    const first = watch(reader.load('a'))
    await reader.clock.advance(1)
    expect(first.value).toBe('called')
    const dumped = process(store, { live: false }, { timeout: 1_000 })
    await dumped.clock.advance(1)
    expect(dumped.load.cache.load(reader.load.cache.dump())).toMatchObject({ loaded: 1 })
    refresher.load.refresh(['a'], { every })
    await both(every)
    await put('refreshed')
    for (const one of [reader, dumped]) {
      await one.clock.advance(6_000)
      void watch(one.load('a'))
      await one.clock.advance(1)
      expect(await one.load('a')).toBe('refreshed')
    }
    const looks = store.gets.length
    void watch(reader.load('a'))
    await reader.clock.advance(1)
    expect(store.gets.length).toBe(looks)
  })

  test('what it puts there next is seen within its interval and a tenth, with one look in each tenth', async () => {
    const { store, refresher, reader, both, put } = processes()
    refresher.load.refresh(['a'], { every })
    await both(every)
    await put('first')
    const first = watch(reader.load('a'))
    await reader.clock.advance(1)
    expect(first.value).toBe('first')
    let reads = store.gets.length
    let seen = 'first'
    let late = 0
    let answered = false
    for (let waited = 0; waited < 2 * every; waited += 100) {
      await both(100)
      if (refresher.runs.length === 2 && !answered) {
        answered = true
        await put('second')
      }
      const answer = watch(reader.load('a'))
      await settle()
      if (refresher.runs.length >= 2 && seen === 'first') late += 100
      seen = answer.value as string
    }
    expect(seen).toBe('second')
    expect(late).toBeLessThanOrEqual(every * 0.1 + 200)
    reads = store.gets.length - reads
    expect(reads).toBeLessThanOrEqual((2 * (2 * every)) / (every * 0.1))
    expect(reader.runs).toHaveLength(0)
  })

  test('when that comes late, it goes on looking until it is there', async () => {
    const { refresher, reader, both, put } = processes()
    refresher.load.refresh(['a'], { every })
    await both(every)
    await put('first')
    const read = async (): Promise<unknown> => {
      const answer = watch(reader.load('a'))
      await reader.clock.advance(1)
      return answer.value
    }
    expect(await read()).toBe('first')
    // The second refresh hangs, and is given up; meanwhile the reader has looked in vain.
    for (let waited = 0; refresher.runs.length < 3; waited += 500) {
      expect(waited).toBeLessThan(4 * every)
      await both(500)
      expect(await read()).toBe('first')
    }
    await put('third')
    let seen = await read()
    for (let waited = 0; waited < every * 0.1 && seen === 'first'; waited += 100) {
      await both(100)
      seen = await read()
    }
    await reader.clock.advance(1)
    expect(await read()).toBe('third')
  })

  test('with nothing there either it is an error, and the second level is asked once', async () => {
    const { store, reader } = processes()
    const call = watch(reader.load('a'))
    await reader.clock.advance(1)
    expect(call.error).toMatchObject({ code: 'ERR_UNAVAILABLE' })
    expect(store.gets.length).toBeGreaterThan(0)
    expect(reader.runs).toHaveLength(0)
  })

  test('a second level that hangs costs it 50 ms, once', async () => {
    const { store, reader } = processes()
    store.mode = 'hangs'
    const call = watch(reader.load('a'))
    await reader.clock.advance(49)
    expect(call.state).toBe('pending')
    await reader.clock.advance(1)
    expect(call.error).toMatchObject({ code: 'ERR_UNAVAILABLE' })
    const next = watch(reader.load('a'))
    await settle()
    expect(next.error).toMatchObject({ code: 'ERR_UNAVAILABLE' })
  })
})
