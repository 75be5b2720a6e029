import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { settle } from '../../../src/testing.js'
import { watch } from '../../support/calls.js'
import { down, loads } from '../../support/loads.js'

/** What the cache promises, by number; the tests of each are under this name, in this folder. */
const points = [
  '1. kinds',
  '2. lifetime',
  '3. result',
  '4. at once',
  '5. soft timeout',
  '6. nothing stale',
  '7. when',
  '8. single flight',
  '9. throttle',
  '10. versions',
  '11. deleting',
  '12. what is kept',
  '13. key',
  '14. privacy',
  '15. sharing',
  '16. memory',
  '17. ahead',
  '18. second level: reading',
  '18. second level: writing',
  '19. dump',
  '19. load',
  '20. counters',
]

const here = readdirSync(import.meta.dirname)
  .filter((file) => file.endsWith('.test.ts') && file !== 'twenty-points.test.ts')
  .map((file) => readFileSync(`${import.meta.dirname}/${file}`, 'utf8'))
  .join('\n')

test.each(points)('%s has tests of its name', (point) => {
  expect(here).toContain(`describe('${point}'`)
})

/** Each was found in another cache by running it. */
describe('defects of others', () => {
  test('invalidations lost in flight: what was loading when its key was deleted is not stored, nor joined any more', async () => {
    for (const forget of ['delete', 'clear'] as const) {
      const { load, runs } = loads({ freshFor: 1_000 })
      const before = watch(load('a'))
      if (forget === 'delete') load.cache.delete('a')
      else load.cache.clear()
      const after = watch(load('a'))
      expect(runs).toHaveLength(2)
      runs[1]!.open('new')
      runs[0]!.open('old')
      await settle()
      expect([before.value, after.value]).toEqual(['old', 'new'])
      expect(await load.outcome('a')).toMatchObject({ value: 'new', source: 'fresh' })
    }
  })

  test('invalidations lost in flight: one that was loading behind when its key was deleted is not stored', async () => {
    const { clock, load, last, fill, failing } = loads({ freshFor: 1_000 })
    await fill('a', 'old')
    await clock.advance(800)
    await load('a')
    load.cache.delete('a')
    last().open('loaded before the delete')
    await settle()
    expect(await failing('a')).toBe(down)
  })

  test('unbounded stale age: however often loading fails and whatever serves it, a value ends with staleFor', async () => {
    const { clock, load, runs, fill, failing } = loads({
      freshFor: 100,
      staleFor: 5_000,
      softTimeout: 50,
      timeout: 200,
    })
    await fill('a', 'old')
    for (let age = 250; age < 5_000; age += 250) {
      await clock.advance(250)
      expect(await failing('a')).toBe('old')
    }
    await clock.advance(250)
    const slow = watch(load('a'))
    await clock.advance(199)
    expect(slow.state).toBe('pending')
    runs.at(-1)!.fail(down)
    await settle()
    expect(slow).toMatchObject({ state: 'rejected', error: down })
  })

  test('stampede at expiry: a thousand callers of a value that has just become stale make one call', async () => {
    const { clock, load, runs, last, fill } = loads({ freshFor: 100 })
    await fill('a', 'old')
    await clock.advance(100)
    const callers = Array.from({ length: 1_000 }, () => load('a'))
    expect(runs).toHaveLength(2)
    last().open('new')
    expect(new Set(await Promise.all(callers))).toEqual(new Set(['new']))
    expect(runs).toHaveLength(2)
  })

  test('stampede at expiry: nor do they when the call fails, since they are served the stale value', async () => {
    const { clock, load, runs, last, fill } = loads({ freshFor: 100 })
    await fill('a', 'old')
    await clock.advance(100)
    const callers = Array.from({ length: 1_000 }, () => load('a'))
    last().fail(down)
    expect(new Set(await Promise.all(callers))).toEqual(new Set(['old']))
    await Promise.all(Array.from({ length: 1_000 }, () => load('a')))
    expect(runs).toHaveLength(2)
  })

  test('errors replayed: an error is for those who waited for it, the next caller has a call of its own', async () => {
    const { load, runs, failing } = loads({ freshFor: 100_000 })
    expect(await failing('a')).toBe(down)
    const next = load('a')
    expect(runs).toHaveLength(2)
    runs[1]!.open('well')
    expect(await next).toBe('well')
    const missing = Object.assign(new Error('missing'), { status: 404 })
    expect(await failing('b', missing)).toBe(missing)
    void watch(load('b'))
    expect(runs).toHaveLength(4)
  })

  test('undefined resolved on a miss: with nothing to serve the very error is thrown, and never nothing', async () => {
    const { registry, load, clock, failing } = loads({ freshFor: 100 })
    expect(await failing('a')).toBe(down)
    registry.setMode('feed', 'unavailable', { reason: 'test' })
    await expect(load('a')).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE' })
    registry.setMode('feed', 'available', { reason: 'test' })
    await expect(load.with({ deadline: clock.wall() })('a')).rejects.toMatchObject({ code: 'ERR_DEADLINE' })
    await expect(loads({ live: false }).load('a')).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE' })
  })

  test('42 colliding with "42": a key that is no string is not guessed at, the call passes by the cache', async () => {
    const { load, runs, fill, reported } = loads({ freshFor: 1_000, key: (id) => id })
    await fill('42', 'of the string')
    const other = load(42 as never)
    expect(runs).toHaveLength(2)
    runs[1]!.open('of the number')
    expect(await other).toBe('of the number')
    expect(await load('42')).toBe('of the string')
    expect(load.cache.counts()).toMatchObject({ keyErrors: 1, written: 1 })
    expect(reported).toHaveLength(1)
  })

  test('oversize deleting silently: a value that is too large drops the old one, which is counted', async () => {
    const { load, fill, failing } = loads({}, { stale: { maxBytes: 100 } })
    await fill('a', 'small')
    await fill('a', 'x'.repeat(200))
    expect(load.cache.counts()).toMatchObject({ written: 1, oversize: 1 })
    expect(await failing('a')).toBe(down)
  })

  test('leaks across users: no user is served, joins or refreshes what belongs to another', async () => {
    const scope = (_id: string, user?: string): string => user ?? ''
    const { clock, load, runs, fill } = loads({ freshFor: 1_000, scope, softTimeout: 50 })
    await fill('a', 'of anna', 'anna')
    await clock.advance(1_000)
    const [anna, bert] = [watch(load('a', 'anna')), watch(load('a', 'bert'))]
    expect(runs).toHaveLength(3)
    await clock.advance(50)
    expect(anna.value).toBe('of anna')
    expect(bert.state).toBe('pending')
    runs[2]!.fail(down)
    await settle()
    expect(bert).toMatchObject({ state: 'rejected', error: down })
    load.refresh(['b', 'anna'], { every: 60_000 })
    await clock.advance(1_000)
    runs.at(-1)!.open('of anna, too')
    await settle()
    expect(await load('b', 'anna')).toBe('of anna, too')
    const other = watch(load('b', 'bert'))
    runs.at(-1)!.fail(down)
    await settle()
    expect(other).toMatchObject({ state: 'rejected', error: down })
    const before = runs.length
    void watch(load('a', ''))
    expect(runs).toHaveLength(before + 1)
  })
})
