import { ambient, inside } from './ambient.js'
import { Attempt } from './attempt.js'
import type { Call, Departing, Injection, Pipeline } from './call.js'
import { FailedValueError, InvariantError, isClientError, told, type CofferdamError } from './errors.js'
import type { Departure, Guard, Outcome, Recovery } from './guard.js'
import { isThenable } from './thenable.js'

/**
 * Runs one call: an answer without an attempt if a recoverer has one, else attempts until one is final.
 * This file is the only place where admission, completion, time-out and abort meet.
 */
export function begin(call: Call): Promise<unknown> {
  const { pipeline } = call
  if (pipeline.life.closed !== undefined) return ended(call, pipeline.life.closed)
  const signal = call.options?.signal
  if (signal?.aborted === true) return ended(call, signal.reason)
  const gone = call.around?.gone
  if (gone !== undefined) return ended(call, gone.reason)
  if (pipeline.life.bypassed && pipeline.live) return launch(call)
  const { answering } = pipeline
  for (let i = 0; i < answering.length; i++) {
    try {
      const answer = answering[i]!.answer(call)
      if (answer !== undefined) return answer
    } catch (error) {
      pipeline.report(error)
    }
  }
  return launch(call)
}

/** An answer without so much as a record of the call, which is most of what a fresh value costs; where nobody would look at it. */
export function peek(pipeline: Pipeline, args: readonly unknown[]): Promise<unknown> | undefined {
  const { life, watch, clock } = pipeline
  if (life.closed !== undefined || life.bypassed || watch.ended !== undefined) return undefined
  if (ambient.read()?.gone !== undefined) return undefined
  return pipeline.peek!(args, clock.now())
}

/** The same without asking the recoverers first. */
export function launch(call: Call): Promise<unknown> {
  const promise = call.open(departed)
  tryOnce(call, call.began)
  return promise
}

function ended(call: Call, error: unknown): Promise<unknown> {
  const promise = call.open(() => undefined)
  call.fail(error)
  return promise
}

/** One more attempt for a call that has its promise. */
export function tryOnce(call: Call, now = call.pipeline.clock.now()): void {
  const { closed } = call.pipeline.life
  if (closed !== undefined) {
    call.fail(closed)
    return
  }
  const attempt = (call.attempt = new Attempt(call, now))
  if (call.tooLate(now)) {
    attempt.phase = 'done'
    recover(call, call.deadlineError())
  } else if (call.pipeline.life.bypassed) run(attempt)
  else enter(attempt)
}

function enter(attempt: Attempt): void {
  const { guards } = attempt.call.pipeline
  while (attempt.entered < guards.length) {
    const guard = guards[attempt.entered]!
    let entry: undefined | Error | Promise<void>
    try {
      entry = guard.enter(attempt)
    } catch (error) {
      entry = error instanceof Error ? error : new Error(`guard ${guard.kind} threw`, { cause: error })
    }
    if (entry === undefined) attempt.entered++
    else {
      if (entry instanceof Promise) wait(attempt, guard, entry)
      else refuse(attempt, entry)
      return
    }
  }
  run(attempt)
}

/** Apart from `enter`, where its closures would cost every call a record of their surroundings for each guard. */
function wait(attempt: Attempt, guard: Guard, entry: Promise<void>): void {
  entry.then(
    () => {
      // The caller may have left between the grant and now; what was granted must go back.
      if (attempt.phase === 'done') guard.settle(attempt, 'cancelled')
      else {
        attempt.entered++
        attempt.startedAt = attempt.call.pipeline.clock.now()
        resume(attempt)
      }
    },
    (error: unknown) => {
      refuse(attempt, error)
    },
  )
}

/** Goes on after a wait, in which what the guards knew may have changed. */
function resume(attempt: Attempt): void {
  const { guards } = attempt.call.pipeline
  for (let i = 0; i < attempt.entered; i++) {
    const refusal = guards[i]!.resume?.(attempt)
    if (refusal !== undefined) {
      refuse(attempt, refusal)
      return
    }
  }
  enter(attempt)
}

function refuse(attempt: Attempt, error: unknown): void {
  if (attempt.phase === 'done') return
  attempt.phase = 'done'
  settle(attempt, 'refused')
  recover(attempt.call, error)
}

function run(attempt: Attempt): void {
  const { call } = attempt
  const { pipeline } = call
  attempt.phase = 'running'
  attempt.stalledBefore = pipeline.stalls.total
  pipeline.stalls.enter()
  pipeline.inFlight.add(attempt)
  let result: unknown
  let later: Promise<unknown> | undefined
  try {
    result =
      pipeline.life.injection === undefined || pipeline.checked
        ? pipeline.operation(attempt, ...(call.args as never[]))
        : injected(attempt, pipeline.life.injection)
    if (result instanceof Promise) later = result
    else if (isThenable(result)) later = Promise.resolve(result)
  } catch (error) {
    failed(attempt, error)
    return
  }
  if (later !== undefined) {
    later.then(
      (value) => {
        succeeded(attempt, value)
      },
      (error: unknown) => {
        failed(attempt, error)
      },
    )
  } else succeeded(attempt, result)
}

/** Apart, because a closure in `run` that holds on to more than the attempt would cost every call. */
function injected(attempt: Attempt, injection: Injection): unknown {
  const { pipeline, args } = attempt.call
  return injection.run(attempt, () => pipeline.operation(attempt, ...(args as never[])))
}

function succeeded(attempt: Attempt, value: unknown): void {
  attempt.value = value
  const outcome = judge(attempt, 'success')
  const { call } = attempt
  const awaited = end(attempt)
  settle(attempt, outcome)
  const refusal = keep(attempt, outcome)
  if (!awaited || call.done) return
  if (refusal !== undefined) call.fail(refusal)
  else if (outcome === 'success') {
    if (call.failedValue) call.failedValue = false
    call.succeed(value)
  } else {
    const { dependency, name } = call.pipeline
    call.value = value
    call.failedValue = true
    recover(call, new FailedValueError(`${dependency} (${name}): the value was judged failed`, { dependency }))
  }
}

function failed(attempt: Attempt, error: unknown): void {
  attempt.error = error
  // It answered, and what it answered was withheld: that is the invariant's to judge, and something else may be served.
  const withheld = error instanceof InvariantError
  const outcome = withheld ? 'ignored' : judge(attempt, 'failure')
  const awaited = end(attempt)
  settle(attempt, outcome)
  keep(attempt, outcome)
  if (!awaited) return
  if (outcome === 'ignored' && !withheld) {
    attempt.call.nonFailure = true
    attempt.call.fail(error)
  } else recover(attempt.call, error)
}

/** Whether it was a failure, asking `isFailure` if there is one; when that throws, the default holds. */
function judge(attempt: Attempt, normal: 'success' | 'failure'): Outcome {
  const { life, report } = attempt.call.pipeline
  const { isFailure } = life
  const { error, value } = attempt
  if (isFailure !== undefined)
    try {
      if (isFailure(normal === 'success' ? { value } : { error })) return 'failure'
      return normal === 'success' ? 'success' : 'ignored'
    } catch (thrown) {
      report(thrown)
    }
  return normal === 'failure' && isClientError(error) ? 'ignored' : normal
}

/** The work has ended. @returns whether its caller still waits. */
function end(attempt: Attempt): boolean {
  const { pipeline } = attempt.call
  const awaited = attempt.phase === 'running'
  attempt.phase = 'done'
  attempt.endedAt = pipeline.clock.now()
  if (awaited) pipeline.stalls.leave()
  pipeline.inFlight.remove(attempt)
  return awaited
}

function settle(attempt: Attempt, outcome: Outcome): void {
  const { guards, report } = attempt.call.pipeline
  for (let i = attempt.entered - 1; i >= 0; i--)
    try {
      guards[i]!.settle(attempt, outcome)
    } catch (error) {
      report(error)
    }
}

function keep(attempt: Attempt, outcome: Outcome): Error | undefined {
  const { keeping, report } = attempt.call.pipeline
  let refusal: Error | undefined
  for (let i = keeping.length - 1; i >= 0; i--)
    try {
      refusal = keeping[i]!.settle(attempt, outcome) ?? refusal
    } catch (error) {
      report(error)
    }
  return refusal
}

/** The caller of a running attempt stops waiting, the work goes on: it is told so, and every guard that it passed. */
export function abandon(attempt: Attempt, why: Departure, reason: unknown): void {
  if (attempt.phase === 'entering') {
    attempt.phase = 'done'
    tellOne(attempt, attempt.entered, why)
    settle(attempt, 'cancelled')
  } else if (attempt.phase === 'running') {
    attempt.phase = 'abandoned'
    attempt.call.pipeline.stalls.leave()
    for (let i = attempt.entered - 1; i >= 0; i--) tellOne(attempt, i, why)
    attempt.abort(reason)
  }
}

function tellOne(attempt: Attempt, index: number, why: Departure): void {
  const { guards, report } = attempt.call.pipeline
  try {
    guards[index]?.abandon(attempt, why)
  } catch (error) {
    report(error)
  }
}

/** The attempt's time is over. */
export function expire(attempt: Attempt, why: Departure, error: CofferdamError): void {
  if (attempt.phase === 'done' || attempt.phase === 'abandoned') return
  const { call } = attempt
  inside(call.around, () => {
    abandon(attempt, why, error)
    recover(call, error)
  })
}

/** For a call that waits for nothing but its attempts. */
export const departed: Departing = (reason, call) => {
  leave(call, reason)
}

/** The caller leaves, or is sent away: nothing is served in place of the value. */
export function leave(call: Call, reason: unknown): void {
  if (call.done) return
  inside(call.around, () => {
    if (call.attempt !== undefined) abandon(call.attempt, 'aborted', reason)
    call.onLeave?.(reason)
    call.fail(reason)
  })
}

/** The time of the request is over in whose course the call was made. */
export function overdue(call: Call): void {
  if (call.done || !call.timedByRequest) return
  const { attempt } = call
  const error = call.deadlineError()
  call.onOverdue?.(error)
  if (attempt !== undefined) expire(attempt, 'cut', error)
}

/** Asks the recoverers, innermost first, for something to serve; without any the error is the answer. */
export function recover(call: Call, error: unknown, from = call.pipeline.recoverers.length - 1): void {
  if (call.done) return
  call.error = error
  const innermost = call.pipeline.life.bypassed && call.pipeline.live ? -1 : from
  for (let i = innermost; i >= call.outermost; i--) {
    let recovered: Recovery | Promise<Recovery> | undefined
    try {
      recovered = call.pipeline.recoverers[i]!.recover?.(call, error)
    } catch (thrown) {
      call.pipeline.report(thrown)
    }
    if (recovered === undefined || recovered === false) continue
    if (recovered === true || recovered === 'again') {
      recoveredBy(call, recovered)
      return
    }
    recoverLater(call, error, i, recovered)
    return
  }
  if (call.failedValue) call.succeed(call.value)
  else call.fail(told(error))
}

/** Apart, for the same reason as `wait`. */
function recoverLater(call: Call, error: unknown, index: number, recovery: Promise<Recovery>): void {
  recovery.then(
    (later) => {
      if (later === false) recover(call, error, index - 1)
      else recoveredBy(call, later)
    },
    () => {
      recover(call, error, index - 1)
    },
  )
}

function recoveredBy(call: Call, how: true | 'again'): void {
  if (how === true) call.succeed(call.value)
  else if (!call.done) {
    // What has failed before is no part of an answer that comes live after all.
    call.error = undefined
    tryOnce(call)
  }
}
