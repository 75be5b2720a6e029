/**
 * A running timer of a {@link Clock}. A referenced timer keeps the process alive, as in Node.
 */
export interface Timer {
  ref(): unknown
  unref(): unknown
}

/**
 * The only door to time and chance. Durations are measured with {@link Clock.now}, which never steps back;
 * {@link Clock.wall} is for stamps that people read.
 *
 * Tests pass a manual clock (`cofferdam/testing`); everybody else leaves it out.
 */
export interface Clock {
  /** Monotonic time in ms; its zero means nothing. */
  now(): number
  /** Milliseconds since the Unix epoch; may step. */
  wall(): number
  /** A number in [0, 1). */
  random(): number
  /** Runs `fire` once after `ms`, and keeps the process alive until then unless the timer is unref'd. */
  setTimer(fire: () => void, ms: number): Timer
  clearTimer(timer: Timer): void
  /** Runs `fire` after the event loop has polled once more for answers that are already there. */
  afterPoll(fire: () => void): void
}

/** What Node's timers can hold; a longer delay would fire after 1 ms. */
export const LONGEST_TIMER = 2 ** 31 - 1

/** Taken once: the global is a getter, and two reads of the time are most of what a call may cost. */
const { performance } = globalThis

/** The real clock. */
export const systemClock: Clock = {
  now: () => performance.now(),
  wall: () => Date.now(),
  random: () => Math.random(),
  setTimer: (fire, ms) => setTimeout(fire, Math.min(ms, LONGEST_TIMER)),
  clearTimer: (timer) => {
    clearTimeout(timer as NodeJS.Timeout)
  },
  afterPoll: (fire) => {
    setImmediate(fire)
  },
}

/** A timer for work that nobody awaits: it never keeps the process alive. */
export function backgroundTimer(clock: Clock, fire: () => void, ms: number): Timer {
  const timer = clock.setTimer(fire, ms)
  timer.unref()
  return timer
}

/** The same clock for waits that nobody's work depends on: none of its timers keeps the process alive. */
export function backgroundClock(clock: Clock): Clock {
  return {
    now: () => clock.now(),
    wall: () => clock.wall(),
    random: () => clock.random(),
    setTimer: (fire, ms) => backgroundTimer(clock, fire, ms),
    clearTimer: (timer) => {
      clock.clearTimer(timer)
    },
    afterPoll: (fire) => {
      clock.afterPoll(fire)
    },
  }
}
