import { describe, expect, it } from 'vitest'
import { Agenda, type Appointment } from '../../src/core/agenda.js'
import { LONGEST_TIMER, type Clock } from '../../src/core/clock.js'
import { ManualClock } from '../../src/testing.js'

function agenda(clock: Clock = new ManualClock()) {
  const done: string[] = []
  const made = new Agenda(clock)
  return { agenda: made, done, at: (ms: number, name: string): Appointment => made.in(ms, () => done.push(name)) }
}

describe('an agenda', () => {
  it('does each thing at its time, whatever the order in which it was told, once', async () => {
    const clock = new ManualClock()
    const { at, done } = agenda(clock)
    at(300, 'third')
    at(100, 'first')
    at(200, 'second')
    await clock.advance(100)
    expect(done).toEqual(['first'])
    await clock.advance(199)
    expect(done).toEqual(['first', 'second'])
    await clock.advance(1_000)
    expect(done).toEqual(['first', 'second', 'third'])
  })

  it('has one timer for any number of appointments, and none when there is nothing to do', async () => {
    const clock = new ManualClock()
    const { at, done } = agenda(clock)
    expect(clock.pending()).toBe(0)
    for (let i = 0; i < 1_000; i++) at(1 + ((i * 7_919) % 1_000), String(i))
    expect(clock.pending()).toBe(1)
    await clock.advance(1_000)
    expect(done).toHaveLength(1_000)
    expect(clock.pending()).toBe(0)
  })

  it('never keeps the process alive', () => {
    const clock = new ManualClock()
    agenda(clock).at(100, 'it')
    expect([clock.pending(), clock.pending({ referenced: true })]).toEqual([1, 0])
  })

  it('never does a thing early: a fraction of a millisecond is waited for too', async () => {
    const clock = new ManualClock()
    const { at, done } = agenda(clock)
    at(0.4, 'it')
    await clock.advance(0.3)
    expect(done).toEqual([])
    await clock.advance(0.7)
    expect(done).toEqual(['it'])
  })

  it('is set anew when its timer fires a little early', async () => {
    const clock = new ManualClock()
    const early: Clock = Object.assign(Object.create(clock) as Clock, {
      now: () => clock.now(),
      clearTimer: (timer: never) => {
        clock.clearTimer(timer)
      },
      setTimer: (fire: () => void, ms: number) => clock.setTimer(fire, ms - 0.5),
    })
    const { at, done } = agenda(early)
    at(100, 'it')
    await clock.advance(99.5)
    expect([done, clock.pending()]).toEqual([[], 1])
    await clock.advance(1)
    expect(done).toEqual(['it'])
  })

  it('keeps a date that is further off than a timer reaches', async () => {
    const clock = new ManualClock()
    const lengths: number[] = []
    // As the system's clock does: what Node's timers can't hold is cut.
    const cut: Clock = Object.assign(Object.create(clock) as Clock, {
      now: () => clock.now(),
      clearTimer: (timer: never) => {
        clock.clearTimer(timer)
      },
      setTimer: (fire: () => void, ms: number) => {
        lengths.push(ms)
        return clock.setTimer(fire, Math.min(ms, LONGEST_TIMER))
      },
    })
    const { at, done } = agenda(cut)
    at(2 * LONGEST_TIMER + 5, 'it')
    await clock.advance(LONGEST_TIMER)
    await clock.advance(LONGEST_TIMER)
    expect([done, lengths]).toEqual([[], [2 * LONGEST_TIMER + 5, LONGEST_TIMER + 5, 5]])
    await clock.advance(5)
    expect([done, clock.pending()]).toEqual([['it'], 0])
  })

  it('does at once, in their order, all that fell due while the event loop was blocked', async () => {
    const clock = new ManualClock()
    const { at, done } = agenda(clock)
    for (const ms of [300, 100, 200]) at(ms, String(ms))
    clock.block(10_000)
    await clock.advance(0)
    expect(done).toEqual(['100', '200', '300'])
  })
})

describe('an appointment', () => {
  it('that is cancelled never comes, and takes the timer with it when it was the last', async () => {
    const clock = new ManualClock()
    const { agenda: it, at, done } = agenda(clock)
    const [first, second] = [at(100, 'first'), at(200, 'second')]
    it.cancel(first)
    expect(clock.pending()).toBe(1)
    await clock.advance(150)
    it.cancel(second)
    expect(clock.pending()).toBe(0)
    await clock.advance(1_000)
    expect(done).toEqual([])
  })

  it('may be cancelled twice, after it came, and by another that comes in the same instant', async () => {
    const clock = new ManualClock()
    const { agenda: it, at, done } = agenda(clock)
    const first = at(100, 'first')
    it.in(200, () => {
      it.cancel(second)
    })
    const second = at(200, 'second')
    const last = at(300, 'last')
    await clock.advance(100)
    it.cancel(first)
    it.cancel(first)
    await clock.advance(1_000)
    it.cancel(last)
    expect([done, clock.pending()]).toEqual([['first', 'last'], 0])
  })

  it('may make others, also one that is due at once, without going round in circles', async () => {
    const clock = new ManualClock()
    const { agenda: it, at, done } = agenda(clock)
    it.in(100, () => {
      at(0, 'at once')
      at(50, 'later')
    })
    await clock.advance(101)
    expect(done).toEqual(['at once'])
    await clock.advance(49)
    expect([done, clock.pending()]).toEqual([['at once', 'later'], 0])
  })

  it('that throws keeps none of the others from coming', async () => {
    const clock = new ManualClock()
    const { agenda: it, at, done } = agenda(clock)
    it.in(100, () => {
      throw new Error('broken')
    })
    at(100, 'same instant')
    at(200, 'later')
    await expect(clock.advance(100)).rejects.toThrow('broken')
    await clock.advance(100)
    expect(done).toEqual(['same instant', 'later'])
  })
})

describe('an agenda that is closed', () => {
  it('forgets everything and has no timer', async () => {
    const clock = new ManualClock()
    const { agenda: it, at, done } = agenda(clock)
    for (const ms of [1, 2, 3]) at(ms, String(ms))
    it.close()
    expect(clock.pending()).toBe(0)
    await clock.advance(10)
    expect(done).toEqual([])
  })
})
