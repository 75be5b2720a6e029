import { describe, expect, it } from 'vitest'
import { StallWatch, stallWatch } from '../../src/core/stall.js'
import { ManualClock } from '../../src/testing.js'

function watching() {
  const clock = new ManualClock()
  const stalls = new StallWatch(clock)
  stalls.enter()
  return { clock, stalls, blocked: () => stalls.since(0, clock.now()) }
}

describe('a stall watch', () => {
  it('has no timer until work is in flight, never keeps the process alive, and stops when all has ended', async () => {
    const clock = new ManualClock()
    const stalls = new StallWatch(clock)
    expect(clock.pending()).toBe(0)
    stalls.enter()
    stalls.enter()
    expect([clock.pending(), clock.pending({ referenced: true })]).toEqual([1, 0])
    stalls.leave()
    await clock.advance(1_000)
    expect(clock.pending()).toBe(1)
    stalls.leave()
    await clock.advance(50)
    expect(clock.pending()).toBe(0)
    stalls.enter()
    expect(clock.pending()).toBe(1)
  })

  it('finds nothing while the loop runs, however long the work takes', async () => {
    const { clock, blocked } = watching()
    await clock.advance(10_000)
    expect(blocked()).toBe(0)
  })

  it('sees a stall that has just ended, before any timer could fire, and counts it once', async () => {
    const { clock, stalls, blocked } = watching()
    clock.block(1_000)
    expect(blocked()).toBe(950)
    expect(blocked()).toBe(950)
    await clock.advance(500)
    expect(blocked()).toBe(950)
    expect(stalls.since(stalls.total, clock.now())).toBe(0)
  })

  it('sees a stall by its own timer, when nobody has asked in between', async () => {
    const { clock, stalls } = watching()
    clock.block(300)
    await clock.advance(0)
    expect(stalls.total).toBe(250)
  })

  it('adds up stalls, and tells each attempt only those after its start', async () => {
    const { clock, stalls, blocked } = watching()
    clock.block(150)
    await clock.advance(10)
    const before = stalls.total
    clock.block(250)
    expect(stalls.since(before, clock.now())).toBe(210)
    expect(blocked()).toBe(310)
  })

  it('takes a timer that is up to 20 ms late for an ordinary one', () => {
    const { clock, blocked } = watching()
    clock.block(70)
    expect(blocked()).toBe(0)
    clock.block(1)
    expect(blocked()).toBe(21)
  })

  it('counts no stall while nothing was in flight', async () => {
    const { clock, stalls, blocked } = watching()
    stalls.leave()
    await clock.advance(100)
    clock.block(1_000)
    stalls.enter()
    expect(blocked()).toBe(0)
  })

  it('is the same for all that share a clock', () => {
    const clock = new ManualClock()
    expect(stallWatch(clock)).toBe(stallWatch(clock))
    expect(stallWatch(clock)).not.toBe(stallWatch(new ManualClock()))
  })
})
