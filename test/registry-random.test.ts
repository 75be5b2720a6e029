import { describe, expect, it } from 'vitest'
import { createRegistry } from '../src/index.js'
import { ManualClock } from '../src/testing.js'
import { watch } from './support/calls.js'

describe('a registry with a chance of its own', () => {
  it('has it in place of the clock’s, and the clock for everything else', async () => {
    const clock = new ManualClock()
    const asked: number[] = []
    const chances = [0.1, 0.8]
    const registry = createRegistry({ clock, random: () => chances.shift() ?? 0.5 })
    for (const name of ['a', 'b'])
      registry.dependency(name, { probe: { run: () => asked.push(clock.now()), every: 1_000, timeout: 100 } })
    const slow = watch(registry.get('a')!.run(() => new Promise(() => undefined), { timeout: 150 }))
    await clock.advance(900)
    expect(slow.error).toMatchObject({ code: 'ERR_CALL_TIMEOUT' })
    expect(asked).toEqual([100, 800])
    clock.stepWall(3_600_000)
    expect(registry.clock.wall()).toBe(clock.wall())
    void registry.close({ timeout: 100 })
    await clock.advance(100)
    expect(clock.pending()).toBe(0)
  })
})
