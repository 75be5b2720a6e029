import { describe, expect, it } from 'vitest'
import { createRegistry, type DependencyOptions, type Registry } from '../src/index.js'
import { ManualClock, settle } from '../src/testing.js'
import { watch } from './support/calls.js'
import { gate } from './support/gate.js'
import { probed } from './support/probed.js'

interface Made {
  clock: ManualClock
  registry: Registry
  /** That many failed calls. */
  fail: (name: string, times?: number) => Promise<void>
}

function made(): Made {
  const clock = new ManualClock()
  const registry = createRegistry({ clock })
  const circuit = { consecutiveFailures: 3, openFor: 5_000 }
  registry.dependency('feed', { circuit })
  registry.dependency('orders', { circuit, required: true })
  registry.dependency('accounts', { circuit, required: true })
  const fail: Made['fail'] = async (name, times = 3) => {
    for (let i = 0; i < times; i++)
      await registry
        .get(name)!
        .run(() => Promise.reject(new Error('down')))
        .catch(() => undefined)
  }
  return { clock, registry, fail }
}

const GREEN = { ready: true, leaving: false, waitingFor: [] }

describe('a process is ready', () => {
  it('when it has no dependency, or all are available', () => {
    expect(createRegistry().ready()).toEqual(GREEN)
    expect(made().registry.ready()).toEqual(GREEN)
  })

  it('while a dependency that is not required is down, by traffic or by an operator', async () => {
    const { registry, fail } = made()
    await fail('feed')
    expect(registry.get('feed')!.mode).toBe('unavailable')
    expect(registry.ready()).toEqual(GREEN)
    registry.setMode('feed', 'unavailable', { reason: 'upgrade' })
    expect(registry.ready()).toEqual(GREEN)
  })

  it('while a required one fails less than would open its circuit', async () => {
    const { registry, fail } = made()
    await fail('orders', 2)
    expect(registry.ready()).toEqual(GREEN)
  })
})

describe('a process is not ready', () => {
  it('while a required dependency is unavailable, and says which', async () => {
    const { registry, fail } = made()
    await fail('orders')
    expect(registry.ready()).toEqual({ ready: false, leaving: false, waitingFor: ['orders'] })
    registry.setMode('accounts', 'unavailable', { reason: 'upgrade', for: 60_000 })
    expect(registry.ready().waitingFor).toEqual(['orders', 'accounts'])
  })

  it('until a required dependency is worth calling again: its trial needs a request', async () => {
    const { clock, registry, fail } = made()
    await fail('orders')
    await clock.advance(4_000)
    expect(registry.ready().ready).toBe(false)
    // Due by itself: nobody has called, or read a snapshot, in between.
    await clock.advance(5_000)
    expect(registry.ready()).toEqual(GREEN)
    await fail('orders', 1)
    expect(registry.ready().waitingFor).toEqual(['orders'])
  })

  it('until a forced mode expires or is cleared', async () => {
    const { clock, registry } = made()
    registry.setMode('orders', 'unavailable', { reason: 'upgrade', for: 60_000 })
    await clock.advance(59_999)
    expect(registry.ready().ready).toBe(false)
    await clock.advance(1)
    expect(registry.ready()).toEqual(GREEN)
    registry.setMode('orders', 'unavailable', { reason: 'again', for: Infinity })
    expect(registry.ready().ready).toBe(false)
    registry.clearMode('orders')
    expect(registry.ready()).toEqual(GREEN)
  })

  it('from the moment it leaves, although all is well', () => {
    const { registry } = made()
    registry.leave()
    registry.leave()
    expect(registry.ready()).toEqual({ ready: false, leaving: true, waitingFor: [] })
  })

  it('while it closes, and afterwards', async () => {
    const { registry } = made()
    const closing = registry.close()
    expect(registry.ready()).toMatchObject({ ready: false, leaving: true })
    await closing
    expect(registry.ready()).toMatchObject({ ready: false, leaving: true })
  })
})

describe('a process whose required dependency has a probe', () => {
  const made = (own: DependencyOptions = {}) => {
    const feed = probed({ every: 5_000 }, { required: true, ...own })
    const waits = (): boolean => feed.registry.ready().waitingFor.includes('feed')
    return { feed, waits }
  }

  it('is ready when that has passed for the first time, which is soon', async () => {
    const { feed, waits } = made()
    expect(waits()).toBe(true)
    await feed.clock.advance(500)
    expect([waits(), feed.asked]).toEqual([false, [500]])
    // Ready once, it is not asked again: from now on the mode decides.
    feed.answer = 'fail'
    await feed.clock.advance(6_000)
    expect(waits()).toBe(false)
    await feed.clock.advance(10_000)
    expect([waits(), feed.dependency.mode]).toEqual([true, 'unavailable'])
  })

  it('is not ready while the first ones fail, before they flip anything and after', async () => {
    const { feed, waits } = made()
    feed.answer = 'fail'
    await feed.clock.advance(500)
    expect([waits(), feed.dependency.mode]).toEqual([true, 'available'])
    await feed.clock.advance(10_000)
    expect([waits(), feed.dependency.mode]).toEqual([true, 'unavailable'])
    feed.answer = 'pass'
    await feed.clock.advance(30_000)
    expect([waits(), feed.dependency.mode]).toEqual([false, 'available'])
  })

  it('does not wait for a probe that can not tell', async () => {
    const { feed, waits } = made()
    feed.answer = 'notFound'
    await feed.clock.advance(500)
    expect(waits()).toBe(false)
  })

  it('does not wait for it where a call has succeeded, or an operator vouches for it, or rules are only watched', async () => {
    const vouchers: ((one: ReturnType<typeof made>) => unknown)[] = [
      ({ feed }) => feed.succeed(),
      ({ feed }) => {
        feed.registry.setMode('feed', 'available', { reason: 'the monitor is broken' })
      },
      ({ feed }) => {
        feed.registry.disable('feed')
      },
      ({ feed }) => {
        feed.registry.configure('feed', { enforce: false })
      },
    ]
    for (const vouch of vouchers) {
      const one = made()
      one.feed.answer = 'fail'
      await one.feed.clock.advance(500)
      expect(one.waits()).toBe(true)
      await vouch(one)
      expect(one.waits()).toBe(false)
    }
  })

  it('waits for no probe of one that is not required, nor after its end', async () => {
    const { feed, waits } = made({ required: false })
    expect(waits()).toBe(false)
    await feed.registry.close()
    expect(feed.registry.ready().waitingFor).toEqual([])
  })
})

describe('a process that leaves', () => {
  it('lets calls in flight end, and begins those that requests in flight still need', async () => {
    const { registry } = made()
    const work = gate<string>()
    const call = watch(registry.get('feed')!.run(() => work.promise))
    registry.leave()
    expect(await registry.get('feed')!.run(() => 'new')).toBe('new')
    work.open('old')
    await settle()
    expect(call.value).toBe('old')
  })

  it('shows the same modes as before', () => {
    const { registry } = made()
    const before = registry.snapshot()
    registry.leave()
    expect(registry.snapshot()).toBe(before)
  })
})
