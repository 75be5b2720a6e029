import { describe, expect, it } from 'vitest'
import { ManualClock, settle } from '../src/testing.js'
import { watch } from './support/calls.js'

describe('a manual clock', () => {
  it('stands still until it is moved, and moves wall time along', async () => {
    const clock = new ManualClock({ wall: 1_000 })
    expect([clock.now(), clock.wall()]).toEqual([0, 1_000])
    await settle()
    expect(clock.now()).toBe(0)
    await clock.advance(250)
    expect([clock.now(), clock.wall()]).toEqual([250, 1_250])
  })

  it('starts at the beginning of 2026 and gives 0.5 for chance, unless told otherwise', () => {
    expect(new Date(new ManualClock().wall()).toISOString()).toBe('2026-01-01T00:00:00.000Z')
    expect(new ManualClock().random()).toBe(0.5)
    expect(new ManualClock({ random: () => 0.1 }).random()).toBe(0.1)
  })

  it('steps wall time without touching durations', async () => {
    const clock = new ManualClock({ wall: 10_000 })
    let fired = false
    clock.setTimer(() => (fired = true), 100)
    clock.stepWall(-5_000)
    expect([clock.now(), clock.wall()]).toEqual([0, 5_000])
    await clock.advance(99)
    expect(fired).toBe(false)
    await clock.advance(1)
    expect([fired, clock.wall()]).toEqual([true, 5_100])
  })

  it('fires timers in the order of their time, those of one time in the order in which they were set', async () => {
    const clock = new ManualClock()
    const fired: string[] = []
    const set = (name: string, ms: number): void => {
      clock.setTimer(() => fired.push(`${name} at ${clock.now()}`), ms)
    }
    set('c', 30)
    set('a', 10)
    set('b1', 20)
    set('b2', 20)
    set('late', 41)
    await clock.advance(40)
    expect(fired).toEqual(['a at 10', 'b1 at 20', 'b2 at 20', 'c at 30'])
    expect(clock.now()).toBe(40)
  })

  it('fires a timer that was set while it moves, if its time comes, and lets promises settle in between', async () => {
    const clock = new ManualClock()
    const seen: string[] = []
    clock.setTimer(() => {
      void Promise.resolve().then(() => {
        seen.push(`promise at ${clock.now()}`)
        clock.setTimer(() => seen.push(`second at ${clock.now()}`), 10)
      })
    }, 10)
    await clock.advance(25)
    expect(seen).toEqual(['promise at 10', 'second at 20'])
  })

  it('never fires a timer that was cleared, nor one twice', async () => {
    const clock = new ManualClock()
    let fired = 0
    const timer = clock.setTimer(() => fired++, 10)
    clock.setTimer(() => fired++, 10)
    clock.clearTimer(timer)
    clock.clearTimer(timer)
    await clock.advance(10)
    await clock.advance(10)
    expect(fired).toBe(1)
  })

  it('counts the timers that are set, and those that would keep the process alive', async () => {
    const clock = new ManualClock()
    const timer = clock.setTimer(() => undefined, 10)
    clock.setTimer(() => undefined, 20)
    timer.unref()
    expect([clock.pending(), clock.pending({ referenced: true })]).toEqual([2, 1])
    timer.ref()
    expect(clock.pending({ referenced: true })).toBe(2)
    await clock.advance(10)
    expect(clock.pending()).toBe(1)
  })

  it('fires late what was due while the loop was blocked, then polls', async () => {
    const clock = new ManualClock()
    const seen: string[] = []
    clock.setTimer(() => {
      seen.push(`timer at ${clock.now()}`)
      clock.afterPoll(() => seen.push('polled'))
    }, 10)
    clock.setTimer(() => seen.push(`other at ${clock.now()}`), 20)
    clock.block(1_000)
    expect(seen).toEqual([])
    await clock.advance(0)
    expect(seen).toEqual(['timer at 1000', 'polled', 'other at 1000'])
  })

  it('never turns back when a callback blocks longer than it was to be moved', async () => {
    const clock = new ManualClock({ wall: 0 })
    clock.setTimer(() => {
      clock.block(500)
    }, 10)
    await clock.advance(100)
    expect([clock.now(), clock.wall()]).toEqual([510, 510])
    await Promise.all([clock.advance(100), clock.advance(50)])
    expect(clock.now()).toBe(610)
    await clock.advance(-5)
    expect(clock.now()).toBe(610)
  })

  it('polls also when no timer is due', async () => {
    const clock = new ManualClock()
    let polled = 0
    clock.afterPoll(() => polled++)
    expect(polled).toBe(0)
    await clock.advance(0)
    await clock.advance(0)
    expect(polled).toBe(1)
  })
})

describe('settle', () => {
  it('lets everything run that waits for nothing but its turn', async () => {
    const long = watch(
      (async () => {
        for (let i = 0; i < 100; i++) await Promise.resolve()
        await new Promise<void>((resolve) => {
          process.nextTick(resolve)
        })
        return 'done'
      })(),
    )
    await settle()
    expect(long.value).toBe('done')
  })
})
