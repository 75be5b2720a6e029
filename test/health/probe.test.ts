import { describe, expect, it } from 'vitest'
import { createRegistry } from '../../src/index.js'
import { ManualClock, settle } from '../../src/testing.js'
import { watch } from '../support/calls.js'
import { gate } from '../support/gate.js'
import { probed, type Answer } from '../support/probed.js'

/** The manual clock's chance is always in the middle: a first probe comes after half a period, then once in each. */
const EVERY = 1_000
const FIRST = EVERY / 2

/** Probes fail until the circuit is open. */
async function opened(...args: Parameters<typeof probed>) {
  const [probe, options, clock] = args
  const feed = probed({ every: EVERY, timeout: 100, ...probe }, { circuit: { openFor: 5_000 }, ...options }, clock)
  feed.answer = 'fail'
  await feed.clock.advance(FIRST + 2 * EVERY)
  expect(feed.dependency.health()).toMatchObject({ circuit: 'open', retryAfter: 5_000 })
  feed.asked.length = 0
  return feed
}

describe('a probe', () => {
  it('is asked once in each period, and its signal is aborted when it has answered', async () => {
    const feed = probed({ every: EVERY })
    await feed.clock.advance(10 * EVERY)
    expect(feed.asked).toHaveLength(10)
    expect(feed.asked[0]).toBe(FIRST)
    expect(feed.signals.every(({ aborted }) => aborted)).toBe(true)
    expect([feed.flips, feed.warnings, feed.disagreements]).toEqual([[], [], []])
  })

  it('has one background timer, and one for its bound while it is asked: neither keeps the process alive', async () => {
    const feed = probed({ every: EVERY, timeout: 300 })
    expect([feed.clock.pending(), feed.clock.pending({ referenced: true })]).toEqual([1, 0])
    feed.answer = 'hang'
    await feed.clock.advance(FIRST)
    expect([feed.clock.pending(), feed.clock.pending({ referenced: true })]).toEqual([1, 0])
  })

  it.each<Answer>(['fail', 'throw', 'hang'])(
    'that must %s three times in a row flips a quiet dependency',
    async (how) => {
      const feed = probed({ every: EVERY, timeout: 100 })
      feed.answer = how
      await feed.clock.advance(FIRST + EVERY + 100)
      expect(feed.dependency.mode).toBe('available')
      await feed.clock.advance(EVERY)
      expect(feed.dependency.health()).toMatchObject({ mode: 'unavailable', reason: '3 probes failed in a row' })
      expect(feed.flips).toEqual(['unavailable by probe'])
      expect(feed.disagreements).toEqual([])
    },
  )

  it('that hangs has failed when its time is over: its signal aborts, and its lane is free', async () => {
    const feed = probed({ every: EVERY, timeout: 100, failures: 1 })
    feed.answer = 'hang'
    await feed.clock.advance(FIRST + 99)
    expect([feed.dependency.mode, feed.signals[0]!.aborted]).toEqual(['available', false])
    await feed.clock.advance(1)
    expect([feed.dependency.mode, feed.signals[0]!.aborted]).toEqual(['unavailable', true])
  })

  it('needs its failures in a row: one that passes between starts the row anew', async () => {
    const feed = probed({ every: EVERY })
    for (const answer of ['fail', 'fail', 'pass', 'fail', 'fail', 'pass'] as const) {
      feed.answer = answer
      await feed.clock.advance(EVERY)
    }
    expect([feed.asked.length, feed.flips]).toEqual([6, []])
  })

  it('is not hurt by a run that answers after its time', async () => {
    const late = gate<string>()
    const clock = new ManualClock()
    const registry = createRegistry({ clock })
    const feed = registry.dependency('feed', {
      probe: { run: () => late.promise, every: EVERY, timeout: 100, failures: 1 },
    })
    await clock.advance(FIRST + 100)
    expect(feed.mode).toBe('unavailable')
    late.fail(new Error('far too late'))
    await settle()
    expect(feed.mode).toBe('unavailable')
  })
})

describe('a probe that is inconclusive', () => {
  it.each<Answer>(['inconclusive', 'notFound'])(
    '(%s) decides nothing, warns once, and clears when it can tell',
    async (how) => {
      const feed = probed({ every: EVERY, failures: 1 })
      feed.answer = how
      await feed.clock.advance(5 * EVERY)
      expect([feed.asked.length, feed.flips, feed.warnings]).toEqual([5, [], ['+probe']])
      expect(feed.dependency.health().warnings).toMatchObject([
        { warning: 'probe', text: 'the probe is inconclusive: the fault may be its own' },
      ])
      feed.answer = 'pass'
      await feed.clock.advance(EVERY)
      expect(feed.warnings).toEqual(['+probe', '-probe'])
      expect(feed.dependency.health().warnings).toEqual([])
    },
  )

  it('starts the row of failures anew', async () => {
    const feed = probed({ every: EVERY, failures: 2 })
    for (const answer of ['fail', 'inconclusive', 'fail', 'inconclusive', 'fail'] as const) {
      feed.answer = answer
      await feed.clock.advance(EVERY)
    }
    expect(feed.flips).toEqual([])
    await feed.clock.advance(EVERY)
    expect(feed.flips).toEqual(['unavailable by probe'])
  })

  it('leaves the trial to a call, and the snapshot says so', async () => {
    const feed = await opened({ successes: 3 })
    feed.answer = 'pass'
    await feed.clock.advance(5_000)
    expect(feed.registry.snapshot().feed).toMatchObject({ circuit: 'half-open', available: false })
    feed.answer = 'notFound'
    await feed.clock.advance(EVERY)
    expect(feed.registry.snapshot().feed).toMatchObject({ circuit: 'half-open', available: true, mode: 'unavailable' })
    await feed.succeed()
    expect(feed.dependency.mode).toBe('available')
  })

  it('takes the trial back when it can tell again, and the snapshot says so', async () => {
    const feed = await opened({ successes: 3 })
    feed.answer = 'inconclusive'
    await feed.clock.advance(5_000)
    expect(feed.registry.snapshot().feed!.available).toBe(true)
    feed.answer = 'pass'
    await feed.clock.advance(EVERY)
    expect(feed.registry.snapshot().feed).toMatchObject({ circuit: 'half-open', available: false })
    await expect(feed.call()).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE' })
    await feed.clock.advance(2 * EVERY)
    expect(feed.dependency.mode).toBe('available')
  })
})

describe('probes and traffic that contradict each other', () => {
  it('are told of once while calls succeed and probes fail, and nothing flips', async () => {
    const feed = probed({ every: EVERY, failures: 3 }, { circuit: { window: 10_000 } })
    feed.answer = 'fail'
    for (let i = 0; i < 60; i++) {
      await feed.succeed()
      await feed.clock.advance(500)
    }
    expect([feed.disagreements, feed.flips]).toEqual([['failing'], []])
  })

  it('are told of anew after they had agreed', async () => {
    const feed = probed({ every: EVERY, failures: 1 }, { circuit: { window: 60_000 } })
    await feed.succeed(5)
    for (const answer of ['fail', 'fail', 'pass', 'fail'] as const) {
      feed.answer = answer
      await feed.clock.advance(EVERY)
    }
    expect([feed.disagreements, feed.flips]).toEqual([['failing', 'failing'], []])
  })

  it('agree when the calls that went well are too long ago: then failing probes are believed', async () => {
    const feed = probed({ every: EVERY, failures: 3 }, { circuit: { window: 10_000 } })
    await feed.succeed(5)
    feed.answer = 'fail'
    await feed.clock.advance(9_000)
    expect([feed.disagreements, feed.dependency.mode]).toEqual([['failing'], 'available'])
    await feed.clock.advance(3_000)
    expect(feed.flips).toEqual(['unavailable by probe'])
  })

  it('are told of once when probes pass and calls fail: passing probes excuse nothing', async () => {
    const feed = probed({ every: EVERY })
    await feed.clock.advance(3 * EVERY)
    await feed.failing(10)
    expect([feed.flips, feed.disagreements]).toEqual([['unavailable by traffic'], ['passing']])
    await feed.clock.advance(60_000)
    expect(feed.disagreements).toEqual(['passing'])
  })

  it('do not contradict each other before the first probe, nor when the probe is inconclusive', async () => {
    const early = probed({ every: 60_000 })
    await early.failing(10)
    expect(early.disagreements).toEqual([])
    const ill = probed({ every: EVERY })
    ill.answer = 'inconclusive'
    await ill.clock.advance(EVERY)
    await ill.failing(10)
    expect(ill.disagreements).toEqual([])
  })

  it('flip nothing while an operator says available', async () => {
    const feed = probed({ every: EVERY })
    feed.registry.setMode('feed', 'available', { reason: 'the monitor is broken', for: 60_000 })
    feed.answer = 'fail'
    await feed.clock.advance(30_000)
    expect([feed.flips, feed.disagreements]).toEqual([[], []])
  })
})

describe('a trial by probes', () => {
  it('comes when the open time ends, further ones a period apart; so many in a row bring it back, and no user is asked', async () => {
    const feed = await opened({ successes: 3 })
    feed.answer = 'pass'
    const from = feed.clock.now()
    await feed.clock.advance(4_999)
    expect(feed.asked).toEqual([])
    await feed.clock.advance(1)
    expect(feed.dependency.health()).toMatchObject({ circuit: 'half-open', mode: 'unavailable', available: false })
    await expect(feed.call()).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE' })
    await feed.clock.advance(2 * EVERY)
    expect(feed.asked.map((at) => at - from)).toEqual([5_000, 6_000, 7_000])
    expect([feed.dependency.mode, feed.begun.length]).toEqual(['available', 0])
    expect(feed.flips).toEqual(['unavailable by probe', 'available by probe'])
  })

  it('that fails starts the next, longer open time, at whose end the next one comes', async () => {
    const feed = await opened({ successes: 2 })
    const from = feed.clock.now()
    await feed.clock.advance(5_000)
    expect(feed.dependency.health()).toMatchObject({
      circuit: 'open',
      retryAfter: 10_000,
    })
    feed.answer = 'pass'
    await feed.clock.advance(10_000)
    expect(feed.asked.map((at) => at - from)).toEqual([5_000, 15_000])
    feed.answer = 'fail'
    await feed.clock.advance(EVERY)
    expect(feed.dependency.health()).toMatchObject({ circuit: 'open', retryAfter: 20_000 })
    expect(feed.flips).toEqual(['unavailable by probe'])
  })

  it('that passes once is not enough after one that had passed before the outage', async () => {
    const feed = probed({ every: EVERY, successes: 2 }, { circuit: { openFor: 5_000 } })
    await feed.clock.advance(3 * EVERY)
    await feed.failing(10)
    await feed.clock.advance(5_000)
    expect(feed.dependency.health().circuit).toBe('half-open')
    await feed.clock.advance(EVERY)
    expect(feed.dependency.mode).toBe('available')
  })

  it('comes when it is due although a probe was hanging when the circuit opened', async () => {
    const feed = probed({ every: 60_000, timeout: 1_000, successes: 1 }, { circuit: { openFor: 5_000 } })
    feed.answer = 'hang'
    await feed.clock.advance(30_000)
    await feed.failing(10)
    feed.answer = 'pass'
    await feed.clock.advance(5_000)
    expect(feed.asked).toEqual([30_000, 35_000])
    expect(feed.dependency.mode).toBe('available')
  })

  it('comes when it is due although the period was changed meanwhile', async () => {
    const feed = await opened({ successes: 1 })
    feed.registry.configure('feed', { probe: { every: 600_000 } })
    feed.answer = 'pass'
    await feed.clock.advance(5_000)
    expect(feed.dependency.mode).toBe('available')
  })

  it('does not count an answer to what was asked before the circuit moved', async () => {
    const feed = probed({ every: EVERY, timeout: EVERY, failures: 1 }, { circuit: { openFor: 100, rampFor: 0 } })
    feed.answer = 'hang'
    await feed.clock.advance(FIRST)
    // Opened and closed again while it hangs.
    await feed.failing(10)
    feed.registry.setMode('feed', 'available', { reason: 'repaired' })
    feed.registry.clearMode('feed')
    await feed.clock.advance(EVERY)
    expect([feed.dependency.mode, feed.flips]).toEqual([
      'available',
      ['unavailable by traffic', 'available by operator'],
    ])
  })

  it('goes on as usual after an operator has closed the circuit', async () => {
    const feed = await opened()
    feed.registry.setMode('feed', 'available', { reason: 'repaired' })
    await feed.clock.advance(FIRST)
    expect(feed.asked).toHaveLength(1)
  })
})

describe('probes that are closed', () => {
  it('come no more, and leave no timer', async () => {
    const feed = probed({ every: EVERY })
    await feed.clock.advance(FIRST)
    await feed.registry.close()
    await feed.clock.advance(60_000)
    expect([feed.asked.length, feed.clock.pending()]).toEqual([1, 0])
  })

  it('while one is asked: its signal aborts, its answer no longer counts, and no timer is left', async () => {
    const feed = probed({ every: EVERY, timeout: 500, failures: 1 })
    feed.answer = 'hang'
    await feed.clock.advance(FIRST)
    const closing = watch(feed.registry.close())
    expect(feed.signals[0]!.aborted).toBe(true)
    await feed.clock.advance(0)
    expect([closing.state, feed.clock.pending()]).toEqual(['resolved', 0])
    await feed.clock.advance(60_000)
    expect([feed.asked.length, feed.flips, feed.warnings, feed.disagreements]).toEqual([1, [], [], []])
  })
})

describe('a thousand dependencies with probes', () => {
  const crowd = (run: () => unknown) => {
    let seed = 1
    const random = (): number => (seed = (seed * 16_807) % 2_147_483_647) / 2_147_483_647
    const clock = new ManualClock({ random })
    const registry = createRegistry({ clock })
    for (let i = 0; i < 1_000; i++) registry.dependency(`d${i}`, { probe: { run, every: 5_000, timeout: 1_000 } })
    return { clock, registry }
  }

  it('have one timer, and their probes are spread over the period', async () => {
    const starts: number[] = []
    const { clock, registry } = crowd(() => starts.push(clock.now()))
    expect([clock.pending(), clock.pending({ referenced: true })]).toEqual([1, 0])
    await clock.advance(5_000)
    // A few that came first have come again by then.
    expect(starts.length).toBeGreaterThanOrEqual(1_000)
    expect(starts.length).toBeLessThan(1_100)
    const perSlice = Array.from({ length: 10 }, (_, i) => starts.filter((at) => Math.floor(at / 500) === i).length)
    expect(Math.min(...perSlice)).toBeGreaterThan(60)
    expect(Math.max(...perSlice)).toBeLessThan(140)
    starts.length = 0
    await clock.advance(60_000)
    expect(starts.length).toBeGreaterThan(11_500)
    expect(starts.length).toBeLessThan(12_500)
    expect(clock.pending()).toBe(1)
    await registry.close()
    expect(clock.pending()).toBe(0)
  })

  it('are never asked more than ten at a time, although every one hangs', async () => {
    const { clock } = crowd(() => new Promise(() => undefined))
    const most = { running: 0 }
    for (let i = 0; i < 60; i++) {
      await clock.advance(100)
      // Each that is asked has a timer for its bound; one more is the agenda's.
      most.running = Math.max(most.running, clock.pending() - 1)
    }
    expect(most.running).toBe(10)
  })
})
