import { setMaxListeners } from 'node:events'
import {
  SamplingBreaker,
  TimeoutStrategy,
  bulkhead,
  circuitBreaker,
  fallback as fallbackPolicy,
  handleAll,
  timeout as timeoutPolicy,
  wrap,
  type IDefaultPolicyContext,
  type IPolicy,
} from 'cockatiel'
import { fallbackReply, type Reply } from '../work.js'
import type { BuildStack } from './stack.js'

/** Every call in flight listens to the signal it was started with. Without one they share one, and Node warns. */
const never = new AbortController().signal
setMaxListeners(0, never)

/** Fallback, bulkhead, breaker (10 s of time buckets) and time-out, in the order its readme shows. */
export const build: BuildStack = ({ operation, timeout, slots, readsSignal, fallback, neverTrip }) => {
  const breaker = circuitBreaker(handleAll, {
    halfOpenAfter: 30_000,
    breaker: new SamplingBreaker({
      threshold: 0.5,
      duration: 10_000,
      minimumRps: neverTrip ? 1_000_000_000 : 2,
    }),
  })
  const guards = wrap(bulkhead(slots), breaker, timeoutPolicy(timeout, TimeoutStrategy.Aggressive))
  const policy: IPolicy<IDefaultPolicyContext, Reply> = fallback
    ? wrap(fallbackPolicy(handleAll, fallbackReply), guards)
    : guards
  return {
    call: readsSignal
      ? (category): Promise<Reply> => policy.execute(({ signal }) => operation(category, signal), never)
      : (category): Promise<Reply> => policy.execute(() => operation(category), never),
    refuse: () => {
      breaker.isolate()
    },
    close: () => undefined,
  }
}
