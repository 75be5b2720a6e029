/* eslint-disable @typescript-eslint/no-unsafe-class-instance-assignment -- mollitia types its options as classes */

import { Bulkhead, Circuit, Fallback, SlidingCountBreaker, Timeout, type Module } from 'mollitia'
import { fallbackReply, type Reply } from '../work.js'
import type { BuildStack } from './stack.js'

/**
 * Fallback, bulkhead, breaker and time-out. The breaker counts calls: its time window copies up to a thousand
 * records at every call. Its fallback can only choose what to reject with, so serving a value takes a `catch`.
 */
export const build: BuildStack = ({ operation, name, timeout, slots, fallback, neverTrip }) => {
  const breaker = new SlidingCountBreaker({
    slidingWindowSize: 100,
    minimumNumberOfCalls: 20,
    failureRateThreshold: neverTrip ? 100 : 50,
  })
  const guards: Module[] = [
    new Bulkhead({ concurrentSize: slots, queueSize: 0 }),
    breaker,
    new Timeout({ delay: timeout }),
  ]
  const circuit = new Circuit({
    name,
    func: operation,
    options: { modules: fallback ? [new Fallback({ callback: () => fallbackReply }), ...guards] : guards },
  })
  return {
    call: fallback
      ? (category) => circuit.execute<Reply>(category).catch(served)
      : (category) => circuit.execute<Reply>(category),
    refuse: () => void breaker.open(),
    close: () => breaker.dispose(),
  }
}

function served(reason: unknown): Reply {
  if (reason === fallbackReply) return fallbackReply
  throw reason
}
