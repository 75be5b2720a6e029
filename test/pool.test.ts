import { describe, expect, it } from 'vitest'
import { createPool, createRegistry, OptionError, type DependencyOptions, type Pool } from '../src/index.js'
import { ManualClock, settle } from '../src/testing.js'
import { watch } from './support/calls.js'
import { gate, type Gate } from './support/gate.js'

function sharing(pool: Pool, options: Record<string, DependencyOptions>) {
  const clock = new ManualClock()
  const registry = createRegistry({ clock })
  const entries = Object.entries(options).map(([name, given]) => {
    const dependency = registry.dependency(name, { ...given, bulkhead: { pool, ...given.bulkhead } })
    const works: Gate<string>[] = []
    const load = dependency.wrap(() => {
      const work = gate<string>()
      works.push(work)
      return work.promise
    })
    return [name, { dependency, works, load }] as const
  })
  return { clock, registry, members: Object.fromEntries(entries) }
}

describe('two dependencies in front of one pool, with no number given', () => {
  it('each keep answering while the other hangs', async () => {
    const pool = createPool({ name: 'db', slots: 10 })
    const { clock, members } = sharing(pool, { orders: {}, comments: {} })
    const { orders, comments } = members
    for (let i = 0; i < 60; i++) watch(orders!.load())
    expect(orders!.works).toHaveLength(8)
    for (let i = 0; i < 100; i++) {
      const answer = watch(comments!.load())
      await clock.advance(50)
      comments!.works.at(-1)!.open('comment')
      await settle()
      expect(answer.value).toBe('comment')
    }
    expect(comments!.dependency.mode).toBe('available')
    expect(pool.usage()).toMatchObject({ slots: 10, busy: 8, members: { comments: { busy: 0, guaranteed: 2 } } })
  })

  it('never hold more than the pool has between them', async () => {
    const pool = createPool({ name: 'db', slots: 10 })
    const { members } = sharing(pool, { orders: {}, comments: {} })
    for (const { load } of Object.values(members)) for (let i = 0; i < 40; i++) watch(load())
    await settle()
    expect(Object.values(members).map(({ works }) => works.length)).toEqual([8, 2])
    expect(pool.usage()).toEqual({
      slots: 10,
      busy: 10,
      waiters: 70,
      members: {
        orders: { busy: 8, guaranteed: 2, atMost: 10, waiters: 32 },
        comments: { busy: 2, guaranteed: 2, atMost: 10, waiters: 38 },
      },
    })
  })

  it('each count as full by their own line, and are served by who has waited longest', async () => {
    const pool = createPool({ name: 'db', slots: 4 })
    const { members } = sharing(pool, { orders: { bulkhead: { queue: 1 } }, comments: { bulkhead: { queue: 1 } } })
    const { orders, comments } = members
    for (let i = 0; i < 4; i++) watch(orders!.load())
    watch(comments!.load())
    watch(comments!.load())
    await expect(orders!.load()).rejects.toMatchObject({ code: 'ERR_BULKHEAD_FULL', dependency: 'orders' })
    await settle()
    orders!.works[0]!.open('done')
    await settle()
    expect([orders!.works.length, comments!.works.length]).toEqual([4, 1])
    orders!.works[1]!.open('done')
    await settle()
    expect([orders!.works.length, comments!.works.length]).toEqual([4, 2])
  })
})

describe('a pool', () => {
  it('keeps to the shares that its members name, and divides them among classes', async () => {
    const pool = createPool({ name: 'db', slots: 10 })
    const classes = { pages: { guaranteed: 3 }, callbacks: { guaranteed: 0, atMost: 2 } }
    const { members } = sharing(pool, {
      orders: { bulkhead: { guaranteed: 6, atMost: 7, classes } },
      comments: { bulkhead: { guaranteed: 1 } },
    })
    const { orders, comments } = members
    for (let i = 0; i < 20; i++) watch(orders!.load.with({ class: 'callbacks' })())
    expect(orders!.works).toHaveLength(2)
    for (let i = 0; i < 20; i++) watch(orders!.load())
    expect(orders!.works).toHaveLength(4)
    for (let i = 0; i < 20; i++) watch(orders!.load.with({ class: 'pages' })())
    expect(orders!.works).toHaveLength(7)
    for (let i = 0; i < 20; i++) watch(comments!.load())
    expect(comments!.works).toHaveLength(3)
  })

  it('is resized while its slots are held and waited for', async () => {
    const pool = createPool({ name: 'db', slots: 2 })
    const { members } = sharing(pool, { orders: {} })
    const { works, load } = members['orders']!
    for (let i = 0; i < 4; i++) watch(load())
    await settle()
    expect(works).toHaveLength(2)
    pool.resize(3)
    await settle()
    expect(works).toHaveLength(3)
    pool.resize(1)
    expect(pool.usage()).toMatchObject({ slots: 1, busy: 3, waiters: 1 })
    works[0]!.open('done')
    works[1]!.open('done')
    await settle()
    expect(works).toHaveLength(3)
    works[2]!.open('done')
    await settle()
    expect(works).toHaveLength(4)
  })

  it('refuses a size that is none, or that can’t hold what was guaranteed, and stays as it was', () => {
    const pool = createPool({ name: 'db', slots: 10 })
    sharing(pool, { orders: { bulkhead: { guaranteed: 6 } }, comments: {} })
    const before = pool.usage()
    for (const slots of [0, -1, 1.5, NaN, Infinity, 5, '20'])
      expect(() => {
        pool.resize(slots as number)
      }).toThrow(OptionError)
    expect(pool.usage()).toEqual(before)
  })

  it('refuses a dependency that wants more than is left, and neither registers nor counts it', () => {
    const pool = createPool({ name: 'db', slots: 10 })
    const { registry } = sharing(pool, { orders: { bulkhead: { guaranteed: 6 } } })
    const before = pool.usage()
    expect(() => registry.dependency('comments', { bulkhead: { pool, guaranteed: 5 } })).toThrow(
      expect.objectContaining({ path: 'bulkhead.guaranteed' }),
    )
    expect(() =>
      registry.dependency('comments', { bulkhead: { pool, atMost: 2, classes: { pages: { guaranteed: 3 } } } }),
    ).toThrow(OptionError)
    expect(pool.usage()).toEqual(before)
    expect(registry.get('comments')).toBeUndefined()
    expect(registry.dependency('comments', { bulkhead: { pool, guaranteed: 4 } }).health().slots.guaranteed).toBe(4)
  })

  it('is made with a name and a size', () => {
    expect(() => createPool({ name: '', slots: 10 })).toThrow(/^createPool\.name: /)
    expect(() => createPool({ name: 'db', slots: 0 })).toThrow(/^createPool\.slots: /)
    expect(() => createPool({ name: 'db' } as never)).toThrow('createPool.slots: is required')
    expect(createPool({ name: 'db', slots: 10 }).usage()).toEqual({ slots: 10, busy: 0, waiters: 0, members: {} })
  })
})

describe('a dependency that is closed', () => {
  it('leaves its guarantee to the others, and its slots as its work ends', async () => {
    const pool = createPool({ name: 'db', slots: 4 })
    const { members, clock } = sharing(pool, {
      orders: { timeout: 100, bulkhead: { guaranteed: 3 } },
      comments: { timeout: 60_000, bulkhead: { guaranteed: 1, maxWait: 60_000 } },
    })
    const { orders, comments } = members
    watch(orders!.load())
    for (let i = 0; i < 4; i++) watch(comments!.load())
    expect(comments!.works).toHaveLength(1)
    const closed = watch(orders!.dependency.close())
    await clock.advance(100)
    expect([closed.state, comments!.works.length]).toEqual(['resolved', 3])
    expect(pool.usage()).toMatchObject({ busy: 4, members: { comments: { guaranteed: 1, atMost: 4 } } })
    orders!.works[0]!.open('late')
    await settle()
    expect(comments!.works).toHaveLength(4)
    expect(pool.usage().busy).toBe(4)
  })

  it('does not keep the slots of work that never ends: they are reclaimed as ever', async () => {
    const pool = createPool({ name: 'db', slots: 2 })
    const { members, clock } = sharing(pool, { orders: { timeout: 100, bulkhead: { reclaimAfter: 500 } } })
    const { load, dependency } = members['orders']!
    const hung = [watch(load()), watch(load())]
    void dependency.close({ timeout: 50 })
    await clock.advance(50)
    expect(hung.map(({ error }) => error)).toEqual(Array(2).fill(expect.objectContaining({ code: 'ERR_CLOSED' })))
    expect([pool.usage().busy, clock.pending({ referenced: true })]).toEqual([2, 0])
    await clock.advance(499)
    expect(pool.usage().busy).toBe(2)
    await clock.advance(1)
    expect([pool.usage().busy, clock.pending()]).toEqual([0, 0])
  })

  it('has no timer left as soon as its last work has ended', async () => {
    const pool = createPool({ name: 'db', slots: 2 })
    const { members, clock } = sharing(pool, { orders: { timeout: 100 } })
    const { load, dependency, works } = members['orders']!
    watch(load())
    void dependency.close({ timeout: 50 })
    await clock.advance(100)
    expect([pool.usage().busy, clock.pending()]).toEqual([1, 1])
    works[0]!.open('late')
    await settle()
    expect([pool.usage().busy, clock.pending()]).toEqual([0, 0])
  })
})
