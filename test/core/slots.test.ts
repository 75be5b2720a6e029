import { describe, expect, it } from 'vitest'
import { OptionError } from '../../src/core/errors.js'
import { Slots } from '../../src/core/slots.js'
import { settle } from '../../src/testing.js'

/** Takes what it can get. @returns how many that was */
function fill(slots: Slots): number {
  let taken = 0
  while (slots.tryTake()) taken++
  return taken
}

function release(slots: Slots, times: number): void {
  for (let i = 0; i < times; i++) slots.release()
}

/** Lines up waiters that write their names down when their turn comes. */
function lineUp(log: string[], slots: Slots, ...names: string[]): void {
  for (const name of names) slots.wait(() => log.push(name))
}

function figures(slots: Slots): object {
  const { busy, unmet, capacity, guaranteed } = slots
  return { busy, unmet, capacity, guaranteed, members: [...slots.members.values()].map(figures) }
}

describe('a pool', () => {
  it('never hands out more slots than it has, and hands out again what came back', () => {
    const pool = Slots.pool('db', 3)
    expect(fill(pool)).toBe(3)
    expect(pool.busy).toBe(3)
    pool.release()
    expect(fill(pool)).toBe(1)
    release(pool, 3)
    expect(pool.busy).toBe(0)
  })

  it('is one cap for all of its members, however much each of them may borrow', () => {
    const pool = Slots.pool('db', 7)
    const members = ['a', 'b', 'c'].map((name) => pool.join(name, { guaranteed: 0 }, 'share'))
    expect(members.map(fill)).toEqual([7, 0, 0])
    expect(pool.busy).toBe(7)
  })

  it('refuses a member whose guarantee no longer fits, and is as it was before', () => {
    const pool = Slots.pool('db', 10)
    pool.join('a', { guaranteed: 6 }, 'a.guaranteed')
    pool.join('b', {}, 'b')
    const before = figures(pool)
    expect(() => pool.join('c', { guaranteed: 5 }, 'c.guaranteed')).toThrow(
      new OptionError('c.guaranteed', 'guarantees of 11 in all exceed the 10 slots'),
    )
    expect(figures(pool)).toEqual(before)
    expect([...pool.members.keys()]).toEqual(['a', 'b'])
  })

  it('refuses a second member of the same name', () => {
    const pool = Slots.pool('db', 10)
    pool.join('a', {}, 'a')
    expect(() => pool.join('a', {}, 'path')).toThrow('path: "a" is a member of the pool already')
  })
})

describe('a guarantee where no number is set', () => {
  it.each([
    { slots: 10, named: [], unnamed: 1, each: [5] },
    { slots: 10, named: [], unnamed: 2, each: [2, 2] },
    { slots: 10, named: [], unnamed: 3, each: [1, 1, 1] },
    { slots: 40, named: [10, 2], unnamed: 2, each: [7, 7] },
    { slots: 10, named: [9], unnamed: 1, each: [1] },
    { slots: 10, named: [10], unnamed: 2, each: [0, 0] },
    { slots: 3, named: [1], unnamed: 3, each: [1, 1, 0] },
    { slots: 1, named: [], unnamed: 2, each: [1, 0] },
  ])('is $each for $unnamed members beside $named of $slots slots', ({ slots, named, unnamed, each }) => {
    const pool = Slots.pool('db', slots)
    for (const [i, guaranteed] of named.entries()) pool.join(`named ${i}`, { guaranteed }, 'share')
    const members = Array.from({ length: unnamed }, (_, i) => pool.join(`unnamed ${i}`, {}, 'share'))
    expect(members.map(({ guaranteed }) => guaranteed)).toEqual(each)
  })

  it('is worked out anew when a member joins or goes', () => {
    const pool = Slots.pool('db', 20)
    const a = pool.join('a', {}, 'a')
    expect(a.guaranteed).toBe(10)
    const b = pool.join('b', {}, 'b')
    expect([a, b].map(({ guaranteed }) => guaranteed)).toEqual([5, 5])
    const c = pool.join('c', { guaranteed: 8 }, 'c')
    expect([a, b].map(({ guaranteed }) => guaranteed)).toEqual([3, 3])
    pool.remove(c)
    pool.remove(b)
    expect(a.guaranteed).toBe(10)
  })

  it('is at most what the member may hold', () => {
    const pool = Slots.pool('db', 20)
    const a = pool.join('a', { atMost: 3 }, 'a')
    expect(a.guaranteed).toBe(3)
    expect(fill(a)).toBe(3)
  })

  it('leaves a slot to each of two members when the other takes all it can get', () => {
    for (const slots of [2, 3, 4, 10]) {
      const pool = Slots.pool('db', slots)
      const [a, b] = [pool.join('a', {}, 'a'), pool.join('b', {}, 'b')]
      fill(a)
      expect(fill(b)).toBeGreaterThanOrEqual(1)
    }
  })
})

describe('a member', () => {
  it('borrows what is idle, but never what is guaranteed to others', () => {
    const pool = Slots.pool('db', 10)
    const a = pool.join('a', { guaranteed: 3 }, 'a')
    const b = pool.join('b', { guaranteed: 2 }, 'b')
    const c = pool.join('c', { guaranteed: 0 }, 'c')
    expect(fill(c)).toBe(5)
    expect(fill(a)).toBe(3)
    expect(fill(b)).toBe(2)
    expect(pool.busy).toBe(10)
  })

  it('counts what it holds towards its own guarantee before it borrows', () => {
    const pool = Slots.pool('db', 10)
    const a = pool.join('a', { guaranteed: 3 }, 'a')
    const b = pool.join('b', { guaranteed: 4 }, 'b')
    expect(fill(a)).toBe(6)
    release(a, 2)
    expect(a.available()).toBe(2)
    expect(b.available()).toBe(6)
    expect(fill(b)).toBe(6)
    expect(fill(a)).toBe(0)
  })

  it('never holds more than its ceiling, whatever is idle', () => {
    const pool = Slots.pool('db', 10)
    const a = pool.join('a', { guaranteed: 1, atMost: 4 }, 'a')
    expect(fill(a)).toBe(4)
  })

  it('holds no more than a temporary ceiling allows, and waiters are served when that rises', async () => {
    const pool = Slots.pool('db', 10)
    let ceiling = 2
    pool.ceiling = () => ceiling
    const log: string[] = []
    expect(fill(pool)).toBe(2)
    lineUp(log, pool, 'first', 'second')
    await settle()
    expect(log).toEqual([])
    ceiling = 3
    pool.serve()
    await settle()
    expect(log).toEqual(['first'])
    pool.ceiling = undefined
    pool.serve()
    await settle()
    expect(log).toEqual(['first', 'second'])
  })

  it('that joins while its share is lent gets the first slots that come back', async () => {
    const pool = Slots.pool('db', 4)
    const a = pool.join('a', { guaranteed: 0 }, 'a')
    expect(fill(a)).toBe(4)
    const log: string[] = []
    lineUp(log, a, 'a1', 'a2')
    const b = pool.join('b', { guaranteed: 2 }, 'b')
    expect(b.tryTake()).toBe(false)
    lineUp(log, b, 'b1', 'b2')
    await settle()
    release(a, 2)
    await settle()
    expect(log).toEqual(['b1', 'b2'])
    a.release()
    await settle()
    expect(log).toEqual(['b1', 'b2', 'a1'])
  })

  it('that goes leaves its guarantee to the others, and its slots when they come back', async () => {
    const pool = Slots.pool('db', 4)
    const a = pool.join('a', { guaranteed: 3 }, 'a')
    const b = pool.join('b', { guaranteed: 0 }, 'b')
    a.tryTake()
    const log: string[] = []
    expect(fill(b)).toBe(1)
    lineUp(log, b, 'b2', 'b3', 'b4')
    await settle()
    pool.remove(a)
    await settle()
    expect(log).toEqual(['b2', 'b3'])
    a.release()
    await settle()
    expect(log).toEqual(['b2', 'b3', 'b4'])
    expect(pool.busy).toBe(4)
    pool.remove(a)
    expect(pool.unmet).toBe(0)
  })

  it('may join again under the name of one that went and still holds slots', () => {
    const pool = Slots.pool('db', 4)
    const old = pool.join('a', { guaranteed: 2 }, 'a')
    fill(old)
    pool.remove(old)
    const young = pool.join('a', { guaranteed: 2 }, 'a')
    expect(fill(young)).toBe(0)
    release(old, 3)
    expect(fill(young)).toBe(3)
    expect(pool.busy).toBe(4)
  })
})

describe('classes within a dependency’s share of a pool', () => {
  it('divide what their dependency can get, and count at every level', () => {
    const pool = Slots.pool('db', 10)
    const orders = pool.join('orders', { guaranteed: 6, atMost: 8 }, 'orders')
    const comments = pool.join('comments', { guaranteed: 2 }, 'comments')
    const pages = orders.join('pages', { guaranteed: 3 }, 'pages')
    const callbacks = orders.join('callbacks', { guaranteed: 1, atMost: 6 }, 'callbacks')
    expect(fill(callbacks)).toBe(5)
    expect(fill(pages)).toBe(3)
    expect([orders.busy, pool.busy]).toEqual([8, 8])
    expect(fill(comments)).toBe(2)
    expect(fill(pages)).toBe(0)
  })

  it('get no more of the pool than it has left, whatever their dependency guarantees them', () => {
    const pool = Slots.pool('db', 10)
    const orders = pool.join('orders', { guaranteed: 2 }, 'orders')
    const pages = orders.join('pages', { guaranteed: 8 }, 'pages')
    const comments = pool.join('comments', { guaranteed: 2 }, 'comments')
    expect(fill(comments)).toBe(8)
    expect(fill(pages)).toBe(2)
    expect(pool.busy).toBe(10)
  })

  it('follow their pool when it becomes smaller, so that other classes still get slots', () => {
    const pool = Slots.pool('db', 10)
    const orders = pool.join('orders', {}, 'orders')
    const pages = orders.join('pages', {}, 'pages')
    const others = orders.join('others', { guaranteed: 0 }, 'others')
    expect(pages.guaranteed).toBe(5)
    pool.resize(4, 'slots')
    expect([pages.guaranteed, pages.capacity, others.capacity]).toEqual([2, 4, 4])
    expect(fill(others)).toBe(2)
    pool.resize(10, 'slots')
    expect([pages.guaranteed, pages.capacity]).toEqual([5, 10])
  })

  it('make a pool too small for their guarantees impossible', () => {
    const pool = Slots.pool('db', 10)
    pool.join('orders', {}, 'orders').join('pages', { guaranteed: 6 }, 'pages')
    const before = figures(pool)
    expect(() => {
      pool.resize(5, 'slots')
    }).toThrow(new OptionError('slots', 'guarantees of 6 in all exceed the 5 slots'))
    expect(figures(pool)).toEqual(before)
  })

  it('can’t use their own guarantee to go before other dependencies that wait longer', async () => {
    const pool = Slots.pool('db', 4)
    const orders = pool.join('orders', { guaranteed: 1 }, 'orders')
    const pages = orders.join('pages', { guaranteed: 4 }, 'pages')
    const comments = pool.join('comments', { guaranteed: 1 }, 'comments')
    const log: string[] = []
    expect(fill(comments)).toBe(3)
    expect(fill(pages)).toBe(1)
    lineUp(log, comments, 'comment')
    lineUp(log, pages, 'page')
    await settle()
    comments.release()
    await settle()
    expect(log).toEqual(['comment'])
  })
})

describe('a freed slot', () => {
  it('goes to a member below its guarantee first, then to who has waited longest', async () => {
    const pool = Slots.pool('db', 4)
    const a = pool.join('a', { guaranteed: 1 }, 'a')
    const b = pool.join('b', { guaranteed: 2 }, 'b')
    const c = pool.join('c', { guaranteed: 0 }, 'c')
    const log: string[] = []
    expect(fill(a)).toBe(2)
    expect(fill(b)).toBe(2)
    lineUp(log, c, 'c1')
    lineUp(log, a, 'a1')
    lineUp(log, b, 'b1')
    await settle()
    b.release()
    await settle()
    expect(log).toEqual(['b1'])
    a.release()
    await settle()
    expect(log).toEqual(['b1', 'c1'])
    c.release()
    await settle()
    expect(log).toEqual(['b1', 'c1', 'a1'])
  })

  it('goes to a member below its guarantee first also when there are enough for all', async () => {
    const pool = Slots.pool('db', 2)
    const a = pool.join('a', { guaranteed: 0 }, 'a')
    const log: string[] = []
    fill(a)
    lineUp(log, a, 'a1')
    lineUp(log, pool.join('b', { guaranteed: 1 }, 'b'), 'b2')
    await settle()
    pool.resize(4, 'slots')
    await settle()
    expect(log).toEqual(['b2', 'a1'])
  })

  it('goes to who has waited longest also when several come back in one step', async () => {
    const pool = Slots.pool('db', 3)
    const [a, b] = [pool.join('a', { guaranteed: 0 }, 'a'), pool.join('b', { guaranteed: 0 }, 'b')]
    const log: string[] = []
    fill(a)
    lineUp(log, a, 'a1', 'a2')
    lineUp(log, b, 'b3')
    lineUp(log, a, 'a4')
    lineUp(log, b, 'b5')
    await settle()
    release(a, 3)
    await settle()
    expect(log).toEqual(['a1', 'a2', 'b3'])
    a.release()
    b.release()
    await settle()
    expect(log).toEqual(['a1', 'a2', 'b3', 'a4', 'b5'])
    expect(pool.busy).toBe(3)
  })

  it('is taken in the very step in which it is granted', async () => {
    const pool = Slots.pool('db', 1)
    pool.tryTake()
    const seen: number[] = []
    pool.wait(() => seen.push(pool.busy))
    await settle()
    pool.release()
    expect(seen).toEqual([1])
    expect(pool.tryTake()).toBe(false)
  })

  it('is never overtaken by a newcomer of the same member', async () => {
    const pool = Slots.pool('db', 1)
    pool.tryTake()
    const log: string[] = []
    lineUp(log, pool, 'first', 'second')
    // Not yet at the head of its line, and the slot is free again.
    pool.release()
    expect(pool.tryTake()).toBe(false)
    await settle()
    expect(log).toEqual(['first'])
    pool.release()
    expect(pool.tryTake()).toBe(false)
    await settle()
    expect(log).toEqual(['first', 'second'])
  })

  it('that its member may hold is not taken by a newcomer before the one who waits, however idle the pool', async () => {
    const pool = Slots.pool('db', 10)
    const a = pool.join('a', { guaranteed: 1, atMost: 1 }, 'a')
    const log: string[] = []
    expect(fill(a)).toBe(1)
    lineUp(log, a, 'first')
    a.release()
    expect(a.tryTake()).toBe(false)
    await settle()
    expect(log).toEqual(['first'])
  })

  it('is never overtaken by a newcomer of another member, at any step of the hand-out', async () => {
    for (let steps = 0; steps < 12; steps++) {
      const pool = Slots.pool('db', 3)
      const [a, b] = [pool.join('a', { guaranteed: 0 }, 'a'), pool.join('b', { guaranteed: 0 }, 'b')]
      const log: string[] = []
      fill(a)
      lineUp(log, a, 'first', 'second', 'third')
      await settle()
      release(a, 3)
      for (let i = 0; i < steps; i++) await Promise.resolve()
      expect(b.tryTake()).toBe(false)
      lineUp(log, b, 'newcomer')
      await settle()
      expect(log).toEqual(['first', 'second', 'third'])
      a.release()
      await settle()
      expect(log.at(-1)).toBe('newcomer')
    }
  })

  it('goes to a newcomer when it is guaranteed to him, although others wait', async () => {
    const pool = Slots.pool('db', 3)
    const [a, b] = [pool.join('a', { guaranteed: 0 }, 'a'), pool.join('b', { guaranteed: 1 }, 'b')]
    const log: string[] = []
    expect(fill(a)).toBe(2)
    lineUp(log, a, 'a1')
    await settle()
    expect(b.tryTake()).toBe(true)
    expect(log).toEqual([])
  })

  it('is the newcomer’s to whom it is guaranteed, also while borrowers are just being called', () => {
    const pool = Slots.pool('db', 4)
    const owed = pool.join('owed', { guaranteed: 3 }, 'share')
    const others = ['a', 'b'].map((name) => pool.join(name, { guaranteed: 0 }, 'share'))
    expect(fill(owed)).toBe(4)
    for (const other of others) other.wait(() => undefined)
    release(owed, 2)
    expect(fill(owed)).toBe(1)
    expect(pool.busy).toBe(3)
  })

  it('goes on to the next when the one whose turn it is leaves in the same step', async () => {
    for (const b of [0, 1]) {
      const pool = Slots.pool('db', 2)
      const members = [pool.join('a', { guaranteed: 0 }, 'a'), pool.join('b', { guaranteed: 0 }, 'b')]
      fill(members[0]!)
      const log: string[] = []
      lineUp(log, members[0]!, 'first')
      const second = members[0]!.wait(() => log.push('second'))
      lineUp(log, members[b]!, 'third')
      await settle()
      release(members[0]!, 2)
      expect(log).toEqual(['first'])
      second.leave()
      await settle()
      expect(log).toEqual(['first', 'third'])
      expect(pool.waiters).toBe(0)
    }
  })
})

describe('a paused member', () => {
  it('hands nothing out and sends its waiters away with the reason, and keeps what is held', async () => {
    const pool = Slots.pool('db', 2)
    const a = pool.join('a', { guaranteed: 1 }, 'a')
    const pages = a.join('pages', { guaranteed: 1 }, 'pages')
    const b = pool.join('b', { guaranteed: 0 }, 'b')
    pages.tryTake()
    b.tryTake()
    const waiter = pages.wait(() => undefined)
    await settle()
    const reason = new Error('paused')
    a.pause(reason)
    await expect(waiter.promise).rejects.toBe(reason)
    expect([a.paused, pages.paused, b.paused]).toEqual([reason, reason, undefined])
    expect([pages.busy, pool.busy, pool.waiters]).toEqual([1, 2, 0])
    pages.release()
    expect(pages.tryTake()).toBe(false)
    a.resume()
    expect(pages.tryTake()).toBe(true)
  })

  it('serves those who lined up meanwhile only when it is resumed', async () => {
    const pool = Slots.pool('db', 1)
    pool.pause(new Error('paused'))
    const log: string[] = []
    lineUp(log, pool, 'first')
    await settle()
    expect(log).toEqual([])
    pool.resume()
    await settle()
    expect(log).toEqual(['first'])
  })

  it('pauses who joins it, too', () => {
    const pool = Slots.pool('db', 1)
    pool.pause(new Error('paused'))
    const late = pool.join('late', {}, 'late')
    expect(late.tryTake()).toBe(false)
    pool.resume()
    expect(late.tryTake()).toBe(true)
  })
})

describe('a resize', () => {
  it('to fewer slots takes nothing away, and what is held beyond them isn’t handed out again', async () => {
    const pool = Slots.pool('db', 4)
    fill(pool)
    const log: string[] = []
    lineUp(log, pool, 'first')
    pool.resize(2, 'slots')
    expect([pool.busy, pool.available()]).toEqual([4, -2])
    release(pool, 2)
    await settle()
    expect([pool.busy, log]).toEqual([2, []])
    pool.release()
    await settle()
    expect([pool.busy, log]).toEqual([2, ['first']])
  })

  it('to more slots serves those who wait at once', async () => {
    const pool = Slots.pool('db', 1)
    pool.tryTake()
    const log: string[] = []
    lineUp(log, pool, 'first', 'second', 'third')
    await settle()
    pool.resize(3, 'slots')
    await settle()
    expect(log).toEqual(['first', 'second'])
    expect(pool.waiters).toBe(1)
  })

  it('gives members their shares of the new size', () => {
    const pool = Slots.pool('db', 10)
    const a = pool.join('a', {}, 'a')
    const b = pool.join('b', { guaranteed: 2, atMost: 8 }, 'b')
    pool.resize(4, 'slots')
    expect([a.guaranteed, a.capacity, b.guaranteed, b.capacity]).toEqual([1, 4, 2, 4])
    pool.resize(22, 'slots')
    expect([a.guaranteed, a.capacity, b.guaranteed, b.capacity]).toEqual([10, 22, 2, 8])
  })

  it('that can’t hold the guarantees changes nothing', () => {
    const pool = Slots.pool('db', 10)
    const a = pool.join('a', { guaranteed: 4 }, 'a')
    const b = pool.join('b', { guaranteed: 4 }, 'b')
    a.tryTake()
    const before = figures(pool)
    expect(() => {
      pool.resize(7, 'slots')
    }).toThrow(OptionError)
    expect(() => {
      b.resize({ guaranteed: 7 }, 'b.guaranteed')
    }).toThrow('b.guaranteed: guarantees of 11 in all exceed the 10 slots')
    expect(figures(pool)).toEqual(before)
    pool.resize(8, 'slots')
    expect([a.guaranteed, b.guaranteed]).toEqual([4, 4])
  })

  it('of a member changes its share while slots are held and waited for', async () => {
    const pool = Slots.pool('db', 6)
    const a = pool.join('a', { guaranteed: 1, atMost: 2 }, 'a')
    const b = pool.join('b', { guaranteed: 1 }, 'b')
    const log: string[] = []
    expect(fill(a)).toBe(2)
    lineUp(log, a, 'first', 'second')
    await settle()
    a.resize({ guaranteed: 3, atMost: 3 }, 'a')
    await settle()
    expect(log).toEqual(['first'])
    expect(fill(b)).toBe(3)
    a.resize(4, 'a')
    await settle()
    expect([a.capacity, log]).toEqual([4, ['first']])
    b.release()
    await settle()
    expect(log).toEqual(['first', 'second'])
  })
})

describe('waiters', () => {
  it('are counted here and below, and all sent away at once', async () => {
    const pool = Slots.pool('db', 1)
    const a = pool.join('a', { guaranteed: 0 }, 'a')
    const pages = a.join('pages', { guaranteed: 0 }, 'pages')
    const b = pool.join('b', { guaranteed: 0 }, 'b')
    b.tryTake()
    const waiters = [pages, pages, b].map((slots) => slots.wait(() => undefined))
    expect([pool.waiters, a.waiters, pages.waiters, b.waiters]).toEqual([3, 2, 2, 1])
    const error = new Error('closed')
    a.dismiss(error)
    expect([pool.waiters, a.waiters]).toEqual([1, 0])
    pool.dismiss(error)
    for (const waiter of waiters) await expect(waiter.promise).rejects.toBe(error)
    b.release()
    await settle()
    expect([pool.busy, b.tryTake()]).toEqual([0, true])
  })
})
