import { describe, expect, it } from 'vitest'
import { bound } from '../../src/core/bound.js'
import { ManualClock, settle } from '../../src/testing.js'
import { watch } from '../support/calls.js'
import { gate } from '../support/gate.js'

/** A wait of at most 100 ms, and how often it was called too long. */
function waiting(ms = 100) {
  const clock = new ManualClock()
  const work = gate<string>()
  const seen = { late: 0 }
  const result = watch(
    bound(clock, work.promise, ms, () => {
      seen.late++
      return 'late'
    }),
  )
  return { clock, work, seen, result }
}

describe('a bound on a wait', () => {
  it('hands on what comes in time, and leaves no timer', async () => {
    const { clock, work, seen, result } = waiting()
    expect(clock.pending({ referenced: true })).toBe(1)
    await clock.advance(99)
    work.open('in time')
    await settle()
    expect([result.value, clock.pending()]).toEqual(['in time', 0])
    await clock.advance(100)
    expect(seen.late).toBe(0)
  })

  it('hands on an error as it is', async () => {
    const { clock, work, result } = waiting()
    const error = new Error('down')
    work.fail(error)
    await settle()
    expect([result.error, clock.pending()]).toEqual([error, 0])
  })

  it('ends the wait with what is given for too late, once, whatever comes after', async () => {
    const { clock, work, seen, result } = waiting()
    await clock.advance(100)
    expect([result.value, seen.late, clock.pending()]).toEqual(['late', 1, 0])
    work.fail(new Error('later'))
    await clock.advance(100)
    expect([result.value, seen.late]).toEqual(['late', 1])
  })

  it('ends the wait with what is thrown for too late', async () => {
    const clock = new ManualClock()
    const error = new Error('late')
    const throws = (): never => {
      throw error
    }
    const results = [100, 0, -1].map((ms) => watch(bound(clock, gate().promise, ms, throws)))
    await settle()
    expect(results.map(({ state }) => state)).toEqual(['pending', 'rejected', 'rejected'])
    await clock.advance(100)
    expect(results.map((result) => result.error)).toEqual([error, error, error])
  })

  it('with no time left is too late at once, and what comes later hurts nobody', async () => {
    const { clock, work, seen, result } = waiting(0)
    work.fail(new Error('down'))
    await settle()
    expect([result.value, seen.late, clock.pending()]).toEqual(['late', 1, 0])
  })

  it('of infinite length is none', async () => {
    const { clock, work, result } = waiting(Infinity)
    expect(clock.pending()).toBe(0)
    work.open('at last')
    await settle()
    expect(result.value).toBe('at last')
  })

  it('lets what arrived while the event loop was blocked be read before it calls the wait too long', async () => {
    const { clock, work, seen, result } = waiting()
    clock.block(1_000)
    const afterPoll = clock.afterPoll.bind(clock)
    clock.afterPoll = (judge) => {
      work.open('it was there')
      afterPoll(() => void settle().then(judge))
    }
    await clock.advance(0)
    await settle()
    expect([result.value, seen.late]).toEqual(['it was there', 0])
  })
})
