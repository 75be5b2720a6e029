import { Readable } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { OptionError } from '../../../src/core/errors.js'
import { down, loads } from '../../support/loads.js'

describe('12. what is kept', () => {
  test.each([[undefined], [null], [false], [0], ['']])('%s counts as a value', async (value) => {
    const { clock, load, last, fill } = loads({ freshFor: 100 })
    await fill('a', value)
    expect(await load.outcome('a')).toMatchObject({ value, source: 'fresh' })
    await clock.advance(100)
    const outcome = load.outcome('a')
    last().fail(down)
    expect(await outcome).toMatchObject({ value, source: 'stale' })
  })

  class OtherResponse {
    bodyUsed = false
  }
  async function* forever(): AsyncGenerator<number> {
    for (;;) yield Promise.resolve(1)
  }
  test.each<[string, string, () => unknown]>([
    ['a Response', 'a Response', () => new Response('x')],
    ['a Request', 'a Request', () => new Request('http://localhost')],
    ['the Response of another fetch', 'a OtherResponse', () => new OtherResponse()],
    ['a web stream', 'a stream', () => new ReadableStream()],
    ['a Node stream', 'a stream', () => Readable.from(['x'])],
    ['an async iterator', 'a stream', () => forever()],
    ['an iterator', 'an iterator', () => [1, 2][Symbol.iterator]()],
    ['an iterator of one’s own', 'an iterator', () => ({ next: () => ({ done: true }) })],
  ])('%s is refused with an error that says so, names the operation and is not kept', async (_, what, make) => {
    const { load, last, failing, dependency } = loads()
    const refused = load('a')
    last().open(make())
    const error = await refused.then(
      () => undefined,
      (thrown: unknown) => thrown,
    )
    expect(error).toBeInstanceOf(OptionError)
    expect(error).toMatchObject({ path: 'load.key', message: expect.stringContaining(what) as string })
    expect(await failing('a')).toBe(down)
    expect(dependency.health().counts.successes).toBe(1)
  })

  test('collections, buffers and instances of classes are kept', async () => {
    const { fill, failing } = loads()
    for (const value of [new Map([[1, 2]]), new Set([1]), Buffer.from('x'), new Date(), [1], new URL('http://a.b')]) {
      await fill('a', value)
      expect(await failing('a')).toBe(value)
    }
  })

  test('cacheIf decides by the value and the arguments, and what it declines is counted and replaces nothing', async () => {
    const { load, fill, failing } = loads({ cacheIf: (value, id) => id !== 'never' && value !== 'partial' })
    await fill('a', 'whole')
    await fill('a', 'partial')
    await fill('never', 'whole')
    expect(await failing('a')).toBe('whole')
    expect(await failing('never')).toBe(down)
    expect(load.cache.counts()).toMatchObject({ written: 1, declined: 2 })
  })

  test('when cacheIf throws the value is the answer, it is not kept, and the error is reported', async () => {
    const { reported, fill, failing } = loads({
      cacheIf: () => {
        throw new Error('cacheIf')
      },
    })
    await fill('a', 1)
    expect(reported).toMatchObject([{ message: 'cacheIf' }])
    expect(await failing('a')).toBe(down)
  })

  test('a value that isFailure judged failed is never kept', async () => {
    const { fill, failing } = loads(
      {},
      { circuit: { isFailure: ({ error, value }) => error === down || value === 'bad' } },
    )
    await fill('a', 'bad')
    expect(await failing('a')).toBe(down)
  })
})

describe('15. sharing', () => {
  test('values are shared, not copied', async () => {
    const { load, fill } = loads({ freshFor: 100 })
    const value = { list: [1] }
    await fill('a', value)
    expect(await load('a')).toBe(value)
    expect(Object.isFrozen(value)).toBe(false)
  })

  test('freeze freezes plain objects and arrays to any depth, also below what was frozen already and in circles', async () => {
    const { load, fill } = loads({ freshFor: 100, freeze: true })
    const deep = { list: [{ n: 1 }] }
    const date = new Date()
    const value: Record<string, unknown> = { deep: Object.freeze({ deep }), date, bare: Object.create(null) as unknown }
    value['self'] = value
    await fill('a', value)
    expect(await load('a')).toBe(value)
    for (const part of [value, deep, deep.list, deep.list[0], value['bare']]) expect(Object.isFrozen(part)).toBe(true)
    expect(Object.isFrozen(date)).toBe(false)
    expect(load.cache.counts()).toMatchObject({ written: 1 })
  })

  test('what cacheIf declines is not frozen', async () => {
    const { fill } = loads({ freeze: true, cacheIf: () => false })
    const value = {}
    await fill('a', value)
    expect(Object.isFrozen(value)).toBe(false)
  })
})

describe('16. memory', () => {
  test('beyond max the least recently used value goes, counted over all operations of the dependency', async () => {
    const { dependency, load, fill, failing } = loads({}, { stale: { max: 2 } })
    await fill('a', 1)
    await fill('b', 2)
    expect(await failing('a')).toBe(1)
    const other = dependency.wrap(() => 3, { name: 'other', key: () => 'c', scope: 'public', freshFor: 1_000 })
    await other()
    expect(await failing('a')).toBe(1)
    expect(await failing('b')).toBe(down)
    expect(load.cache.delete('a')).toBe(true)
  })

  test('maxBytes counts the bytes of strings, of Buffers and of keys', async () => {
    const { fill, failing } = loads({}, { stale: { maxBytes: 200 } })
    await fill('a', 'é'.repeat(40))
    await fill('b', Buffer.alloc(60))
    expect(await failing('a')).toBe('é'.repeat(40))
    await fill('k'.repeat(80), '')
    expect(await failing('b')).toBe(down)
    expect(await failing('a')).toBe('é'.repeat(40))
  })

  test('nothing at all has a size too, so that null and undefined can be kept beside strings', async () => {
    const { reported, fill, failing } = loads({}, { stale: { maxBytes: 100 } })
    await fill('a', null)
    await fill('b', undefined)
    expect([await failing('a'), await failing('b')]).toEqual([null, undefined])
    expect(reported).toEqual([])
  })

  test('maxBytes without sizeOf keeps no objects, and says why', async () => {
    const { reported, fill, failing } = loads({}, { stale: { maxBytes: 1_000 } })
    await fill('a', { an: 'object' })
    expect(reported).toMatchObject([{ message: 'maxBytes needs sizeOf unless values are strings or Buffers' }])
    expect(await failing('a')).toBe(down)
  })

  test('sizeOf says how large a value is', async () => {
    const sizeOf = (value: unknown): number => (value as { size: number }).size
    const { fill, failing } = loads({}, { stale: { maxBytes: 100, sizeOf } })
    await fill('a', { size: 50 })
    await fill('b', { size: 51 })
    expect(await failing('a')).toBe(down)
    expect(await failing('b')).toEqual({ size: 51 })
  })

  test('a value larger than maxBytes is not kept, drops the one held before and is counted', async () => {
    const { load, fill, failing } = loads({}, { stale: { maxBytes: 100 } })
    await fill('a', 'small')
    await fill('b', 'small')
    await fill('a', 'x'.repeat(100))
    expect(await failing('a')).toBe(down)
    expect(await failing('b')).toBe('small')
    expect(load.cache.counts()).toMatchObject({ written: 2, oversize: 1 })
  })

  test('after an oversize value an older call does not bring an older one', async () => {
    const { load, runs, fill, failing } = loads({}, { stale: { maxBytes: 100 } })
    const earlier = load('a')
    await fill('a', 'x'.repeat(100))
    runs[0]!.open('older')
    await earlier
    expect(await failing('a')).toBe(down)
  })
})
