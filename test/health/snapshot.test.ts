import { describe, expect, it } from 'vitest'
import { createRegistry } from '../../src/index.js'
import { ManualClock } from '../../src/testing.js'
import { rig } from '../support/rig.js'

describe('a snapshot', () => {
  it('is the same frozen object until something in it changes', async () => {
    const { registry, succeed, failing, clock } = rig({ circuit: { openFor: 1_000 } })
    const before = registry.snapshot()
    expect(Object.isFrozen(before)).toBe(true)
    expect(Object.isFrozen(before.feed)).toBe(true)
    await succeed(5)
    await failing(3)
    expect(registry.snapshot()).toBe(before)
    await failing(9)
    const open = registry.snapshot()
    expect(open).not.toBe(before)
    expect(before.feed).toMatchObject({ available: true, mode: 'available', circuit: 'closed' })
    expect(open.feed).toMatchObject({ available: false, mode: 'unavailable', circuit: 'open' })
    await clock.advance(999)
    expect(registry.snapshot()).toBe(open)
  })

  it('applies transitions that are due before it is handed out', async () => {
    const { registry, failing, clock } = rig({ circuit: { openFor: 1_000 } })
    await failing(10)
    expect(registry.snapshot().feed!.available).toBe(false)
    await clock.advance(1_000)
    expect(registry.snapshot().feed).toMatchObject({ available: true, mode: 'unavailable', circuit: 'half-open' })
  })

  it('says when, why, and what users may be told', () => {
    const clock = new ManualClock({ wall: 5_000 })
    const { registry } = rig({}, clock)
    clock.stepWall(1_000)
    registry.setMode('feed', 'unavailable', { reason: 'schema upgrade', notice: 'Back at noon' })
    expect(registry.snapshot().feed).toEqual({
      name: 'feed',
      known: true,
      mode: 'unavailable',
      available: false,
      circuit: 'closed',
      since: 6_000,
      reason: 'schema upgrade',
      notice: 'Back at noon',
    })
  })

  it.each(['no-such', '', '__proto__', 'constructor', 'toString', 'hasOwnProperty'])(
    'is safe to ask for the unknown name %j',
    (name) => {
      const snapshot = createRegistry().snapshot()
      expect(snapshot[name]).toMatchObject({ name, known: false, available: false })
    },
  )

  it('passes for a plain object: no then, no toJSON, no symbols, own names only', async () => {
    const { registry } = rig()
    const snapshot = registry.snapshot()
    expect(await Promise.resolve(snapshot)).toBe(snapshot)
    expect(snapshot.toJSON).toBeUndefined()
    expect((snapshot as unknown as Record<symbol, unknown>)[Symbol.iterator]).toBeUndefined()
    expect(Object.keys(snapshot)).toEqual(['feed'])
    expect(Object.keys(JSON.parse(JSON.stringify(snapshot)) as object)).toEqual(['feed'])
    expect('no-such' in snapshot).toBe(false)
    expect(() => {
      ;(snapshot as Record<string, unknown>).feed = 1
    }).toThrow(TypeError)
  })

  it('lists what there is', () => {
    const { registry } = rig()
    registry.dependency('second')
    expect(
      registry
        .snapshot()
        .list()
        .map(({ name }) => name),
    ).toEqual(['feed', 'second'])
  })
})
