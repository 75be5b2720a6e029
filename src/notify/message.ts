import type { Cause } from '../health/cause.js'
import type { WarningKind } from '../health/warnings.js'

/**
 * What people are told; plain frozen data, with no arguments, keys or values in it. Stamps are wall time, durations ms.
 *
 * - `unavailable`: an outage has begun, or had when the message had to wait, and goes on
 * - `flapping`: the same for a dependency that comes and goes
 * - `available`: an outage that was told is over, and has been for `stableFor`
 * - `warning`: one was raised or cleared
 * - `summary`: with a `dependency`, an outage that could not be told while it lasted; else several messages in one
 */
export interface Message {
  readonly kind: 'unavailable' | 'available' | 'flapping' | 'warning' | 'summary'
  /** Absent in a summary of several. */
  readonly dependency?: string
  readonly at: number
  /** All of it in words. */
  readonly text: string
  /** Why it became unavailable, the last time. */
  readonly cause?: Readonly<Cause>
  /** When the outage began. */
  readonly since?: number
  /** It became unavailable while faults were injected, the last time: a rehearsal. */
  readonly injected?: true
  /** How many that depend on it, and on these, are unavailable with it; they have no messages of their own. */
  readonly dependents?: number
  /** How often it has become unavailable in this outage, short returns included. */
  readonly flips?: number
  /** Of flapping: the time that its flips took. */
  readonly within?: number
  /** Of flapping: how long its return is still held back. */
  readonly suppressedFor?: number
  readonly warning?: WarningKind
  /** Of a warning: whether it was raised or cleared. */
  readonly raised?: boolean
  /** It would have been so, but its policies are only watched (`enforce: false`). */
  readonly observed?: true
  /** In a summary of several: each as it would have been sent. */
  readonly messages?: readonly Message[]
}

/** Worst first, as in a summary. */
const KINDS = {
  unavailable: 'unavailable',
  flapping: 'flapping',
  summary: 'unavailable for a time',
  available: 'available again',
  warning: 'warnings',
} as const

/** How many names a summary spells out of each kind. */
const NAMES = 5

/** Several messages in one, which names the first few of each kind and counts the others. */
export function together(messages: readonly Message[], at: number): Message {
  const parts: string[] = []
  const sorted: Message[] = []
  for (const [kind, words] of Object.entries(KINDS)) {
    const some = messages.filter((message) => message.kind === kind)
    if (some.length === 0) continue
    sorted.push(...some)
    const names = some.slice(0, NAMES).map(nameOf)
    parts.push(`${words}: ${names.join(', ')}${some.length > NAMES ? ` and ${some.length - NAMES} more` : ''}`)
  }
  return Object.freeze({
    kind: 'summary',
    at,
    text: `${messages.length} messages in one. ${parts.join('; ')}`,
    messages: Object.freeze(sorted),
  })
}

function nameOf({ dependency = '', warning, raised, observed, injected, dependents }: Message): string {
  if (warning !== undefined) return `${dependency} (${warning}${raised === true ? '' : ', cleared'})`
  const remarks = [
    ...(observed === true ? ['only watched'] : []),
    ...(injected === true ? ['a fault was injected'] : []),
    ...(dependents === undefined ? [] : [`with ${dependents} more`]),
  ]
  return remarks.length === 0 ? dependency : `${dependency} (${remarks.join(', ')})`
}

/** The message of an outage, with the number of those that it takes along. */
export function withDependents(message: Message, dependents: number): Message {
  if (dependents === 0) return message
  const words = dependents === 1 ? '1 that depends on it is' : `${dependents} that depend on it are`
  return Object.freeze({ ...message, dependents, text: `${message.text}; ${words} unavailable with it` })
}

/** A duration as people say it: its greatest unit, rounded. */
export function spell(ms: number): string {
  const seconds = Math.round(ms / 1_000)
  if (seconds < 100) return `${seconds} s`
  const minutes = Math.round(seconds / 60)
  return minutes < 100 ? `${minutes} min` : `${Math.round(minutes / 60)} h`
}
