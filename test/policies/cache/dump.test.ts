import { describe, expect, test } from 'vitest'
import { compose } from '../../../src/core/compose.js'
import type { CacheDump, LoadCounts } from '../../../src/core/dump.js'
import { CacheDumpError } from '../../../src/core/errors.js'
import type { OperationOptions } from '../../../src/operation-options.js'
import { staleCache } from '../../../src/policies/stale-cache.js'
import { ManualClock } from '../../../src/testing.js'
import { down, loads, type Loads } from '../../support/loads.js'

const MONDAY = 1_767_225_600_000
const none: LoadCounts = { loaded: 0, expired: 0, older: 0, future: 0, malformed: 0, full: 0 }

/** A later process: nothing held, and a monotonic clock of its own. */
const later = (by: number, own: OperationOptions<[string, string?], unknown> = {}, max = 1_000): Loads =>
  loads(own, { stale: { max } }, new ManualClock({ wall: MONDAY + by }))

/** What a file or a wire would make of it. */
const carried = (dump: CacheDump): CacheDump => JSON.parse(JSON.stringify(dump)) as CacheDump

describe('19. dump', () => {
  test('is plain, of known form, and has each value with the start of its call by wall time', async () => {
    const { clock, load, last, fill } = loads({ version: (value) => (value as { n?: number }).n })
    await clock.advance(1_000)
    await fill('a', 'first')
    const slow = load('b')
    await clock.advance(50)
    last().open({ n: 7 })
    await slow
    load.cache.expire('a')
    const dump = load.cache.dump()
    expect(dump).toEqual({
      format: 1,
      dependency: 'feed',
      operation: 'load',
      scope: 'public',
      at: MONDAY + 1_050,
      entries: [
        { key: 'a', value: 'first', at: MONDAY + 1_000, expired: true },
        { key: 'b', value: { n: 7 }, at: MONDAY + 1_000, version: 7 },
      ],
      deleted: [],
      changed: MONDAY + 1_050,
      skipped: 0,
      withheld: 0,
    } satisfies CacheDump)
    expect(carried(dump)).toEqual(dump)
  })

  test('has no more than was held at that instant, whatever comes then', async () => {
    const { load, fill } = loads()
    await fill('a', 1)
    const dump = load.cache.dump()
    await fill('a', 2)
    await fill('b', 3)
    load.cache.clear()
    expect(dump.entries).toMatchObject([{ key: 'a', value: 1 }])
  })

  test('leaves out what is past staleFor', async () => {
    const { clock, load, fill } = loads({ staleFor: 100 })
    await fill('a', 1)
    await clock.advance(60)
    await fill('b', 2)
    await clock.advance(40)
    expect(load.cache.dump().entries.map(({ key }) => key)).toEqual(['b'])
  })

  test('takes nobody’s values but its own operation’s from the shared store', async () => {
    const { dependency, load, fill } = loads()
    await dependency.wrap(() => Promise.resolve('other'), { name: 'other', key: () => 'a', scope: 'public' })()
    await fill('a', 'mine')
    expect(load.cache.dump().entries).toMatchObject([{ value: 'mine' }])
  })

  const circle: Record<string, unknown> = {}
  circle['self'] = circle
  const cross: Record<string, unknown> = { a: {}, b: {} }
  cross['a'] = cross['b'] = [cross, cross]
  let deep: unknown = 1
  for (let i = 0; i < 10_000; i++) deep = [deep]

  test.each<[string, unknown]>([
    ['a BigInt', 1n],
    ['a function', { call: () => 1 }],
    ['a symbol', { a: Symbol('a') }],
    ['a key that is a symbol', { [Symbol('a')]: 1 }],
    ['a Date', { at: new Date(0) }],
    ['a Map', new Map([[1, 2]])],
    ['a Set', [new Set([1])]],
    ['a Buffer', Buffer.from('a')],
    ['an instance of a class', new URL('http://a')],
    ['NaN', Number.NaN],
    ['Infinity', [Infinity]],
    ['undefined in an array', [undefined]],
    ['a hole', [1, , 2]],
    ['more in an array than its elements', Object.assign([1], { index: 0 })],
    ['a circle', circle],
    ['a circle with two ways round', cross],
    ['what is nested too deep', deep],
    [
      'what throws when it is read',
      {
        get a() {
          throw new Error('read')
        },
      },
    ],
  ])('%s, which JSON would change, is left out and counted', async (_, value) => {
    const { load, fill } = loads()
    await fill('a', value)
    await fill('b', 'fine')
    const dump = load.cache.dump()
    expect(dump).toMatchObject({ entries: [{ key: 'b' }], skipped: 1 })
    expect(later(0).load.cache.load(carried(dump))).toEqual({ ...none, loaded: 1 })
  })

  const shared = { n: 1 }
  test.each<[string, unknown]>([
    ['undefined', undefined],
    ['null', null],
    ['an empty string', ''],
    ['a string with everything', '\u0000\n"\ud800 😀\u2028'],
    ['numbers', [0, -1.5, 1e300, Number.MIN_VALUE]],
    ['nested', { a: [{ b: [] }, { c: {} }] }],
    ['the same part twice', { one: shared, two: shared }],
    ['a property that is undefined', { a: 1, b: undefined }],
    ['an object without a prototype', Object.assign(Object.create(null) as object, { a: 1 })],
    ['a property called __proto__', JSON.parse('{"__proto__":{"a":1}}') as unknown],
  ])('%s comes back as it was', async (_, value) => {
    const { load, fill } = loads()
    await fill('a', value)
    const next = later(0)
    expect(next.load.cache.load(carried(load.cache.dump()))).toEqual({ ...none, loaded: 1 })
    expect(await next.failing('a')).toEqual(value)
  })

  test('refuses options that it does not know', () => {
    const { load } = loads()
    expect(() => load.cache.dump({ privat: true } as never)).toThrow('dump.privat')
  })
})

describe('19. load', () => {
  test('an age counts on from the original start, by wall time, and so does staleFor', async () => {
    const { clock, load, fill } = loads({ staleFor: 1_000 })
    await fill('a', 1)
    await clock.advance(100)
    const dump = carried(load.cache.dump())
    const next = later(600, { staleFor: 1_000 })
    await next.clock.advance(50)
    expect(next.load.cache.load(dump)).toEqual({ ...none, loaded: 1 })
    const outcome = next.load.outcome('a')
    next.last().fail(down)
    expect(await outcome).toEqual({ value: 1, source: 'stale', stale: true, age: 650, error: down })
    await next.clock.advance(350)
    expect(await next.failing('a')).toBe(down)
  })

  test('what is past staleFor of the operation as it is now is skipped', async () => {
    const { load, fill } = loads({ staleFor: 10_000 })
    await fill('a', 1)
    const dump = carried(load.cache.dump())
    expect(later(500, { staleFor: 500 }).load.cache.load(dump)).toEqual({ ...none, expired: 1 })
    expect(later(499, { staleFor: 500 }).load.cache.load(dump)).toEqual({ ...none, loaded: 1 })
  })

  test('what is fresh is served fresh, and what was expired by hand is not', async () => {
    const { load, fill } = loads({ freshFor: 1_000 })
    await fill('a', 1)
    await fill('b', 2)
    load.cache.expire('b')
    const next = later(100, { freshFor: 1_000 })
    next.load.cache.load(carried(load.cache.dump()))
    expect(await next.load.outcome('a')).toMatchObject({ value: 1, source: 'fresh', age: 100 })
    expect(await next.failing('b')).toBe(2)
  })

  test('with freeze, what is loaded is frozen', async () => {
    const { load, fill } = loads()
    await fill('a', { deep: {} })
    const next = later(0, { freeze: true })
    next.load.cache.load(carried(load.cache.dump()))
    expect(Object.isFrozen(((await next.failing('a')) as { deep: object }).deep)).toBe(true)
  })

  test('a start that is still to come is refused: wall time was set back, and the age can’t be told', async () => {
    const { load, fill } = loads()
    await fill('a', 1)
    expect(later(-1).load.cache.load(carried(load.cache.dump()))).toEqual({ ...none, future: 1 })
  })

  test('a value is never younger than when it was dumped, though wall time was set back since', async () => {
    const { clock, load, fill } = loads()
    await fill('a', 1)
    await clock.advance(1_000)
    const next = later(300)
    expect(next.load.cache.load(carried(load.cache.dump()))).toEqual({ ...none, loaded: 1 })
    const outcome = next.load.outcome('a')
    next.last().fail(down)
    expect(await outcome).toMatchObject({ value: 1, age: 1_000 })
  })

  test('in one process setting wall time back makes nothing younger, and what is older doesn’t become newer by it', async () => {
    const { clock, load, fill, failing } = loads()
    await fill('a', 'older')
    await fill('b', 'gone')
    await clock.advance(10)
    const dump = carried(load.cache.dump())
    await fill('a', 'newer')
    load.cache.delete('b')
    clock.stepWall(-5)
    await clock.advance(2)
    expect(load.cache.load(dump)).toEqual({ ...none, older: 2 })
    expect([await failing('a'), await failing('b')]).toEqual(['newer', down])
  })

  test('nor do two dumps change places when wall time is set back between their loads', async () => {
    const { clock, load, fill } = loads()
    await fill('a', 1)
    const first = carried(load.cache.dump())
    await clock.advance(100)
    await fill('a', 2)
    const second = carried(load.cache.dump())
    const next = later(300)
    next.load.cache.load(second)
    next.clock.stepWall(-150)
    expect(next.load.cache.load(first)).toEqual({ ...none, older: 1 })
    expect(await next.failing('a')).toBe(2)
  })

  test('of two dumps the newer value stays, in whichever order they are loaded', async () => {
    const { clock, load, fill } = loads()
    await fill('a', 1)
    const first = carried(load.cache.dump())
    await clock.advance(100)
    await fill('a', 2)
    const second = carried(load.cache.dump())
    for (const order of [
      [first, second],
      [second, first],
    ]) {
      const next = later(300)
      for (const dump of order) next.load.cache.load(dump)
      expect(await next.failing('a')).toBe(2)
    }
  })

  test('a value held that is newer stays, and one that is older gives way', async () => {
    const { clock, load, fill } = loads()
    const next = loads({}, {}, new ManualClock({ wall: MONDAY }))
    await next.fill('a', 'here, earlier')
    await clock.advance(50)
    await next.clock.advance(100)
    await fill('a', 'there')
    await fill('b', 'there')
    await next.fill('b', 'here, later')
    await clock.advance(60)
    await next.clock.advance(10)
    expect(next.load.cache.load(carried(load.cache.dump()))).toEqual({ ...none, loaded: 1, older: 1 })
    expect([await next.failing('a'), await next.failing('b')]).toEqual(['there', 'here, later'])
  })

  test.each([
    ['number', 2, 1],
    ['bigint', 2n, 1n],
    ['string', 'b', 'a'],
    ['date', new Date(2), new Date(1)],
  ])('a value with a lower %s for version is older, though it started later', async (_, high, low) => {
    const versions = new Map([
      ['high', high],
      ['low', low],
    ])
    const own: OperationOptions<[string, string?], unknown> = { version: (value) => versions.get(value as string) }
    const there = loads(own)
    const next = loads(own)
    await next.fill('a', 'high')
    await next.fill('b', 'low')
    await there.clock.advance(10)
    await next.clock.advance(20)
    await there.fill('a', 'low')
    await there.fill('b', 'high')
    expect(next.load.cache.load(carried(there.load.cache.dump()))).toEqual({ ...none, loaded: 1, older: 1 })
    expect(await next.failing('a')).toBe('high')
    // What was loaded keeps its version.
    await next.fill('b', 'low')
    expect(await next.failing('b')).toBe('high')
    expect(next.load.cache.counts()).toMatchObject({ olderVersion: 1 })
  })

  test('a call in flight replaces what was loaded meanwhile if it began after that value, and not if it began before', async () => {
    const there = loads()
    const next = loads()
    const early = next.load('a')
    await there.clock.advance(10)
    await next.clock.advance(10)
    await there.fill('a', 'loaded')
    await there.fill('b', 'loaded')
    await there.clock.advance(10)
    await next.clock.advance(10)
    const late = next.load('b')
    next.load.cache.load(carried(there.load.cache.dump()))
    next.runs[0]!.open('earlier')
    next.runs[1]!.open('later')
    expect([await early, await late]).toEqual(['earlier', 'later'])
    expect([await next.failing('a'), await next.failing('b')]).toEqual(['loaded', 'later'])
  })

  test('nor does it when what was loaded has been pushed out since', async () => {
    const there = loads()
    const next = loads({}, { stale: { max: 1 } })
    const early = next.load('a')
    await there.clock.advance(10)
    await next.clock.advance(20)
    await there.fill('a', 'loaded')
    next.load.cache.load(carried(there.load.cache.dump()))
    await next.fill('b', 'pushes it out')
    next.runs[0]!.open('earlier')
    await early
    expect(await next.failing('a')).toBe(down)
  })

  test.each<[string, (cache: Loads['load']['cache']) => void]>([
    ['deleted', (cache) => cache.delete('a')],
    ['cleared', (cache) => cache.clear()],
    [
      'deleted, and so many others that it is no longer remembered by itself,',
      (cache) => {
        cache.delete('a')
        for (let i = 0; i < 2_000; i++) cache.delete(`other ${i}`)
      },
    ],
  ])('what was %s here is not brought back by a dump of before, of this process or another', async (_, remove) => {
    const there = loads()
    const { clock, load, fill, failing } = loads()
    await there.fill('a', 'there')
    await fill('a', 'here')
    const dumps = [carried(there.load.cache.dump()), carried(load.cache.dump())]
    await clock.advance(10)
    remove(load.cache)
    for (const dump of dumps) expect(load.cache.load(dump)).toEqual({ ...none, older: 1 })
    expect(await failing('a')).toBe(down)
  })

  test('what was gone (404) is not brought back either, and one that began after that is', async () => {
    const there = loads()
    const { clock, load, fill, failing } = loads()
    await there.fill('a', 1)
    const before = carried(there.load.cache.dump())
    await clock.advance(10)
    await fill('a', 1)
    await failing('a', Object.assign(new Error('gone'), { status: 404 }))
    expect(load.cache.load(before)).toEqual({ ...none, older: 1 })
    await there.clock.advance(20)
    await clock.advance(20)
    await there.fill('a', 2)
    expect(load.cache.load(carried(there.load.cache.dump()))).toEqual({ ...none, loaded: 1 })
    expect(await failing('a')).toBe(2)
  })

  test('what was pushed out is not replaced by something older', async () => {
    const there = loads()
    const { clock, load, fill, failing } = loads({}, { stale: { max: 1 } })
    await there.fill('a', 'older')
    await clock.advance(10)
    await fill('a', 'newer')
    await fill('b', 1)
    load.cache.delete('b')
    await clock.advance(10)
    expect(load.cache.load(carried(there.load.cache.dump()))).toEqual({ ...none, older: 1 })
    expect(await failing('a')).toBe(down)
  })

  test.each<[string, (cache: Loads['load']['cache']) => void]>([
    ['deleted', (cache) => cache.delete('a')],
    ['cleared', (cache) => cache.clear()],
  ])('what was %s where a newer dump was made doesn’t come from an older one, in either order', async (_, remove) => {
    const { clock, load, fill } = loads()
    await fill('a', 1)
    const before = carried(load.cache.dump())
    await clock.advance(10)
    remove(load.cache)
    await clock.advance(10)
    await fill('b', 2)
    const after = carried(load.cache.dump())
    for (const order of [
      [before, after],
      [after, before],
    ]) {
      const next = later(100)
      for (const dump of order) next.load.cache.load(dump)
      expect([await next.failing('a'), await next.failing('b')]).toEqual([down, 2])
    }
  })

  test.each<[string, (cache: Loads['load']['cache']) => void]>([
    ['deleted', (cache) => cache.delete('a')],
    ['cleared', (cache) => cache.clear()],
  ])('what was loaded, served, and then %s by a newer dump isn’t followed by what is older', async (_, remove) => {
    const there = loads()
    const next = loads()
    const early = next.load('a')
    await there.clock.advance(10)
    await next.clock.advance(10)
    await there.fill('a', 'loaded')
    next.load.cache.load(carried(there.load.cache.dump()))
    await there.clock.advance(10)
    await next.clock.advance(10)
    remove(there.load.cache)
    next.load.cache.load(carried(there.load.cache.dump()))
    next.runs[0]!.open('earlier')
    await early
    expect(await next.failing('a')).toBe(down)
  })

  test('what this process got itself is not deleted by a dump', async () => {
    const there = loads()
    const next = loads()
    await next.fill('a', 'here')
    await there.clock.advance(10)
    await next.clock.advance(10)
    there.load.cache.delete('a')
    there.load.cache.clear()
    next.load.cache.load(carried(there.load.cache.dump()))
    expect(await next.failing('a')).toBe('here')
  })

  test('a dump from a wall clock that was ahead loses against whatever is known here', async () => {
    const there = loads({}, {}, new ManualClock({ wall: MONDAY - 1_000 }))
    const { clock, load, fill, failing } = loads()
    await there.fill('a', 1)
    await there.fill('b', 1)
    await there.fill('c', 1)
    await there.clock.advance(100_000)
    await fill('a', 2)
    load.cache.delete('b')
    await clock.advance(10)
    expect(load.cache.load(carried(there.load.cache.dump()))).toEqual({ ...none, loaded: 1, older: 2 })
    expect([await failing('a'), await failing('b'), await failing('c')]).toEqual([2, down, 1])
  })

  test('pushes nothing out: with no room left the least recently used of the dump are left', async () => {
    const { load, fill, failing } = loads()
    for (const id of ['a', 'b', 'c', 'd']) await fill(id, id)
    expect(await failing('a')).toBe('a')
    const next = later(10, {}, 3)
    await next.fill('mine', 1)
    expect(next.load.cache.load(carried(load.cache.dump()))).toEqual({ ...none, loaded: 2, full: 2 })
    expect(next.load.cache.dump().entries.map(({ key }) => key)).toEqual(['a', 'd', 'mine'])
    expect(await next.failing('mine')).toBe(1)
  })

  test('nor beyond maxBytes', async () => {
    const { load, fill } = loads()
    await fill('a', 'x'.repeat(50))
    await fill('b', 'x'.repeat(50))
    await fill('c', { no: 'size' })
    const next = loads({}, { stale: { maxBytes: 100 } })
    expect(next.load.cache.load(carried(load.cache.dump()))).toEqual({ ...none, loaded: 1, full: 1, malformed: 1 })
  })

  test.each<[string, unknown]>([
    ['nothing', undefined],
    ['null', null],
    ['a string', '{}'],
    ['an array', []],
    ['an empty object', {}],
    ['another format', { format: 2 }],
    ['no entries', { entries: undefined }],
    ['no time', { at: null }],
    ['another dependency', { dependency: 'other' }],
    ['another operation', { operation: 'other' }],
    ['another scope', { scope: 'private' }],
    ['deleted keys that are none', { deleted: [1] }],
  ])('%s is refused, and nothing has changed', async (what, given) => {
    const { load, fill } = loads()
    await fill('a', 1)
    const whole = what.includes('object') || typeof given !== 'object' || given === null || Array.isArray(given)
    const dump = whole ? given : { ...carried(load.cache.dump()), ...given }
    const next = later(10)
    const doing = (): unknown => next.load.cache.load(dump)
    expect(doing).toThrow(CacheDumpError)
    expect(doing).toThrow(expect.objectContaining({ code: 'ERR_CACHE_DUMP', dependency: 'feed' }) as Error)
    expect(next.load.cache.dump().entries).toEqual([])
  })

  test('entries that are none are skipped one by one', () => {
    const at = MONDAY
    const entries = [
      null,
      1,
      'a',
      {},
      { key: 1, at },
      { key: 'a' },
      { key: 'a', at: '1' },
      { key: 'a', at: Number.NaN },
      { key: 'a', at: at + 1 },
      { key: 'a', at, version: {} },
      { key: 'a', at, version: { bigint: '1.5' } },
      { key: 'a', at, value: 'fine' },
    ]
    const { load } = loads()
    const dump = { ...load.cache.dump(), entries }
    expect(load.cache.load(dump)).toEqual({ ...none, malformed: entries.length - 1, loaded: 1 })
  })

  test('undefined is a value', async () => {
    const { load, fill } = loads()
    await fill('a', undefined)
    const next = later(0)
    next.load.cache.load(carried(load.cache.dump()))
    const outcome = next.load.outcome('a')
    next.last().fail(down)
    expect(await outcome).toMatchObject({ value: undefined, source: 'stale' })
  })

  test('keys that are hashed come back too', async () => {
    const { load, fill } = loads()
    await fill('x'.repeat(1_000), 1)
    const next = later(0)
    next.load.cache.load(carried(load.cache.dump()))
    expect(await next.failing('x'.repeat(1_000))).toBe(1)
  })

  test('works for an operation that was composed by hand', async () => {
    const clock = new ManualClock()
    const make = () =>
      compose([staleCache({ key: (id: string) => id, scope: 'public', freshFor: 1_000 })], [], { clock, name: 'page' })(
        (_, id: string) => id,
      )
    const load = make()
    await load('a')
    const next = make()
    expect(next.cache.load(carried(load.cache.dump()))).toEqual({ ...none, loaded: 1 })
    expect(await next.outcome('a')).toMatchObject({ source: 'fresh' })
  })

  test('of an operation that isn’t cached there is nothing to dump or load', () => {
    const { dependency } = loads()
    const plain = dependency.wrap(() => 1)
    expect(plain.cache.dump().entries).toEqual([])
    expect(plain.cache.load(plain.cache.dump())).toEqual(none)
  })
})

describe('14. privacy of dumps', () => {
  const mine: OperationOptions<[string, string?], unknown> = { scope: (_id, user = '') => user }

  test('private values and keys stay out unless they are allowed in', async () => {
    const { load, fill } = loads(mine)
    await fill('a', 'anna’s', 'anna')
    load.cache.delete('b', 'anna')
    const dump = load.cache.dump()
    expect(dump).toMatchObject({ scope: 'private', entries: [], deleted: [], withheld: 1 })
    expect(JSON.stringify(dump)).not.toContain('anna')
  })

  test('once allowed each comes back to whom it belongs, and to nobody else', async () => {
    const { load, fill } = loads(mine)
    await fill('a', 'anna’s', 'anna')
    await fill('a', 'bert’s', 'bert')
    const next = later(0, { ...mine, freshFor: 1_000 })
    expect(next.load.cache.load(carried(load.cache.dump({ private: true })))).toEqual({ ...none, loaded: 2 })
    expect([await next.load('a', 'anna'), await next.load('a', 'bert')]).toEqual(['anna’s', 'bert’s'])
    void next.load('a', 'carl')
    expect(next.runs).toHaveLength(1)
  })

  test('what was public is not loaded once it is private, nor the other way round', async () => {
    const open = loads()
    const closed = loads(mine)
    await open.fill('s4:anna', 1)
    await closed.fill('a', 1, 'anna')
    expect(() => closed.load.cache.load(open.load.cache.dump())).toThrow('is not one of feed (load), private')
    expect(() => open.load.cache.load(closed.load.cache.dump({ private: true }))).toThrow(CacheDumpError)
  })

  test('keys that name nobody are malformed where values are private', () => {
    const { clock, load } = loads(mine)
    const entries = ['a', 's:a', 's0:a', 's9:anna', 'p:a', ''].map((key) => ({ key, at: clock.wall() }))
    expect(load.cache.load({ ...load.cache.dump(), entries })).toEqual({ ...none, malformed: entries.length })
  })
})
