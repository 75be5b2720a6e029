import { describe, expect, it } from 'vitest'
import { INCONCLUSIVE, invariant } from '../../src/index.js'
import type { DependencyOptions } from '../../src/index.js'
import { gate, type Gate } from '../support/gate.js'
import { rig } from '../support/rig.js'

type Answer = boolean | 'throws' | 'hangs'

/** A dependency with an invariant that answers as it is told. */
function watched(options: DependencyOptions = {}) {
  const readings: Gate<boolean>[] = []
  const world = { answer: true as Answer, reads: 0, readings }
  const check = (): boolean | Promise<boolean> => {
    world.reads++
    if (world.answer === 'throws') throw new Error('no connection')
    if (world.answer !== 'hangs') return world.answer
    const reading = gate<boolean>()
    readings.push(reading)
    return reading.promise
  }
  const feed = rig({
    timeout: 1_000,
    // Polled once an hour: what is read here is read because something returns.
    invariants: [invariant('sane', check, { every: 3_600_000, timeout: 500 })],
    ...options,
    circuit: { openFor: 5_000, ...options.circuit },
  })
  const flips: string[] = []
  feed.registry.on('flip', ({ dependency, mode, cause, enforced }) => {
    if (dependency === 'feed') flips.push(`${enforced ? '' : 'would be '}${mode}: ${cause.kind}`)
  })
  return { ...feed, world, flips, health: () => feed.dependency.health() }
}

/** Each brings it to where only its invariants are left to be asked. */
const returns: [string, DependencyOptions, (feed: ReturnType<typeof watched>) => Promise<void>][] = [
  [
    'a trial that passed',
    {},
    async ({ failing, succeed, clock }) => {
      await failing(10)
      await clock.advance(5_000)
      await succeed(1)
      await clock.advance(0)
    },
  ],
  [
    'an operator’s clearMode',
    {},
    async ({ registry, clock }) => {
      registry.setMode('feed', 'unavailable', { reason: 'upgrade' })
      registry.clearMode('feed', { by: 'ann' })
      await clock.advance(0)
    },
  ],
  [
    'the expiry of a forced mode',
    {},
    async ({ registry, clock }) => {
      registry.setMode('feed', 'unavailable', { reason: 'upgrade', for: 1_000 })
      await clock.advance(1_000)
    },
  ],
  [
    'a parent’s return',
    { dependsOn: ['db'] },
    async ({ registry, clock }) => {
      registry.dependency('db')
      registry.setMode('db', 'unavailable', { reason: 'upgrade' })
      registry.clearMode('db')
      await clock.advance(0)
    },
  ],
  [
    'a drain’s release',
    {},
    async ({ dependency, clock }) => {
      ;(await dependency.drain({ reason: 'repair' })).release()
      await clock.advance(0)
    },
  ],
]

describe.each(returns)('after %s', (_, options, bringBack) => {
  it('it is trusted when its invariants hold, with a ramp, and flips once each way', async () => {
    const feed = watched(options)
    await bringBack(feed)
    expect(feed.world.reads).toBe(1)
    expect(feed.health()).toMatchObject({ mode: 'available', circuit: 'closed', ramp: 0 })
    expect(feed.flips).toHaveLength(2)
    await feed.succeed(1)
  })

  it('it stays unavailable when one is broken, latched until an operator has acknowledged it', async () => {
    const feed = watched(options)
    feed.world.answer = false
    await bringBack(feed)
    expect(feed.health()).toMatchObject({ mode: 'unavailable', reason: 'sane: the check said no' })
    expect(feed.flips).toHaveLength(1)
    feed.world.answer = true
    await feed.clock.advance(600_000)
    await expect(feed.call()).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE' })
    expect(await feed.registry.acknowledge('feed')).toEqual({ holds: true, broken: [] })
    expect(feed.health()).toMatchObject({ mode: 'available', ramp: 0 })
    expect(feed.flips).toHaveLength(2)
  })

  it('it is tried again later when they can’t be read, and nobody else is blamed for that', async () => {
    const feed = watched({ ...options, probe: { run: () => true, every: 1_000, timeout: 100, failures: 3 } })
    const disagreements: unknown[] = []
    feed.registry.on('disagreement', (event) => disagreements.push(event))
    feed.world.answer = 'throws'
    await bringBack(feed)
    // The probe makes the trial in place of the user's call.
    await feed.clock.advance(10_000)
    expect(feed.health()).toMatchObject({ mode: 'unavailable', warnings: [{ warning: 'invariant' }] })
    expect(feed.flips).toHaveLength(1)
    feed.world.answer = true
    await feed.clock.advance(60_000)
    expect(feed.health()).toMatchObject({ mode: 'available', warnings: [] })
    expect(feed.flips).toHaveLength(2)
    expect(disagreements).toEqual([])
  })

  it('it is refused while they are being read, and no later than their timeout something is known', async () => {
    const feed = watched(options)
    feed.world.answer = 'hangs'
    await bringBack(feed)
    expect(feed.health()).toMatchObject({
      mode: 'unavailable',
      available: false,
      reason: expect.stringContaining('its invariants are being read') as string,
    })
    await expect(feed.call()).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE' })
    await feed.clock.advance(500)
    expect(feed.health()).toMatchObject({ mode: 'unavailable', circuit: 'open' })
    expect(feed.flips).toHaveLength(1)
  })
})

describe('while the invariants are being read', () => {
  it('whoever speaks up again meanwhile is obeyed, whatever comes of the reading', async () => {
    const { registry, dependency, world, clock } = watched()
    world.answer = 'hangs'
    registry.setMode('feed', 'unavailable', { reason: 'upgrade' })
    registry.clearMode('feed')
    await clock.advance(0)
    registry.setMode('feed', 'unavailable', { reason: 'not yet' })
    world.readings[0]!.open(true)
    await clock.advance(0)
    expect(dependency.health()).toMatchObject({ mode: 'unavailable', reason: 'not yet', circuit: 'closed' })
  })

  it('an operator who vouches for it is obeyed at once, and an unreadable invariant opens nothing behind him', async () => {
    const { registry, dependency, world, clock, succeed } = watched({ dependsOn: ['db'] })
    registry.dependency('db')
    registry.setMode('db', 'unavailable', { reason: 'upgrade' })
    world.answer = 'hangs'
    registry.clearMode('db')
    await clock.advance(0)
    registry.setMode('feed', 'available', { reason: 'I have looked' })
    await clock.advance(500)
    expect(dependency.health()).toMatchObject({ mode: 'available', circuit: 'closed', reason: 'I have looked' })
    await succeed(1)
  })

  it('a second return is read anew, and the first reading decides nothing', async () => {
    const { registry, dependency, world, clock } = watched()
    world.answer = 'hangs'
    for (const reason of ['first', 'second']) {
      registry.setMode('feed', 'unavailable', { reason })
      registry.clearMode('feed')
      await clock.advance(0)
    }
    world.readings[0]!.open(true)
    await clock.advance(0)
    expect(dependency.mode).toBe('unavailable')
    world.readings[1]!.open(true)
    await clock.advance(0)
    expect(dependency.mode).toBe('available')
  })

  it('the dependency can be closed: nothing comes back', async () => {
    const { registry, dependency, world, clock } = watched()
    world.answer = 'hangs'
    registry.setMode('feed', 'unavailable', { reason: 'upgrade' })
    registry.clearMode('feed')
    await registry.close()
    world.readings[0]?.open(true)
    await clock.advance(1_000)
    expect(dependency.mode).toBe('unavailable')
    expect(clock.pending()).toBe(0)
  })
})

describe('a recovery whose last step is an operator’s', () => {
  it('waits for acknowledge after the trial and the invariants, however long that takes', async () => {
    const { registry, dependency, failing, succeed, clock, call, world, flips } = watched({
      circuit: { recover: 'operator' },
    })
    await failing(10)
    await clock.advance(5_000)
    await succeed(1)
    await clock.advance(600_000)
    expect(world.reads).toBe(1)
    expect(dependency.health()).toMatchObject({
      mode: 'unavailable',
      available: false,
      circuit: 'half-open',
      reason: 'the trial passed; an operator has the last word',
    })
    await expect(call()).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE' })
    await registry.acknowledge('feed', { by: 'ann' })
    expect(dependency.health()).toMatchObject({ mode: 'available', ramp: 0 })
    expect(flips).toEqual(['unavailable: traffic', 'available: operator'])
  })

  it('isn’t given ahead: acknowledged while it is open, it still waits', async () => {
    const { registry, dependency, failing, succeed, clock } = watched({ circuit: { recover: 'operator' } })
    await failing(10)
    await registry.acknowledge('feed')
    await clock.advance(5_000)
    await succeed(1)
    await clock.advance(0)
    expect(dependency.mode).toBe('unavailable')
  })

  it('is off when a probe fails while the operator is awaited', async () => {
    let well = true
    const { registry, dependency, failing, clock } = watched({
      circuit: { recover: 'operator' },
      probe: { run: () => (well ? Promise.resolve() : Promise.reject(new Error('down'))), every: 5_000, successes: 1 },
    })
    await failing(10)
    await clock.advance(5_000)
    expect(dependency.health().reason).toBe('its probes passed; an operator has the last word')
    well = false
    await clock.advance(6_000)
    expect(dependency.health()).toMatchObject({ mode: 'unavailable', circuit: 'open' })
    await registry.acknowledge('feed')
    expect(dependency.mode).toBe('unavailable')
  })

  it('waits no more once it is configured to recover by itself', async () => {
    const { registry, dependency, failing, succeed, clock } = watched({ circuit: { recover: 'operator' } })
    await failing(10)
    await clock.advance(5_000)
    await succeed(1)
    await clock.advance(0)
    registry.configure('feed', { circuit: { recover: 'itself' } })
    expect(dependency.mode).toBe('available')
  })

  it('goes with the latch when an invariant was found broken: one acknowledge is enough', async () => {
    const { registry, dependency, failing, succeed, clock, world } = watched({ circuit: { recover: 'operator' } })
    await failing(10)
    await clock.advance(5_000)
    world.answer = false
    await succeed(1)
    await clock.advance(0)
    expect(await registry.acknowledge('feed')).toMatchObject({ holds: false })
    expect(dependency.mode).toBe('unavailable')
    world.answer = true
    await registry.acknowledge('feed')
    expect(dependency.mode).toBe('available')
  })
})

describe('flapping', () => {
  const circuit = { openFor: 1_000, rampFor: 0 } as const

  /** Trips, and comes back by its trial as soon as that may run. */
  async function flap({ failing, succeed, clock, dependency }: ReturnType<typeof watched>): Promise<number> {
    await failing(10)
    const wait = dependency.health().retryAfter!
    await clock.advance(wait)
    await succeed(1)
    await clock.advance(9_000)
    return wait
  }

  it('holds back the return at the fourth flip, for about 200 s, and says so once', async () => {
    const feed = watched({ circuit })
    const told: unknown[] = []
    feed.registry.on('flapping', (event) => told.push(event))
    for (let i = 0; i < 3; i++) expect(await flap(feed)).toBe(1_000)
    await feed.failing(10)
    expect(feed.health().retryAfter).toBeGreaterThan(180_000)
    expect(told).toHaveLength(1)
    expect(told[0]).toMatchObject({ dependency: 'feed', flips: 4, within: 30_000 })
    await feed.clock.advance(feed.health().retryAfter! - 1)
    expect(feed.health()).toMatchObject({ mode: 'unavailable', available: false })
    await feed.clock.advance(1)
    await feed.succeed(1)
    await feed.clock.advance(0)
    expect(feed.health().mode).toBe('available')
    expect(feed.flips).toHaveLength(8)
  })

  it('is passed by an operator; another flip under the same suppression is held back for the rest, and not told', async () => {
    const feed = watched({ circuit })
    const told: unknown[] = []
    feed.registry.on('flapping', (event) => told.push(event))
    for (let i = 0; i < 3; i++) await flap(feed)
    await feed.failing(10)
    const held = feed.health().retryAfter!
    feed.registry.setMode('feed', 'available', { reason: 'mended' })
    await feed.succeed(20)
    feed.registry.clearMode('feed')
    expect(feed.health()).toMatchObject({ mode: 'available', reason: 'cleared' })
    await feed.clock.advance(20_000)
    await feed.failing(10)
    expect(feed.health().mode).toBe('unavailable')
    expect(feed.health().retryAfter).toBeGreaterThan(held - 20_001)
    expect(told).toHaveLength(1)
  })

  it('is nobody’s who flips for others: drains, operators and parents add nothing', async () => {
    const feed = watched({ circuit, dependsOn: ['db'] })
    feed.registry.dependency('db')
    for (let i = 0; i < 10; i++)
      for (const name of ['db', 'feed']) {
        feed.registry.setMode(name, 'unavailable', { reason: 'upgrade' })
        feed.registry.clearMode(name)
        await feed.clock.advance(100)
      }
    expect(feed.flips).toHaveLength(40)
    expect(await flap(feed)).toBe(1_000)
  })

  it('is no matter where the verdict is only watched', async () => {
    const feed = watched({ circuit: { ...circuit, minimumCalls: 10 }, enforce: false })
    for (let i = 0; i < 8; i++) expect(await flap(feed)).toBe(1_000)
    expect(feed.flips).toHaveLength(16)
  })
})

describe('a verdict that is only watched', () => {
  it('is not moved by a latch or a parent, and tells what it would be', async () => {
    const feed = watched({ enforce: false, dependsOn: ['db'], invariants: [invariant('sane', () => false)] })
    await feed.clock.advance(60_000)
    expect(feed.health()).toMatchObject({ mode: 'available', wouldBe: 'unavailable' })
    await feed.registry.acknowledge('feed')
    feed.registry.dependency('db')
    feed.registry.setMode('db', 'unavailable', { reason: 'upgrade' })
    expect(feed.health()).toMatchObject({ mode: 'available', wouldBe: 'unavailable' })
    await feed.succeed(3)
    expect(feed.flips[0]).toBe('would be unavailable: invariant')
  })

  it('is moved by people: operators, drains and disable', async () => {
    const feed = watched({ enforce: false })
    feed.registry.setMode('feed', 'unavailable', { reason: 'upgrade' })
    expect(feed.health().mode).toBe('unavailable')
    feed.registry.clearMode('feed')
    expect(feed.health()).toMatchObject({ mode: 'available' })
    const drained = await feed.dependency.drain({ reason: 'repair' })
    expect(feed.health().mode).toBe('unavailable')
    drained.release()
    expect(feed.health().mode).toBe('available')
    expect(feed.health().ramp).toBeUndefined()
    expect(feed.world.reads).toBe(0)
  })

  it('waits no longer for each trial after recoveries that held', async () => {
    const feed = watched({ enforce: false, circuit: { openFor: 1_000 } })
    await feed.failing(10)
    await feed.clock.advance(1_000)
    await feed.failing(1)
    await feed.clock.advance(2_000)
    await feed.succeed(1)
    await feed.clock.advance(60_000)
    await feed.failing(10)
    expect(feed.health().retryAfter).toBe(1_000)
  })

  it('lets go of the ramp when it is no longer obeyed', async () => {
    const feed = watched({ bulkhead: { slots: 10, maxWait: 60_000 } })
    feed.registry.setMode('feed', 'unavailable', { reason: 'upgrade' })
    feed.registry.clearMode('feed')
    await feed.clock.advance(0)
    for (let i = 0; i < 5; i++) void feed.call()
    expect(feed.begun).toHaveLength(1)
    feed.registry.configure('feed', { enforce: false })
    await feed.clock.advance(0)
    expect(feed.begun).toHaveLength(5)
  })
})

describe('a result from before', () => {
  it('of a call that waited for a slot while the watched circuit opened can’t judge what came after', async () => {
    const feed = rig({
      enforce: false,
      timeout: 60_000,
      bulkhead: { slots: 1, maxWait: 60_000 },
      circuit: { openFor: 1_000, consecutiveFailures: 1 },
    })
    void feed.call()
    void feed.call()
    feed.begun[0]!.fail(new Error('down'))
    await feed.clock.advance(0)
    expect(feed.dependency.health().circuit).toBe('open')
    feed.begun[1]!.fail(new Error('down as well'))
    await feed.clock.advance(0)
    expect(feed.dependency.health().window.calls).toBe(1)
  })

  it('an operator’s word voids what traffic thought: a later outage starts with the first open time', async () => {
    const feed = rig({ circuit: { openFor: 1_000 } })
    await feed.failing(10)
    for (const wait of [1_000, 2_000]) {
      await feed.clock.advance(wait)
      await feed.failing(1)
    }
    feed.registry.setMode('feed', 'available', { reason: 'mended', for: 1_000 })
    await feed.clock.advance(86_400_000)
    await feed.failing(10)
    expect(feed.dependency.health().retryAfter).toBe(1_000)
  })
})

describe('what is said', () => {
  it('is no reason any more once it is over', async () => {
    const { registry, dependency } = rig()
    registry.setMode('feed', 'available', { reason: 'the graph lies' })
    expect(dependency.health().reason).toBe('the graph lies')
    registry.clearMode('feed')
    expect(dependency.health().reason).toBe('cleared')
  })

  it('by a forced mode comes to nothing after the close, and leaves no timer', async () => {
    const { registry, dependency, clock } = rig()
    await dependency.close()
    expect(() => {
      registry.setMode('feed', 'available', { reason: 'too late' })
    }).toThrow(expect.objectContaining({ code: 'ERR_CLOSED' }) as Error)
    expect(dependency.mode).toBe('unavailable')
    expect(clock.pending()).toBe(0)
  })
})

describe('a ramp', () => {
  it('that nobody could walk, because a parent was down, resets nothing', async () => {
    const feed = watched({ dependsOn: ['db'], circuit: { openFor: 1_000, rampFor: 2_000 } })
    feed.registry.dependency('db')
    await feed.failing(10)
    await feed.clock.advance(1_000)
    await feed.failing(1)
    await feed.clock.advance(2_000)
    const trial = feed.call()
    feed.registry.setMode('db', 'unavailable', { reason: 'upgrade' })
    feed.begun.pop()!.open('ok')
    await trial
    await feed.clock.advance(60_000)
    feed.registry.clearMode('db')
    await feed.clock.advance(0)
    expect(feed.health()).toMatchObject({ mode: 'available', ramp: 0 })
    await feed.failing(10)
    expect(feed.health().retryAfter).toBe(4_000)
  })

  it('shortened to nothing while it runs lets everybody in', async () => {
    const feed = watched({ bulkhead: { slots: 10 } })
    feed.registry.setMode('feed', 'unavailable', { reason: 'upgrade' })
    feed.registry.clearMode('feed')
    await feed.clock.advance(0)
    feed.registry.configure('feed', { circuit: { rampFor: 0 } })
    for (let i = 0; i < 5; i++) void feed.call()
    expect(feed.begun).toHaveLength(5)
  })
})

describe('a listener of the flip', () => {
  it('who forces it available at once is obeyed: no trial is awaited behind his back', async () => {
    let probes = 0
    const feed = rig({ probe: { run: () => probes++, every: 1_000 }, circuit: { openFor: 30_000 } })
    feed.registry.on('flip', ({ mode }) => {
      if (mode === 'unavailable') feed.registry.setMode('feed', 'available', { reason: 'never mind' })
    })
    await feed.failing(10)
    expect(feed.dependency.health()).toMatchObject({ mode: 'available', circuit: 'closed' })
    probes = 0
    await feed.clock.advance(10_000)
    expect(probes).toBeGreaterThan(8)
  })
})

describe('what calls say against failing probes', () => {
  const probe = { run: () => Promise.reject(new Error('down')), every: 1_000, timeout: 100, failures: 3 }

  it.each<[string, number, number, 'available' | 'unavailable']>([
    ['a few good ones', 3, 0, 'available'],
    ['one failed among many good ones', 9, 1, 'available'],
    ['hardly one good among those that failed', 1, 8, 'unavailable'],
    ['half of a few', 2, 2, 'unavailable'],
  ])('%s: it is %s', async (_, good, bad, mode) => {
    const feed = rig({ probe })
    await feed.clock.advance(100)
    await feed.succeed(good)
    await feed.failing(bad)
    await feed.clock.advance(5_000)
    expect(feed.dependency.mode).toBe(mode)
  })

  it('calls that were cut short are no witnesses that it is well', async () => {
    const feed = rig({ probe, timeout: 1_000 })
    for (let i = 0; i < 50; i++) {
      void feed.call({ timeout: 100 })
      await feed.clock.advance(100)
    }
    expect(feed.dependency.health()).toMatchObject({
      mode: 'unavailable',
      counts: { cuts: expect.any(Number) as number },
    })
  })

  it('slow ones are none either', async () => {
    const feed = rig({ probe, circuit: { slowCall: 200 } })
    await feed.succeed(10, 400)
    expect(feed.dependency.mode).toBe('unavailable')
  })
})

describe('a parent that is closed alone', () => {
  it('takes those along that depend on it; when all are closed together, nobody is told', async () => {
    const feed = watched({ dependsOn: ['db', 'log'] })
    const [db] = [feed.registry.dependency('db'), feed.registry.dependency('log')]
    await db.close()
    expect(feed.health()).toMatchObject({ mode: 'unavailable', reason: 'db is unavailable' })
    expect(feed.flips).toHaveLength(1)
    const other = watched({ dependsOn: ['db'] })
    other.registry.dependency('db')
    await other.registry.close()
    expect(other.flips).toEqual([])
  })
})

describe('a snapshot', () => {
  it('says that it is worth calling as soon as the trial is left to calls, because the probe can’t tell', async () => {
    let answer: unknown = INCONCLUSIVE
    const feed = rig({ probe: { run: () => answer, every: 1_000 }, circuit: { openFor: 5_000 } })
    const heard: boolean[] = []
    feed.registry.on('warning', () => heard.push(feed.registry.snapshot()['feed']!.available))
    answer = true
    await feed.clock.advance(2_000)
    await feed.failing(10)
    answer = INCONCLUSIVE
    await feed.clock.advance(4_990)
    expect(feed.registry.snapshot()['feed']!.available).toBe(false)
    await feed.clock.advance(20)
    expect(feed.registry.snapshot()['feed']!.available).toBe(true)
    answer = true
    await feed.clock.advance(1_100)
    expect(feed.registry.snapshot()['feed']!.available).toBe(false)
    expect(heard).toEqual([true, false])
    await feed.clock.advance(1_100)
    expect(feed.registry.snapshot()['feed']).toMatchObject({ available: true, mode: 'available' })
  })
})
