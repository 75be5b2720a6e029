import { LRUCache } from 'lru-cache'
import { describe, expect, it, vi } from 'vitest'
import { Owner } from '../../../src/policies/cache/owner.js'
import { Store, type StoreOptions } from '../../../src/policies/cache/store.js'

const keys = (count: number, from = 0): string[] => Array.from({ length: count }, (_, index) => `key ${from + index}`)

/** A store whose values are their keys, written in the order of their numbers. */
const filled = (options: StoreOptions, count: number) => {
  const owner = new Owner()
  const store = new Store(options)
  let sequence = 0
  const write = (key: string) => store.write(owner, key, key, sequence, ++sequence, undefined)
  for (const key of keys(count)) expect(write(key)).toBe('written')
  const held = (): string[] => [...store.of(owner)].map(([key]) => key)
  return { owner, store, write, held }
}

describe('the room of a store', () => {
  it.each([1, 15, 16, 17, 64, 65, 300, 1_000])('grows up to %i entries, and loses none on the way', (max) => {
    const { store, held } = filled({ max }, max)
    expect(held()).toEqual(keys(max).reverse())
    for (const key of keys(max)) expect(store.get(key)?.value).toBe(key)
  })

  it.each([1, 16, 17, 100])('ends at %i: the least recently used goes, also when it had moved before', (max) => {
    const { store, write, held } = filled({ max }, max)
    const [first] = keys(1)
    store.get(first!)
    write('one more')
    expect(held()).toHaveLength(max)
    expect(held()[0]).toBe('one more')
    expect(store.get(first!) !== undefined).toBe(max > 1)
    if (max > 1) expect(store.get('key 1')).toBeUndefined()
  })

  it('has all of it from a thousand on, so that nobody waits while a hundred thousand move', () => {
    const { store, held } = filled({ max: 5_000 }, 1_025)
    const moved = vi.spyOn(LRUCache.prototype, 'rentries')
    const owner = new Owner()
    for (const [at, key] of keys(3_500, 2_000).entries()) store.write(owner, key, key, 0, at + 1, undefined)
    expect(moved).not.toHaveBeenCalled()
    moved.mockRestore()
    expect(held()).toHaveLength(1_025)
    expect([...store.of(owner)]).toHaveLength(3_500)
  })

  it('does not grow for a key that is there already', () => {
    const { owner, store, write, held } = filled({ max: 100 }, 16)
    write('key 3')
    expect(held()).toHaveLength(16)
    expect([...store.of(owner)][0]?.[1].value).toBe('key 3')
  })

  it('keeps count of bytes while it grows', () => {
    const { write, held } = filled({ max: 1_000, maxBytes: 50 * 12 }, 40)
    expect(held()).toHaveLength(40)
    for (const key of keys(40, 40)) write(key)
    expect(held()).toEqual(keys(50, 30).reverse())
  })

  it('lets an older call bring nothing back that had to go for want of room, after it has grown', () => {
    const { owner, store, write } = filled({ max: 20 }, 20)
    write('one more')
    expect(store.write(owner, 'key 0', 'late', 0, 1, undefined)).toBe('older')
  })
})
