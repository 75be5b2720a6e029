import type { DependencyOptions } from '../../src/dependency-options.js'
import type { OperationOptions } from '../../src/operation-options.js'
import type { KeyvLike } from '../../src/policies/cache/second-store.js'
import { settle } from '../../src/testing.js'
import { loads, type Loads } from './loads.js'

export type Own = OperationOptions<[id: string, user?: string], unknown>

/** Where the fake keeps a public value of these rigs. */
export const keyOf = (id: string): string => `cofferdam:1:feed:load:p:${id}`

/** A process with a clock of its own, and the same store as others. */
export const process = (store: KeyvLike, own: Own = {}, of: DependencyOptions = {}): Loads =>
  loads(own, { ...of, stale: { ...of.stale, store } })

/** A live value, also where the second level is asked first; what follows from it has happened. */
export async function bring({ load, runs }: Loads, id: string, value: unknown, user?: string): Promise<void> {
  const before = runs.length
  const result = load(id, user)
  await settle()
  if (runs.length !== before + 1) throw new Error('the call did not go live')
  runs.at(-1)!.open(value)
  await result
  await settle()
}
