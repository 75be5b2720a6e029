import type { Call, Source } from './core/call.js'
import type { Cause } from './health/cause.js'
import type { Flapping } from './health/followers.js'
import type { Mode } from './health/override.js'
import type { WarningKind } from './health/warnings.js'

/** `injected`: a fault was, into that call or, where it is no call's event, into the dependency at that time. */
interface Injectable {
  injected?: true
}

/** What a registry tells its listeners. Payloads are frozen, and hold no arguments, keys or values. */
export interface RegistryEvents {
  /**
   * A mode changed; with `enforced: false` it would have. `injected`: while faults were, here or in what it depends on,
   * or calls that met one were still counted.
   * `parents`: where one of them is the cause, all that it depends on.
   */
  flip: {
    dependency: string
    mode: Mode
    cause: Cause
    at: number
    enforced: boolean
    injected?: true
    parents?: readonly string[]
  }
  /** Something to be seen although it flips nothing began (`raised`) or ended. */
  warning: { dependency: string; warning: WarningKind; raised: boolean; text: string; at: number } & Injectable
  /** It flips so often that its return is held back; from now on no flip need be told. Times in ms. */
  flapping: { dependency: string; at: number } & Flapping & Injectable
  /** Probes say the contrary of what traffic says; traffic is believed. */
  disagreement: { dependency: string; probes: 'passing' | 'failing'; at: number } & Injectable
  /** Work still runs after `longCall`; its caller may have had another answer. */
  longCall: Who & { attempt: number; ranFor: number; callerGone: boolean }
  /** A slot was taken back from work that did not end. */
  leak: Who & { attempt: number }
  /** A call has ended. `code` is a failed one's error code, or its name. Durations in ms. */
  call: Who & { ok: boolean; source?: Source; code?: string; attempts: number; took: number }
  /** A value was dropped because its version is lower than the one held: perhaps its source was restored from an old dump. */
  olderValue: { dependency: string; operation: string }
  /** `keepTrying` has failed, is held back, has connected or has ended. */
  connection: { dependency: string; at: number } & TryingState & Injectable
  /** A listener, hook or classifier threw. */
  error: { error: unknown; dependency?: string; event?: string }
}

/** How far `keepTrying` has come. */
export interface TryingState {
  /** `waiting` for its turn; `held` back because the dependency is unavailable. */
  phase: 'waiting' | 'held' | 'trying' | 'connected' | 'ended'
  /** Since it was last steady; with a state file, those of the processes before this one are among them. */
  attempts: number
  /** Time until the next attempt, ms. */
  next?: number
  /** The last failure's error code, or its name. */
  code?: string
}

const known: { readonly [Name in keyof RegistryEvents]: true } = {
  flip: true,
  warning: true,
  flapping: true,
  disagreement: true,
  longCall: true,
  connection: true,
  leak: true,
  call: true,
  olderValue: true,
  error: true,
}

/** One that is listened for under another name would never come. */
export const EVENTS = Object.keys(known)

/** Whose call. */
export interface Who extends Injectable {
  dependency: string
  operation: string
  class?: string
  label?: string
}

/** Field by field: spreading costs 2 µs for each call that somebody listens for. */
export function who(call: Call): Who {
  const { dependency, name } = call.pipeline
  const label = call.options?.label ?? call.pipeline.label
  const whose: Who = { dependency, operation: name }
  if (call.class !== undefined) whose.class = call.class
  if (label !== undefined) whose.label = label
  if (call.injected) whose.injected = true
  return whose
}

/** How a call ended. */
export function storyOf(call: Call, error: unknown, failed: boolean): RegistryEvents['call'] {
  const story = who(call) as RegistryEvents['call']
  story.ok = !failed
  story.attempts = call.attempts
  story.took = endOf(call, failed) - call.began
  if (failed) story.code = codeOf(error)
  else story.source = call.story.source
  return story
}

/** A live answer is the caller's as soon as its attempt has ended, unless something better was looked for first. */
function endOf({ attempt, story, failedValue, pipeline }: Call, failed: boolean): number {
  const live = !failed && !failedValue && story.source === 'live' && attempt?.ran === true
  return live ? attempt.endedAt : pipeline.clock.now()
}

/** What may be said of an error. */
export function codeOf(error: unknown): string {
  const { code, name } = Object(error) as { code?: unknown; name?: unknown }
  return typeof code === 'string' ? code : typeof name === 'string' ? name : typeof error
}
