import { createRequire } from 'node:module'
import CircuitBreaker from 'opossum'
import { Registry as PrometheusRegistry } from 'prom-client'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { invariant } from '../../src/index.js'
import { rig } from '../support/rig.js'

const EVENTS = [
  'fire',
  'open',
  'halfOpen',
  'close',
  'success',
  'failure',
  'timeout',
  'reject',
  'fallback',
  'semaphoreLocked',
]

// opossum becomes half-open by a timer of Node's, which goes along with the manual clock here.
beforeEach(() => vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] }))
afterEach(() => vi.useRealTimers())

async function advance(feed: ReturnType<typeof rig>, ms: number): Promise<void> {
  vi.advanceTimersByTime(ms)
  await feed.clock.advance(ms)
}

function followed(options: Parameters<typeof rig>[0] = {}) {
  const feed = rig({ timeout: 1_000, ...options, circuit: { openFor: 1_000, ...options.circuit } })
  const seen: string[] = []
  const { circuit } = feed.dependency
  for (const event of EVENTS) circuit.on(event as 'open', () => void seen.push(event))
  const count = (event: string): number => seen.filter((one) => one === event).length
  return { ...feed, seen, count, circuit, feed }
}

describe('the opossum breaker of a dependency', () => {
  it('is a real one, made once, and closed like the dependency', () => {
    const { dependency, circuit } = followed()
    expect(circuit).toBeInstanceOf(CircuitBreaker)
    expect(dependency.circuit).toBe(circuit)
    expect(circuit).toMatchObject({ name: 'feed', closed: true, opened: false })
  })

  it('opens, becomes half-open and closes in step, trials passing through fire', async () => {
    const { feed, seen, circuit, succeed, failing } = followed()
    await failing(10)
    expect(circuit.opened).toBe(true)
    expect(seen.filter((event) => event === 'open')).toHaveLength(1)
    seen.length = 0
    await advance(feed, 1_000)
    expect(circuit.halfOpen).toBe(true)
    await succeed(1)
    await advance(feed, 0)
    expect(circuit.closed).toBe(true)
    expect(seen).toEqual(['halfOpen', 'fire', 'close', 'success'])
    expect(feed.dependency.mode).toBe('available')
  })

  it('opens again, for the longer time, when the trial fails', async () => {
    const { feed, seen, circuit, failing } = followed()
    await failing(10)
    await advance(feed, 1_000)
    seen.length = 0
    await failing(1)
    await advance(feed, 0)
    expect(circuit.opened).toBe(true)
    expect(seen.sort()).toEqual(['failure', 'fire', 'open'])
    await advance(feed, 1_500)
    expect(circuit.opened).toBe(true)
    await advance(feed, 500)
    expect(circuit.halfOpen).toBe(true)
  })

  it('stays half-open after a trial that passed until the operator has spoken who has the last word', async () => {
    const { feed, registry, circuit, failing, succeed, count } = followed({ circuit: { recover: 'operator' } })
    await failing(10)
    await advance(feed, 1_000)
    await succeed(1)
    await advance(feed, 0)
    expect(feed.dependency.mode).toBe('unavailable')
    expect(circuit.closed).toBe(false)
    expect(count('close')).toBe(0)
    await registry.acknowledge('feed')
    expect(circuit.closed).toBe(true)
    expect(count('success')).toBe(1)
  })

  it('opens again after a trial that passed when the invariants can’t be read', async () => {
    const unreadable = invariant('sane', () => Promise.reject(new Error('no connection')), { every: 3_600_000 })
    const { feed, circuit, failing, succeed, count } = followed({ invariants: [unreadable] })
    await failing(10)
    await advance(feed, 1_000)
    await succeed(1)
    await advance(feed, 0)
    expect(circuit.opened).toBe(true)
    expect(count('close')).toBe(0)
    expect(count('open')).toBe(2)
  })

  it('is not closed by the late success of a call from before it opened', async () => {
    const { feed, circuit, failing, call, begun } = followed({ timeout: 60_000 })
    void call()
    const early = begun.pop()!
    await failing(10)
    await advance(feed, 1_000)
    early.open('late')
    await advance(feed, 0)
    expect(circuit.halfOpen).toBe(true)
  })

  it('lets the next trial through after one that gave its turn back', async () => {
    const { feed, circuit, failing, succeed, call, count } = followed()
    await failing(10)
    await advance(feed, 1_000)
    const leaving = new AbortController()
    void call({ signal: leaving.signal })
    leaving.abort()
    await succeed(1)
    await advance(feed, 0)
    expect(circuit.closed).toBe(true)
    expect(count('success')).toBe(1)
  })

  it('is open again after a trial that hung, and a late result of it moves nothing', async () => {
    const { feed, circuit, failing, call, begun, succeed, count } = followed({ timeout: 200 })
    await failing(10)
    await advance(feed, 1_000)
    void call()
    await advance(feed, 200)
    expect(circuit.opened).toBe(true)
    expect(count('timeout')).toBe(1)
    await advance(feed, 2_000)
    expect(circuit.halfOpen).toBe(true)
    begun[0]!.open('late')
    await advance(feed, 0)
    expect(circuit.halfOpen).toBe(true)
    await succeed(1)
    await advance(feed, 0)
    expect(circuit.closed).toBe(true)
  })

  it('counts successes, failures, timeouts, rejects and bulkhead refusals as health does', async () => {
    const { feed, dependency, circuit, succeed, failing, call, count } = followed({
      timeout: 100,
      bulkhead: { slots: 1, queue: 0 },
      circuit: { openFor: 1_000, consecutiveFailures: 4 },
    })
    await succeed(3)
    await failing(2)
    void call()
    await expect(call()).rejects.toMatchObject({ code: 'ERR_BULKHEAD_FULL' })
    await advance(feed, 100)
    for (const work of feed.begun.splice(0)) work.open('late')
    await advance(feed, 0)
    await failing(1)
    await expect(call()).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE' })
    const { counts } = dependency.health()
    expect(counts).toMatchObject({ successes: 3, failures: 4, timeouts: 1, rejects: 1, full: 1, fires: 9 })
    for (const [event, counted] of [
      ['success', counts.successes],
      ['failure', counts.failures],
      ['timeout', counts.timeouts],
      ['reject', counts.rejects],
      ['semaphoreLocked', counts.full],
      ['fire', counts.fires],
    ] as const)
      expect([event, count(event)]).toEqual([event, counted])
    expect(circuit.stats).toMatchObject({ successes: 3, failures: 4, timeouts: 1, rejects: 1, fires: 9 })
  })

  it.each([true, false])(
    'tells that it is half-open once, also when its own timer was late (trial passes: %s)',
    async (passes) => {
      const { feed, seen, circuit, failing, succeed } = followed()
      await failing(10)
      seen.length = 0
      await feed.clock.advance(1_000)
      if (passes) await succeed(1)
      else await failing(1)
      await feed.clock.advance(0)
      vi.advanceTimersByTime(1_000)
      expect(seen.filter((event) => event === 'halfOpen')).toHaveLength(1)
      expect(seen.indexOf('halfOpen')).toBeLessThan(seen.indexOf(passes ? 'close' : 'failure'))
      expect(seen.filter((event) => event === 'open')).toHaveLength(passes ? 0 : 1)
      expect([circuit.closed, feed.dependency.mode]).toEqual([passes, passes ? 'available' : 'unavailable'])
    },
  )

  it('has the same statistics whether somebody listens or nobody does', async () => {
    const statistics = async (heard: boolean): Promise<unknown> => {
      const feed = rig({ timeout: 100, bulkhead: { slots: 1, queue: 0 }, circuit: { consecutiveFailures: 3 } })
      const { circuit } = feed.dependency
      if (heard) for (const event of EVENTS) circuit.on(event as 'open', () => undefined)
      await feed.succeed(3)
      await feed.failing(1)
      void feed.call()
      await expect(feed.call()).rejects.toMatchObject({ code: 'ERR_BULKHEAD_FULL' })
      await advance(feed, 100)
      for (const work of feed.begun.splice(0)) work.open('late')
      await advance(feed, 0)
      await feed.failing(1)
      await expect(feed.call()).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE' })
      return circuit.stats
    }
    const told = { fires: 8, successes: 3, failures: 3, timeouts: 1, rejects: 1, semaphoreRejections: 1 }
    expect(await statistics(true)).toMatchObject(told)
    expect(await statistics(false)).toEqual(await statistics(true))
  })

  it.each([true, false])(
    'counts a fallback when it is served, however long after the failure (heard: %s)',
    async (heard) => {
      const feed = rig({ timeout: 20_000 })
      const { circuit } = feed.dependency
      if (heard) circuit.on('fallback', () => undefined)
      const load = feed.dependency.wrap((): Promise<number> => Promise.reject(new Error('down')), {
        name: 'other',
        fallback: () => new Promise<number>((resolve) => feed.clock.setTimer(() => resolve(1), 12_000)),
      })
      const served = load()
      await advance(feed, 12_000)
      expect(await served).toBe(1)
      expect(circuit.stats.fallbacks).toBe(1)
    },
  )

  it('tells of fallbacks', async () => {
    const { feed, dependency, count } = followed()
    const load = dependency.wrap((): Promise<number> => Promise.reject(new Error('down')), {
      name: 'other',
      fallback: { value: 1 },
    })
    expect(await load()).toBe(1)
    await advance(feed, 0)
    expect(count('fallback')).toBe(1)
    expect(dependency.health().counts.fallbacks).toBe(1)
  })

  it('forgets in its statistics what is older than ten seconds, without a timer', async () => {
    const { feed, circuit, succeed } = followed()
    await succeed(5)
    expect(vi.getTimerCount()).toBe(0)
    expect(circuit.stats.successes).toBe(5)
    await advance(feed, 11_000)
    expect(circuit.stats).toMatchObject({ successes: 0 })
    expect(circuit.status.stats).toMatchObject({ successes: 0 })
  })

  it('feeds opossum-prometheus with the counts of health', async () => {
    const Prometheus = createRequire(import.meta.url)('opossum-prometheus') as new (options: object) => {
      metrics: Promise<string> | string
    }
    const { feed, dependency, circuit, succeed, failing, call } = followed()
    const exporter = new Prometheus({ circuits: [circuit], registry: new PrometheusRegistry() })
    await succeed(7)
    await failing(10)
    await expect(call()).rejects.toThrow()
    await advance(feed, 1_000)
    await succeed(1)
    await advance(feed, 0)
    const metrics = await exporter.metrics
    const { counts } = dependency.health()
    for (const [event, counted] of [
      ['success', counts.successes],
      ['failure', counts.failures],
      ['reject', counts.rejects],
      ['open', 1],
      ['halfOpen', 1],
      ['close', 1],
    ] as const)
      expect(metrics).toContain(`circuit{name="feed",event="${event}"} ${counted}\n`)
  })

  it('keeps a throwing listener away from the verdict, and reports it', async () => {
    const { registry, circuit, dependency, failing } = followed()
    const errors: unknown[] = []
    registry.on('error', ({ error }) => errors.push(error))
    const broken = new Error('broken listener')
    circuit.on('open', () => {
      throw broken
    })
    await failing(10)
    expect(dependency.mode).toBe('unavailable')
    expect(errors).toEqual([broken])
  })

  it('shows what happened before it was first read', async () => {
    const feed = rig()
    await feed.failing(10)
    expect(feed.dependency.circuit.opened).toBe(true)
  })

  it('follows an operator', async () => {
    const { feed, registry, circuit } = followed()
    registry.setMode('feed', 'unavailable', { reason: 'maintenance' })
    expect(circuit.opened).toBe(true)
    await advance(feed, 60_000)
    expect(circuit.opened).toBe(true)
    registry.clearMode('feed')
    expect(circuit.closed).toBe(true)
  })

  it('costs nothing before it is read: no breaker, no timer, no event', async () => {
    const feed = rig()
    await feed.succeed(5)
    expect(vi.getTimerCount()).toBe(0)
  })

  it('does nothing of its own when somebody fires it', async () => {
    const { circuit } = followed()
    await expect(circuit.fire()).rejects.toThrow('follows a dependency')
  })

  it('gives no warning with twenty of them', () => {
    const warn = vi.spyOn(process, 'emitWarning')
    const { registry } = rig()
    const breakers = Array.from({ length: 20 }, (_, i) => registry.dependency(`d${i}`).circuit)
    expect(new Set(breakers).size).toBe(20)
    expect(warn).not.toHaveBeenCalled()
    warn.mockRestore()
  })
})
