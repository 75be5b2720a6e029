import * as v from 'valibot'
import { backoffSchema, backoffSettings, type BackoffOptions } from './core/backoff.js'
import type { CallContext } from './core/call.js'
import { duration, durationOrZero, fn, group, parse, text } from './core/options.js'
import { Dependency } from './dependency.js'
import { Round, type Trying, type TryingSettings } from './keep-trying/round.js'

/** The longest wait between two attempts unless another is given, ms. */
const LONGEST = 30_000

export interface KeepTryingOptions<T> {
  /** What is connected to. Attempts are calls of it: guarded, counted, and held back while it is unavailable. */
  dependency: Dependency
  /** Between attempts, whether they failed or not, by chance from half of it on. Default: 100 ms, doubling, at most 30 s. */
  backoff?: BackoffOptions
  /** When nothing had to be tried for so long after the last wait, the pace begins anew, ms. Default 60,000. */
  steadyFor?: number
  /** For each attempt, ms. Default: the dependency's. */
  timeout?: number
  /**
   * Where the pace is kept for a process that ends and is started again at once; one process to a file. It must be in a
   * directory that exists; one that can't be written is reported as an `error` of the registry, and holds nothing up.
   */
  stateFile?: string
  /** `false` for an error that no other attempt will change: it is thrown. Default: every error is tried again. */
  when?: (error: unknown) => boolean
  /** Ends a connection that came too late for anybody to use it. */
  discard?: (late: T) => unknown
  /** Ends the wait; as the last caller's it ends the attempts too. */
  signal?: AbortSignal
}

const schema = group({
  dependency: v.custom<Dependency>((given) => given instanceof Dependency, 'must be a dependency of a registry'),
  backoff: v.optional(backoffSchema),
  steadyFor: v.optional(durationOrZero),
  timeout: v.optional(duration),
  stateFile: v.optional(text),
  when: v.optional(fn<(error: unknown) => boolean>()),
  discard: v.optional(fn<(late: never) => unknown>()),
  signal: v.optional(v.custom<AbortSignal>((given) => given instanceof AbortSignal, 'must be an AbortSignal')),
})

/** What is being tried at present. */
const rounds = new WeakMap<Dependency, unknown>()

/**
 * Connects, and tries again until it has: for start-up and reconnect loops. However often and by whomever it is called,
 * one attempt at a time is made, each further from the one before: a caller who loops anyway is given the attempt that is
 * pending, with the first caller's `connect` and options, or waits for its turn.
 *
 * Held back while the dependency is unavailable, and tried at once when an operator sets it available.
 *
 * @returns a promise of the connection, with the `state` of things
 * @throws OptionError (`ERR_OPTION`) at once. The promise rejects with ClosedError (`ERR_CLOSED`) once the dependency is
 * closed, with the signal's reason, or with what `when` says is final
 * @example
 * const client = await keepTrying(({ signal }) => connect(url, { signal }), { dependency, stateFile: '/var/run/app/redis' })
 */
export function keepTrying<T>(
  connect: (context: CallContext) => T | PromiseLike<T>,
  options: KeepTryingOptions<NoInfer<T>>,
): Trying<T> {
  parse(fn(), connect, 'connect')
  const given = parse(schema, options, 'keepTrying')
  const { dependency, signal } = given
  const settings: TryingSettings<T> = {
    dependency,
    backoff: backoffSettings(given.backoff ?? {}, 'keepTrying.backoff', LONGEST),
    steadyFor: given.steadyFor ?? 60_000,
    timeout: given.timeout,
    stateFile: given.stateFile,
    when: given.when,
    discard: given.discard as TryingSettings<T>['discard'],
  }
  if (signal?.aborted === true) return left(signal.reason)
  let round = rounds.get(dependency) as Round<T> | undefined
  if (round === undefined) {
    const own = (round = new Round(connect, settings, () => {
      if (rounds.get(dependency) === own) rounds.delete(dependency)
    }))
    rounds.set(dependency, round)
  }
  return round.join(signal)
}

function left(reason: unknown): Trying<never> {
  const promise = Promise.reject(reason)
  promise.catch(() => undefined)
  return Object.assign(promise, { state: { phase: 'ended', attempts: 0 } as const })
}
