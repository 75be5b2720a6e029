import { describe, expect, test } from 'vitest'
import { watch } from '../../support/calls.js'
import { down, loads } from '../../support/loads.js'

describe('13. key', () => {
  test('an undefined key means not this call: it is neither kept nor served, and nothing is counted', async () => {
    const { load, runs, fill, failing } = loads({ freshFor: 100, key: (id) => (id === 'no' ? undefined : id) })
    await fill('no', 1)
    await fill('no', 2)
    expect(runs).toHaveLength(2)
    expect(await failing('no')).toBe(down)
    expect(load.cache.counts()).toMatchObject({ written: 0, keyErrors: 0 })
    expect([load.cache.delete('no'), load.cache.expire('no')]).toEqual([false, false])
  })

  const wrong: [string, (id: string) => string][] = [
    [
      'throws',
      () => {
        throw new Error('key')
      },
    ],
    ['gives a number', () => 7 as unknown as string],
    ['gives null', () => null as unknown as string],
    ['is async', () => Promise.resolve('a') as unknown as string],
    ['is async and rejects', () => Promise.reject(new Error('key')) as unknown as string],
  ]
  test.each(wrong)('a key that %s passes the call by the cache, is counted and reported', async (_, key) => {
    const { load, reported, fill, failing } = loads({ freshFor: 100, key })
    await fill('a', 1)
    expect(await failing('a')).toBe(down)
    expect(load.cache.counts()).toMatchObject({ written: 0, keyErrors: 2 })
    expect(reported).toHaveLength(2)
  })

  test.each(wrong)('a scope that %s passes the call by the cache, is counted and reported', async (_, scope) => {
    const { load, reported, fill, failing } = loads({ freshFor: 100, scope })
    await fill('a', 1)
    expect(await failing('a')).toBe(down)
    expect(load.cache.counts()).toMatchObject({ written: 0, keyErrors: 2 })
    expect(reported).toHaveLength(2)
  })

  test('keys over 256 characters are told apart by all of their characters', async () => {
    const { load, fill } = loads({ freshFor: 100 })
    const long = 'x'.repeat(100_000)
    const keys = [`${long}1`, `${long}2`, 'x'.repeat(256), 'x'.repeat(257), `${long}\ud800`, `${long}\ud801`]
    for (const key of keys) await fill(key, key.slice(-3))
    for (const key of keys) expect(await load.outcome(key)).toMatchObject({ value: key.slice(-3), source: 'fresh' })
  })

  test('a long key is kept as a hash: its bytes do not count', async () => {
    const { load, fill } = loads({ freshFor: 100 }, { stale: { maxBytes: 1_000 } })
    await fill('x'.repeat(100_000), 'value')
    expect(load.cache.counts()).toMatchObject({ written: 1, oversize: 0 })
  })

  test('two operations with the same keys never share a value, and names that run into keys do not either', async () => {
    const { dependency } = loads()
    const make = (name: string) =>
      dependency.wrap((_, id: string) => Promise.resolve(`${name} ${id}`), {
        name,
        key: (id) => id,
        scope: 'public',
        freshFor: 1_000,
      })
    const [one, two] = [make('get'), make('getp:')]
    expect(await one('p:x')).toBe('get p:x')
    expect(await two('x')).toBe('getp: x')
  })
})

describe('14. privacy', () => {
  const scoped = { freshFor: 100, scope: (_: string, user?: string) => user ?? '' }

  test("one user's value is never served to another", async () => {
    const { load, runs, fill } = loads(scoped)
    await fill('basket', "anna's", 'anna')
    expect(await load('basket', 'anna')).toBe("anna's")
    void watch(load('basket', 'bert'))
    expect(runs).toHaveLength(2)
    await expect(failingFor(load, runs, 'basket', 'carl')).rejects.toBe(down)
  })

  test("users never share each other's calls in flight", () => {
    const { load, runs } = loads(scoped)
    void watch(load('basket', 'anna'))
    void watch(load('basket', 'bert'))
    expect(runs).toHaveLength(2)
  })

  test('the scope stands in the key with its length: no two pairs of scope and key meet', async () => {
    const { fill } = loads(scoped)
    // Each goes live: none finds what another has left.
    for (const [user, id] of [
      ['a', 'b:c'],
      ['a:b', 'c'],
      ['a:', 'b:c'],
      ['1:a', 'c'],
      ['a', '1:c'],
      ['aa', 'c'],
      ['aac', ''],
      ['aa:', 'c'],
    ] as const)
      await fill(id, `${user} ${id}`, user)
  })

  test('an empty scope passes by the cache: nobody is known whose data it is', async () => {
    const { load, runs, fill } = loads(scoped)
    await fill('basket', 1, '')
    await fill('basket', 2, '')
    void watch(load('basket', ''))
    void watch(load('basket', ''))
    expect(runs).toHaveLength(4)
    expect(load.cache.counts()).toMatchObject({ written: 0, keyErrors: 0 })
  })

  test('deleting what one user has leaves what others have', async () => {
    const { load, fill } = loads(scoped)
    await fill('basket', 'A', 'anna')
    await fill('basket', 'B', 'bert')
    expect(load.cache.delete('basket', 'anna')).toBe(true)
    expect(await load('basket', 'bert')).toBe('B')
  })
})

async function failingFor(
  load: ReturnType<typeof loads>['load'],
  runs: ReturnType<typeof loads>['runs'],
  id: string,
  user: string,
): Promise<unknown> {
  const result = load(id, user)
  runs.at(-1)!.fail(down)
  return result
}
