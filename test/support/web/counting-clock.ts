import { systemClock, type Clock, type Timer } from '../../../src/core/clock.js'

/** The real clock, with the timers that are set, also those that keep no process alive. */
export interface CountingClock extends Clock {
  readonly live: ReadonlySet<Timer>
  /** How many were set so far. */
  set(): number
}

export function countingClock(): CountingClock {
  const live = new Set<Timer>()
  let set = 0
  return {
    ...systemClock,
    live,
    set: () => set,
    setTimer: (fire, ms) => {
      set++
      const timer = systemClock.setTimer(() => {
        live.delete(timer)
        fire()
      }, ms)
      live.add(timer)
      return timer
    },
    clearTimer: (timer) => {
      live.delete(timer)
      systemClock.clearTimer(timer)
    },
  }
}
