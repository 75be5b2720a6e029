import { inside } from './ambient.js'
import { begin } from './runner.js'
import { bound } from './bound.js'
import { Call, type CallOptions } from './call.js'

/**
 * Runs a call whose work outlives its caller: a write that must not stop half-way because a client went, or work that
 * a request has only begun. The caller may leave, or be out of time; the work goes on under its own timeout.
 */
export function beginDetached(caller: Call): Promise<unknown> {
  const { pipeline, options, around } = caller
  const signal = options?.signal
  const own: CallOptions = { total: Infinity }
  if (caller.class !== undefined) own.class = caller.class
  if (options?.label !== undefined) own.label = options.label
  if (options?.timeout !== undefined) own.timeout = options.timeout
  const promise = caller.open((reason) => {
    caller.fail(reason)
  })
  // What has begun goes on; nothing is begun for a caller who has left already, or who would be told that it was not.
  if (signal?.aborted === true) caller.fail(signal.reason)
  else if (around?.gone !== undefined) caller.fail(around.gone.reason)
  else if (caller.tooLate(caller.began)) caller.fail(caller.deadlineError())
  if (caller.done) return promise
  const work = new Call(pipeline, caller.args, own, 0)
  const late = (): never => {
    throw caller.deadlineError()
  }
  const result = inside(work.around, () => begin(work))
  bound(pipeline.clock, result, caller.remaining(caller.began), late).then(
    (value) => {
      caller.error = work.error
      caller.serve(value, work.source, work.age, work.stale)
      caller.succeed(value)
    },
    (error: unknown) => {
      caller.fail(error)
    },
  )
  return promise
}
