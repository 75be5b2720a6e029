import pTimeout from 'p-timeout'
import type { Clock, Timer } from './clock.js'
import { stacksOff, stacksOn } from './errors.js'

/**
 * Puts a bound on a wait: `promise`, or what `late` returns or throws once `ms` have passed.
 * Every wait goes through here but those of which many have one length: attempts, and the line for a slot (`Deadlines`).
 * `Infinity` means that something else bounds it.
 */
export function bound<T>(clock: Clock, promise: Promise<T>, ms: number, late: () => T): Promise<T> {
  if (ms > 0) {
    // p-timeout 7 makes its error ahead, with two stacks, and it is never seen here: 15 µs of each wait.
    const limit = stacksOff()
    try {
      return pTimeout(promise, { milliseconds: ms, fallback: late, customTimers: timersOf(clock) })
    } finally {
      stacksOn(limit)
    }
  }
  promise.catch(() => undefined)
  return new Promise((resolve) => {
    resolve(late())
  })
}

type NodeTimers = { setTimeout: typeof setTimeout; clearTimeout: typeof clearTimeout }

interface Bounding {
  timer: Timer
  cleared: boolean
}

const adapted = new WeakMap<Clock, NodeTimers>()

/**
 * The clock in the shape of Node's two timer functions. The loop may have been blocked: what has already arrived gets
 * one poll phase to be read before a wait is called too long.
 */
function timersOf(clock: Clock): NodeTimers {
  let timers = adapted.get(clock)
  if (timers === undefined) {
    timers = {
      setTimeout: (fire: () => void, ms: number): Bounding => {
        const judge = (): void => {
          if (!bounding.cleared) fire()
        }
        const bounding: Bounding = {
          cleared: false,
          timer: clock.setTimer(() => {
            clock.afterPoll(judge)
          }, ms),
        }
        return bounding
      },
      clearTimeout: (bounding?: Bounding) => {
        if (bounding === undefined) return
        bounding.cleared = true
        clock.clearTimer(bounding.timer)
      },
    } as unknown as NodeTimers
    adapted.set(clock, timers)
  }
  return timers
}
