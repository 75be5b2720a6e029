import { bound } from '../../core/bound.js'
import type { Call } from '../../core/call.js'
import type { Clock } from '../../core/clock.js'
import type { SecondLevel } from './second-level.js'
import { READ_WITHIN } from './second-store.js'

/**
 * Until the second level has brought what it has, no longer than the call has time. Once in a call.
 * @returns undefined when there is nothing to wait for
 */
export function waitForSecond(
  second: SecondLevel | undefined,
  call: Call,
  key: string,
  clock: Clock,
): Promise<void> | undefined {
  const read = call.asked ? undefined : second?.read(key)
  if (read === undefined) return undefined
  call.asked = true
  const remaining = call.remaining(clock.now())
  const wait = remaining < READ_WITHIN ? bound(clock, read, remaining, () => undefined) : read
  if (!call.timedByRequest) return wait
  // At the end of the request there is no time for a timer.
  const overdue = new Promise<void>((resolve) => {
    call.onOverdue = () => {
      resolve()
    }
  })
  return Promise.race([wait, overdue]).finally(() => {
    call.onOverdue = undefined
  })
}
