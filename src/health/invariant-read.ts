import { bound } from '../core/bound.js'
import type { Clock } from '../core/clock.js'
import { CallTimeoutError } from '../core/errors.js'
import type { Read } from './invariant-definition.js'

interface Reading {
  clock: Clock
  dependency: string
  /** The invariant's name. */
  name: string
  timeout: number
  /** Ends it early: it rejects with the signal's own reason. */
  signal: AbortSignal | undefined
}

/** Reads within the time. However it ends other than well, the signal tells what still runs. */
export async function readWithin<T>(read: Read<T>, reading: Reading): Promise<T> {
  const { clock, dependency, name, timeout, signal } = reading
  signal?.throwIfAborted()
  const controller = new AbortController()
  const stopped = new Promise<never>((_resolve, reject) => {
    controller.signal.addEventListener('abort', () => reject(controller.signal.reason))
  })
  const stop = (): void => {
    controller.abort(signal?.reason)
  }
  signal?.addEventListener('abort', stop)
  try {
    const value = (async () => await read({ signal: controller.signal }))()
    return await bound(clock, Promise.race([value, stopped]), timeout, () => {
      throw new CallTimeoutError(`${dependency} (${name}): not read within ${timeout} ms`, { dependency })
    })
  } catch (error) {
    controller.abort(error)
    throw error
  } finally {
    signal?.removeEventListener('abort', stop)
  }
}
