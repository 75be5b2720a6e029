import { inside } from './ambient.js'
import { begin } from './runner.js'
import { bound } from './bound.js'
import { Call, deadlineOf, type CallOptions } from './call.js'

/**
 * Runs a call whose work outlives its caller: a write that must not stop half-way because a client went, or work that
 * a request has only begun. The caller may leave, or be out of time; the work goes on under its own timeout.
 *
 * With `always` it also begins when the client has gone or the request's time is over: what undoes a half-done change
 * is called just then. Its caller waits for it as long as it takes, since to be told of a deadline would mean that
 * nothing was begun. Otherwise nothing begins too late: a client who was told so may be trying again. What the call
 * itself asks for, a signal or a time of its own, is obeyed before anything begins.
 */
export function beginDetached(caller: Call): Promise<unknown> {
  const { pipeline, options, around, began } = caller
  const signal = options?.signal
  const own: CallOptions = { total: Infinity }
  if (caller.class !== undefined) own.class = caller.class
  if (options?.label !== undefined) own.label = options.label
  if (options?.timeout !== undefined) own.timeout = options.timeout
  const promise = caller.open((reason) => {
    caller.fail(reason)
  })
  const asked = deadlineOf(pipeline, options, began) - began
  if (signal?.aborted === true) caller.fail(signal.reason)
  else if (asked <= (around?.floor ?? 0)) caller.fail(caller.deadlineError())
  else if (pipeline.detached === 'once begun')
    if (around?.gone !== undefined) caller.fail(around.gone.reason)
    else if (caller.tooLate(began)) caller.fail(caller.deadlineError())
  if (caller.done) return promise
  const work = new Call(pipeline, caller.args, own, 0)
  const result = inside(work.around, () => begin(work))
  const late = (): never => {
    throw caller.deadlineError()
  }
  const patience = caller.tooLate(began) ? asked : caller.remaining(began)
  bound(pipeline.clock, result, patience, late).then(
    (value) => {
      caller.error = work.error
      caller.injected = work.injected
      caller.serve(value, work.story)
      caller.succeed(value)
    },
    (error: unknown) => {
      caller.injected = work.injected
      caller.fail(error)
    },
  )
  return promise
}
