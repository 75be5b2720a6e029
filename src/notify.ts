import * as v from 'valibot'
import { count, duration, durationOrZero, flag, fn, group, parse } from './core/options.js'
import type { Message } from './notify/message.js'
import { Notifier, type NotifyCounts, type Send } from './notify/notifier.js'
import type { NotifySource } from './notify/source.js'

const schema = group({
  stableFor: v.optional(durationOrZero),
  atMostEvery: v.optional(durationOrZero),
  perMinute: v.optional(count),
  timeout: v.optional(duration),
  operators: v.optional(flag),
  observed: v.optional(flag),
  warnings: v.optional(flag),
  onError: v.optional(fn<NonNullable<NotifyOptions['onError']>>()),
})

const sourceSchema = v.custom<NotifySource>(
  (given) => typeof (given as NotifySource | undefined)?.on === 'function',
  'must be a registry',
)

export interface NotifyOptions {
  /** How long a dependency must have been available again before that is told, ms. Default 120,000. */
  stableFor?: number
  /**
   * One dependency sends at most one message in so many ms; 0 = no such cap. The end of an outage doesn't count, and a
   * warning doesn't hold back the outage that it warned of. What had to wait is told when it may, as it is then.
   * Default 300,000.
   */
  atMostEvery?: number
  /** The most messages in any minute, over all dependencies; what is above goes together in a summary. Default 20. */
  perMinute?: number
  /** How long one `send` may take, ms; then its signal aborts and it has failed. Default 10,000. */
  timeout?: number
  /** Tell of outages that operators make, by forced modes, drains and the like, too. Default false. */
  operators?: boolean
  /** Tell of dependencies with `enforce: false`, what would have been. Default false. */
  observed?: boolean
  /** Tell of warnings, raised and cleared. Default true. */
  warnings?: boolean
  /** A message could not be delivered. What it throws is ignored. Default: failures are only counted. */
  onError?: (error: unknown, message: Message) => unknown
}

export interface Notifications {
  readonly counts: Readonly<NotifyCounts>
  /** Listens no more; what waits is dropped, what is being sent is aborted. Idempotent. */
  stop(): void
}

/** People's own doings are no news to them. */
const OWN: readonly string[] = ['operator', 'drain', 'disabled', 'closed']

/**
 * Alerts that don't flap: one message when a dependency becomes unavailable, one when it has been available again and
 * stable, one about flapping in place of a storm, under a cap for each dependency and one over all.
 *
 * The beginning of an outage is never lost. While a cap holds it back, or if `send` fails, it stays untold; it is told as
 * soon as it may be, in the words that are true by then. A failed message goes along with the next one, once, and else
 * again after `atMostEvery` (a minute at least): failures make no storm. Nothing here keeps the process alive.
 *
 * @param send delivers a {@link Message}; may be async
 * @throws OptionError (`ERR_OPTION`)
 * @example
 * const alerts = notify(registry, (message, { signal }) =>
 *   fetch(webhook, { method: 'POST', body: JSON.stringify(message), signal }),
 * )
 */
export function notify(registry: NotifySource, send: Send, options: NotifyOptions = {}): Notifications {
  parse(sourceSchema, registry, 'notify.registry')
  parse(fn<Send>(), send, 'notify.send')
  const given = parse(schema, options, 'notify')
  const { operators = false, observed = false, warnings = true } = given
  const notifier = new Notifier(registry.clock, send, {
    stableFor: given.stableFor ?? 120_000,
    atMostEvery: given.atMostEvery ?? 300_000,
    perMinute: given.perMinute ?? 20,
    timeout: given.timeout ?? 10_000,
    onError: given.onError ?? (() => undefined),
  })
  const listeners = [
    registry.on('flip', (flip) => {
      if (flip.enforced || observed) notifier.flipped(flip, !operators && OWN.includes(flip.cause.kind))
    }),
    registry.on('flapping', (flapping) => notifier.flapping(flapping)),
    ...(warnings ? [registry.on('warning', (warning) => notifier.warned(warning))] : []),
  ]
  return {
    get counts() {
      return notifier.counts
    },
    stop() {
      for (const off of listeners.splice(0)) off()
      notifier.stop()
    },
  }
}
