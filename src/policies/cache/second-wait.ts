import { bound } from '../../core/bound.js'
import type { Call } from '../../core/call.js'
import type { PolicyHost } from '../../core/policy.js'
import { departed, recover } from '../../core/runner.js'
import type { SecondLevel } from './second-level.js'
import { READ_WITHIN } from './second-store.js'

/** What a call waits for where the first level has nothing to serve. */
export class SecondWait {
  readonly #host: PolicyHost
  readonly #second: SecondLevel

  constructor(host: PolicyHost, second: SecondLevel) {
    this.#host = host
    this.#second = second
  }

  /**
   * Until the second level has brought what it has, no longer than the call has time. Once in a call.
   * @returns undefined when there is nothing to wait for
   */
  until(call: Call, key: string): Promise<void> | undefined {
    const read = call.asked ? undefined : this.#second.read(key)
    if (read === undefined) return undefined
    call.asked = true
    const { clock } = this.#host
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

  /** Goes on with the call then. @returns the caller's promise; undefined when there is nothing to wait for */
  goOn(call: Call, key: string, go: () => void): Promise<unknown> | undefined {
    const wait = this.until(call, key)
    if (wait === undefined) return undefined
    const promise = call.open(departed)
    wait
      .then(() => {
        if (!call.done) go()
      })
      .catch((error: unknown) => {
        this.#host.report(error)
        recover(call, error, this.#host.index - 1)
      })
    return promise
  }
}
