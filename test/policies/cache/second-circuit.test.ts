import { describe, expect, test } from 'vitest'
import { ManualClock, settle } from '../../../src/testing.js'
import { createRegistry } from '../../../src/registry.js'
import { Pause } from '../../../src/policies/cache/pause.js'
import { watch } from '../../support/calls.js'
import { FakeKeyv } from '../../support/fake-keyv.js'
import { down } from '../../support/loads.js'
import { bring, keyOf, process } from '../../support/second-level.js'

describe('18. second level: a dead or slow one', () => {
  test.each([
    ['in fallback-only', {}, 'recovers'] as const,
    ['in read-through', { freshFor: 1_000 }, 'goes live'] as const,
  ])('%s costs a first-level miss 50 ms once, and the next nothing', async (_, own, what) => {
    const store = new FakeKeyv()
    store.mode = 'hangs'
    const { clock, load, runs } = process(store, own)
    const first = watch(load('a'))
    await settle()
    if (what === 'recovers') runs[0]!.fail(down)
    await clock.advance(49)
    expect([first.state, runs.length]).toEqual(['pending', what === 'recovers' ? 1 : 0])
    await clock.advance(1)
    const before = runs.length
    if (what === 'goes live') runs.at(-1)!.fail(down)
    await settle()
    expect(first.error).toBe(down)
    const second = watch(load('b'))
    await settle()
    expect(runs).toHaveLength(before + 1)
    runs.at(-1)!.fail(down)
    await settle()
    expect(second.error).toBe(down)
    expect(load.cache.counts()).toMatchObject({ secondFailures: 1 })
    expect(load.cache.counts()['secondSkipped']).toBeGreaterThan(0)
  })

  test('when one has waited 50 ms in vain, those who came later wait no longer', async () => {
    const store = new FakeKeyv()
    store.mode = 'hangs'
    const { clock, load, runs } = process(store, { freshFor: 1_000 })
    void watch(load('a'))
    await clock.advance(40)
    void watch(load('b'))
    await clock.advance(9)
    expect(runs).toHaveLength(0)
    await clock.advance(1)
    expect(runs.map(({ id }) => id).sort()).toEqual(['a', 'b'])
  })

  test('a page that calls several dependencies with the same store finds out once', async () => {
    const store = new FakeKeyv()
    store.mode = 'hangs'
    const clock = new ManualClock()
    const registry = createRegistry({ clock, defaults: { stale: { store } } })
    const operations = ['one', 'two', 'three'].map((name) =>
      registry.dependency(name).wrap((_, id: string) => Promise.resolve(id), {
        name: 'load',
        key: (id) => id,
        scope: 'public',
        freshFor: 1_000,
      }),
    )
    const page = watch(
      (async () => {
        for (const load of operations) await load('a')
      })(),
    )
    await clock.advance(50)
    expect(page.state).toBe('resolved')
    expect(operations.map((load) => load.cache.counts()['secondSkipped'])).toEqual([0, 1, 1])
  })

  test('its trial runs behind: 1 s after the first failure, then 2, up to 30, and nobody waits for it', async () => {
    const store = new FakeKeyv()
    store.mode = 'hangs'
    const { clock, load, runs } = process(store, { freshFor: 1_000 })
    let n = 0
    const call = async (): Promise<void> => {
      const live = runs.length
      const result = watch(load(`k${n++}`))
      await settle()
      expect(runs).toHaveLength(live + 1)
      runs.at(-1)!.open('live')
      await settle()
      expect(result.value).toBe('live')
    }
    const reads = (): number => store.gets.filter((key) => key.endsWith('@cleared')).length
    void watch(load('first'))
    await clock.advance(50)
    const trials: number[] = []
    let last = clock.now()
    while (trials.length < 7) {
      await clock.advance(100)
      const before = reads()
      await call()
      if (reads() === before) continue
      await clock.advance(50)
      trials.push(Math.round((clock.now() - last) / 1_000))
      last = clock.now()
    }
    expect(trials).toEqual([1, 2, 4, 8, 16, 30, 30])
  })

  test('a trial that is answered closes it, and brings what it found', async () => {
    const store = new FakeKeyv()
    await bring(process(store), 'a', 'theirs')
    store.mode = 'hangs'
    const { clock, load, runs } = process(store, { freshFor: 10_000 })
    void watch(load('a'))
    await clock.advance(50)
    runs[0]!.fail(down)
    await clock.advance(2_000)
    store.release()
    void watch(load('a'))
    await settle()
    expect(runs).toHaveLength(2)
    expect(await load.outcome('a')).toMatchObject({ value: 'theirs' })
    const before = store.gets.length
    void watch(load('b'))
    await settle()
    expect(store.gets.length).toBeGreaterThan(before)
    expect(load.cache.counts()).toMatchObject({ secondHits: 1, secondFailures: 1 })
  })

  test('one trial at a time', async () => {
    const store = new FakeKeyv()
    store.mode = 'hangs'
    const { clock, load } = process(store, { freshFor: 1_000 })
    void watch(load('a'))
    await clock.advance(2_000)
    const before = store.gets.length
    for (const id of ['b', 'c', 'd']) void watch(load(id))
    await settle()
    expect(store.gets).toHaveLength(before + 2)
  })

  test('an error is a miss at once, counted, told of once, and opens it too', async () => {
    const store = new FakeKeyv()
    store.mode = 'fails'
    const { load, runs, reported } = process(store, { freshFor: 1_000 })
    for (const id of ['a', 'b']) {
      void watch(load(id))
      await settle()
    }
    expect(runs).toHaveLength(2)
    expect(reported).toMatchObject([{ message: 'get failed' }])
    expect(load.cache.counts()).toMatchObject({ secondFailures: 1, secondSkipped: 1, secondMisses: 0 })
  })

  test('a store that emits its error and answers that there is nothing has failed', async () => {
    const store = new FakeKeyv()
    const { load, reported } = process(store, { freshFor: 1_000 })
    store.mode = 'hangs'
    void watch(load('a'))
    await settle()
    store.emit(down)
    store.release()
    await settle()
    expect(reported[0]).toBe(down)
    expect(load.cache.counts()).toMatchObject({ secondFailures: 1, secondMisses: 0 })
  })

  test('its error events are told to the registry and crash nothing, also when nothing is cached yet', () => {
    const store = new FakeKeyv()
    const { reported } = process(store)
    store.emit(down)
    store.emit(down)
    store.emit('text')
    expect(reported).toEqual([down, 'text'])
  })

  test('a late answer is nobody’s, and an event loop that was blocked is not the store’s failure', async () => {
    const store = new FakeKeyv()
    await bring(process(store), 'a', 'theirs')
    store.mode = 'hangs'
    const { clock, load } = process(store, { freshFor: 1_000 })
    const call = watch(load('a'))
    await settle()
    clock.block(200)
    // Its answer has been there all the time, and is read in the poll phase before anybody judges.
    clock.afterPoll(() => {
      store.release()
    })
    await clock.advance(0)
    expect(call.value).toBe('theirs')
    expect(load.cache.counts()).toMatchObject({ secondFailures: 0 })
  })

  test('the dependency’s own circuit hears nothing of it', async () => {
    const store = new FakeKeyv()
    store.mode = 'fails'
    const rig = process(store, { freshFor: 1 })
    for (let i = 0; i < 30; i++) await bring(rig, `k${i}`, i)
    expect(rig.dependency.mode).toBe('available')
    expect(rig.dependency.health().counts.failures).toBe(0)
  })

  test('no timer of it is left, and none keeps the process alive', async () => {
    const store = new FakeKeyv()
    store.mode = 'hangs'
    const { clock, load, runs } = process(store, { freshFor: 1_000 })
    const call = watch(load('a'))
    await clock.advance(50)
    runs[0]!.open(1)
    await settle()
    expect(call.value).toBe(1)
    load.cache.delete('a')
    await settle()
    expect(clock.pending({ referenced: true })).toBe(0)
    store.release()
    await clock.advance(60_000)
    expect(clock.pending()).toBe(0)
    expect(store.data.get(keyOf('a'))).toContain('"gone":true')
  })
})

describe('a pause', () => {
  test('is off by up to a fifth either way, so that processes don’t act in step', () => {
    const wait = (random: number): number => {
      const pause = new Pause(new ManualClock({ random: () => random }))
      pause.failed('go')
      return pause.dueIn
    }
    expect([wait(0), wait(0.5), wait(0.999)].map(Math.round)).toEqual([800, 1_000, 1_200])
  })

  test('what began before the failure neither ends nor lengthens it', () => {
    const clock = new ManualClock()
    const pause = new Pause(clock)
    expect([pause.ask(), pause.ask()]).toEqual(['go', 'go'])
    expect([pause.failed('go'), pause.failed('go')]).toEqual([true, false])
    pause.passed('go')
    expect([pause.open, pause.dueIn, pause.ask()]).toEqual([true, 1_000, 'skip'])
  })
})
