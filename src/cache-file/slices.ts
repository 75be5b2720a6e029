import { systemClock } from '../core/clock.js'

/** How long the event loop is held at a time, ms. */
const SLICE = 5

/** Does something with each item, and lets the event loop turn again and again. */
export async function inSlices<T>(items: Iterable<T>, work: (item: T) => void): Promise<void> {
  // By the real clock, for it is real time that others wait.
  let until = systemClock.now() + SLICE
  for (const item of items) {
    work(item)
    if (systemClock.now() < until) continue
    await new Promise<void>((resolve) => {
      systemClock.afterPoll(resolve)
    })
    until = systemClock.now() + SLICE
  }
}
