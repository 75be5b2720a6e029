import { OptionError } from '../core/errors.js'
import type { Mode } from './override.js'
import type { CircuitState } from './verdict.js'

/** What a request sees of one dependency. */
export interface DependencySnapshot {
  readonly name: string
  readonly known: boolean
  readonly mode: Mode
  /** Worth calling: also true while a half-open circuit waits for its trial, or code that looks first would never let it run. */
  readonly available: boolean
  readonly circuit: CircuitState['kind']
  /** Since when it has been in its mode, wall time in ms. */
  readonly since: number
  /** Why, for operators. */
  readonly reason?: string
  /** What may be shown to users, if an operator left a notice. */
  readonly notice?: string
}

/** Names that stand for something else in a snapshot. */
export const RESERVED = ['list', 'then', 'toJSON']

/**
 * All modes at one instant, by name. Frozen; an unknown name gives `{ available: false, known: false }` and never throws,
 * so that a template can't fail over a dependency that was renamed.
 */
export type Snapshot = Readonly<Record<string, DependencySnapshot>> & {
  /** All known dependencies, in the order in which they were made. */
  readonly list: () => readonly DependencySnapshot[]
}

const unknown = (name: string): DependencySnapshot =>
  Object.freeze({ name, known: false, mode: 'unavailable', available: false, circuit: 'closed', since: 0 })

const strict = new WeakMap<Snapshot, Snapshot>()

/**
 * The same snapshot, for development: an unknown name throws and lists the known ones, so that a misspelled one in a
 * template is seen before users see it as "unavailable".
 */
export function strictSnapshot(snapshot: Snapshot): Snapshot {
  let checked = strict.get(snapshot)
  if (checked !== undefined) return checked
  checked = new Proxy(snapshot, {
    get(target, name) {
      if (typeof name === 'symbol' || name in target || RESERVED.includes(name))
        return Reflect.get(target, name) as unknown
      const known = Object.keys(target).map((one) => JSON.stringify(one))
      throw new OptionError(
        `health[${JSON.stringify(name)}]`,
        `is no dependency; known are ${known.join(', ') || 'none'}`,
      )
    },
  })
  strict.set(snapshot, checked)
  return checked
}

export function snapshotOf(dependencies: readonly DependencySnapshot[]): Snapshot {
  const byName: Record<string, unknown> = Object.create(null) as Record<string, unknown>
  for (const dependency of dependencies) byName[dependency.name] = dependency
  const all = Object.freeze([...dependencies])
  Object.defineProperty(byName, 'list', { value: () => all })
  return new Proxy(Object.freeze(byName), {
    get(target, name) {
      if (typeof name === 'symbol') return undefined
      if (name in target) return target[name]
      return RESERVED.includes(name) ? undefined : unknown(name)
    },
  }) as Snapshot
}
