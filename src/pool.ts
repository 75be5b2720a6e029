import * as v from 'valibot'
import { count, group, parse, text } from './core/options.js'
import { Slots } from './core/slots.js'

const schema = group({ name: text, slots: count })

/** Slots that several dependencies share, because they share a real resource: one connection pool of 10. */
export class Pool {
  readonly name: string
  /** @internal */
  readonly slots: Slots

  /** @internal Use {@link createPool}. */
  constructor(name: string, slots: number) {
    this.name = name
    this.slots = Slots.pool(name, slots)
  }

  /** Who holds how many at present, and who waits. */
  usage(): {
    slots: number
    busy: number
    waiters: number
    members: Record<string, { busy: number; guaranteed: number; atMost: number; waiters: number }>
  } {
    const members = [...this.slots.members.values()].map(
      ({ name, busy, guaranteed, capacity, waiters }) =>
        [name, { busy, guaranteed, atMost: capacity, waiters }] as const,
    )
    const { capacity, busy, waiters } = this.slots
    return { slots: capacity, busy, waiters, members: Object.fromEntries(members) }
  }

  /**
   * Another size, in force at once. A smaller one takes nothing away: what is held beyond it isn't handed out again.
   * @throws OptionError (`ERR_OPTION`), also when the members' guarantees would exceed it
   */
  resize(slots: number): void {
    this.slots.resize(parse(count, slots, 'slots'), 'slots')
  }
}

/**
 * Makes a pool for `bulkhead.pool`. A dependency that names no number in it is guaranteed its share of half the slots
 * and may borrow what nobody is guaranteed, so that one that hangs can't starve the others.
 *
 * @param options `slots`: the size of the real resource
 * @throws OptionError (`ERR_OPTION`)
 * @example
 * const db = createPool({ name: 'db', slots: 10 })
 * registry.dependency('orders', { bulkhead: { pool: db } })
 * registry.dependency('comments', { bulkhead: { pool: db } })
 */
export function createPool(options: { name: string; slots: number }): Pool {
  const { name, slots } = parse(schema, options, 'createPool')
  return new Pool(name, slots)
}

export const poolSchema = v.instance(Pool, 'must be made with createPool()')
