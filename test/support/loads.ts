import type { DependencyOptions } from '../../src/dependency-options.js'
import type { Dependency } from '../../src/dependency.js'
import type { OperationOptions } from '../../src/operation-options.js'
import type { CallContext } from '../../src/core/call.js'
import type { Wrapped } from '../../src/core/wrapped.js'
import { createRegistry, type Registry } from '../../src/registry.js'
import { ManualClock, settle } from '../../src/testing.js'
import { gate, type Gate } from './gate.js'

export const down = new Error('down')

/** One run of the operation, which hangs until the test says what becomes of it. */
export interface Load extends Gate<unknown> {
  readonly id: string
  readonly context: CallContext
}

export interface Loads {
  clock: ManualClock
  registry: Registry
  dependency: Dependency
  load: Wrapped<[id: string, user?: string], unknown>
  /** All runs so far, oldest first. */
  runs: Load[]
  /** What was reported to nobody in particular. */
  reported: unknown[]
  last: () => Load
  /** Loads it at once. */
  fill: (id: string, value: unknown, user?: string) => Promise<void>
  /** A call whose operation fails at once. */
  failing: (id: string, error?: unknown) => Promise<unknown>
}

/** A cached operation of a dependency, on a manual clock. */
export function loads(
  own: OperationOptions<[id: string, user?: string], unknown> = {},
  of: DependencyOptions = {},
  clock: ManualClock = new ManualClock(),
): Loads {
  const registry = createRegistry({ clock })
  const reported: unknown[] = []
  registry.on('error', ({ error }) => reported.push(error))
  const dependency = registry.dependency('feed', of)
  const runs: Load[] = []
  const load: Loads['load'] = dependency.wrap(
    (context, ...args: [id: string, user?: string]): Promise<unknown> => {
      const work = gate<unknown>()
      runs.push({ ...work, id: args[0], context })
      return work.promise
    },
    { name: 'load', key: (id) => id, scope: 'public', ...own },
  )
  const last = (): Load => runs.at(-1)!
  return {
    clock,
    registry,
    dependency,
    load,
    runs,
    reported,
    last,
    fill: async (id, value, user) => {
      const before = runs.length
      const result = load(id, user)
      if (runs.length !== before + 1) throw new Error('the call did not go live')
      last().open(value)
      await result
    },
    failing: async (id, error = down) => {
      const before = runs.length
      const result = load(id).catch((thrown: unknown) => thrown)
      if (runs.length > before) last().fail(error)
      await settle()
      return result
    },
  }
}
