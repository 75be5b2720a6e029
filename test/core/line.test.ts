import type { LimitFunction } from 'p-limit'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { Line, type Waiter } from '../../src/core/line.js'
import { Slots } from '../../src/core/slots.js'
import { settle } from '../../src/testing.js'
import { turns } from '../support/turns.js'

/** The queues that p-limit keeps, to see what is left standing in them. */
const limits = vi.hoisted((): LimitFunction[] => [])

vi.mock('p-limit', async (original) => {
  const { default: pLimit } = await original<typeof import('p-limit')>()
  return {
    default: (concurrency: number) => {
      const limit = pLimit(concurrency)
      limits.push(limit)
      return limit
    },
  }
})

beforeEach(() => {
  limits.length = 0
})

/** A pool whose only slot is taken, and those who got one since, by number. */
function fullPool() {
  const pool = Slots.pool('db', 1)
  pool.tryTake()
  const granted: number[] = []
  const join = (count: number, from = 0): Waiter[] =>
    Array.from({ length: count }, (_, i) => pool.wait(() => granted.push(from + i)))
  /** Gives the slot back as often as there are waiters. */
  const serveAll = async (): Promise<void> => {
    await settle()
    while (pool.busy > 0) {
      pool.release()
      await settle()
    }
  }
  return { pool, granted, join, serveAll }
}

describe('a line', () => {
  it('has one head at a time, the one who joined first, and calls the next when that one has gone', async () => {
    const line = new Line(() => undefined)
    const [first, second, third] = [0, 1, 2].map((ticket) => line.join(ticket, () => undefined))
    expect([line.head, line.next, line.length]).toEqual([undefined, first, 3])
    await settle()
    expect(line.head).toBe(first)
    first!.leave()
    expect([line.head, line.next, line.length]).toEqual([undefined, second, 2])
    await settle()
    expect(line.head).toBe(second)
    second!.grant()
    await settle()
    expect(line.head).toBe(third)
    third!.leave()
    expect([line.head, line.next, line.length]).toEqual([undefined, undefined, 0])
  })

  it('says so whenever who comes next has changed', async () => {
    const seen: (number | undefined)[] = []
    const line: Line = new Line(() => seen.push(line.next?.ticket))
    const [first, second] = [0, 1].map((ticket) => line.join(ticket, () => undefined))
    first!.leave()
    second!.leave()
    await settle()
    expect(seen).toEqual([1, undefined])
  })
})

describe('a waiter', () => {
  it('who leaves gives its seat back at once, from any place in the line', async () => {
    const { pool, granted, join, serveAll } = fullPool()
    const waiters = join(4)
    await settle()
    for (const i of [3, 0, 1]) expect(waiters[i]!.leave()).toBe(true)
    expect(pool.waiters).toBe(1)
    await serveAll()
    expect(granted).toEqual([2])
  })

  it('who leaves is told why, once', async () => {
    const { join } = fullPool()
    const [waiter] = join(1)
    const error = new Error('late')
    expect(waiter!.leave(error)).toBe(true)
    expect(waiter!.leave(new Error('again'))).toBe(false)
    await expect(waiter!.promise).rejects.toBe(error)
  })

  it('who was granted a slot in the same turn can’t leave any more, and keeps it', async () => {
    const { pool, granted, join } = fullPool()
    const [waiter] = join(1)
    await settle()
    pool.release()
    expect(waiter!.leave(new Error('late'))).toBe(false)
    await expect(waiter!.promise).resolves.toBeUndefined()
    expect([granted, pool.busy, pool.waiters]).toEqual([[0], 1, 0])
  })

  it('who left in the same turn is granted nothing, and the slot goes to the next', async () => {
    const { pool, granted, join } = fullPool()
    const [first] = join(2)
    await settle()
    first!.leave()
    pool.release()
    await settle()
    expect([granted, pool.busy, pool.waiters]).toEqual([[1], 1, 0])
  })

  it('who leaves at any step of being called to the head loses no slot', async () => {
    for (let steps = 0; steps < 12; steps++) {
      const { pool, granted, join, serveAll } = fullPool()
      const [, second] = join(3)
      await settle()
      pool.release()
      await turns(steps)
      pool.release()
      await turns(steps)
      const left = second!.leave()
      await serveAll()
      expect(granted).toEqual(left ? [0, 2] : [0, 1, 2])
      expect([pool.busy, pool.waiters, pool.tryTake()]).toEqual([0, 0, true])
    }
  })
})

describe('abandoned waiters', () => {
  it('don’t pile up: after 100,000 of them p-limit’s queue is as short as before', async () => {
    const { pool, join, granted, serveAll } = fullPool()
    join(1)
    await settle()
    let longest = 0
    for (let i = 0; i < 100_000; i++) {
      pool.wait(() => undefined).leave()
      longest = Math.max(longest, limits[0]!.pendingCount)
    }
    expect(longest).toBeLessThan(100)
    expect(pool.waiters).toBe(1)
    await serveAll()
    expect(granted).toEqual([0])
    expect([limits[0]!.pendingCount, limits[0]!.activeCount]).toEqual([0, 0])
  })

  it('don’t pile up behind nobody either, nor among others who stay', async () => {
    const { pool, join, granted, serveAll } = fullPool()
    for (let i = 0; i < 1_000; i++) pool.wait(() => undefined).leave()
    await settle()
    expect([limits[0]!.pendingCount, limits[0]!.activeCount]).toEqual([0, 0])
    const stay: number[] = []
    for (let i = 0; i < 5_000; i++) {
      const [waiter] = join(1, i)
      if (i % 100 === 0) stay.push(i)
      else waiter!.leave()
      expect(limits[0]!.pendingCount).toBeLessThanOrEqual(2 * stay.length + 40)
    }
    await serveAll()
    expect(granted).toEqual(stay)
  })

  it('leave the others in the order in which they came, whatever was cleared away', async () => {
    const { join, granted, serveAll } = fullPool()
    const waiters = join(200)
    await settle()
    const stay = [0, 3, 57, 58, 120, 199]
    for (const [i, waiter] of waiters.entries()) if (!stay.includes(i)) waiter.leave()
    join(2, 1_000)
    await serveAll()
    expect(granted).toEqual([...stay, 1_000, 1_001])
  })

  it('cleared away while another is being called to the head leave him one turn, not two', async () => {
    const cleared = async ({ pool, join, granted, serveAll }: ReturnType<typeof fullPool>, before: number[]) => {
      await settle()
      join(1, 100)
      await serveAll()
      expect(granted).toEqual([...before, 100])
      expect([pool.busy, pool.waiters, limits.at(-1)!.activeCount, limits.at(-1)!.pendingCount]).toEqual([0, 0, 0, 0])
    }
    const fresh = fullPool()
    const [, ...others] = fresh.join(40)
    for (const waiter of others) waiter.leave()
    await cleared(fresh, [0])

    for (let steps = 1; steps < 12; steps++) {
      const made = fullPool()
      const [, , ...many] = made.join(42)
      await settle()
      made.pool.release()
      await turns(steps)
      for (const waiter of many) waiter.leave()
      await cleared(made, [0, 1])
    }
  })
})
