import { describe, expect, test } from 'vitest'
import { OptionError } from '../src/core/errors.js'
import { operationSettings } from '../src/operation-options.js'
import { createRegistry } from '../src/registry.js'
import { ManualClock } from '../src/testing.js'
import { watch } from './support/calls.js'
import { loads } from './support/loads.js'

const cached = { key: () => 'k', scope: 'public' as const }
const defaults = { freshFor: 0, staleFor: 3_600_000 }
const settingsOf = (given: object, of = defaults) => operationSettings(given, of)

/** Refused where it is wrapped, and where it is run, and the name is still free. */
async function refuses(given: object, path: string): Promise<void> {
  const feed = createRegistry({ clock: new ManualClock() }).dependency('feed')
  const named = { name: 'load', ...given }
  const expected = expect.objectContaining({ path, code: 'ERR_OPTION' }) as Error
  expect(() => feed.wrap(() => 1, named as never)).toThrow(OptionError)
  expect(() => feed.wrap(() => 1, named as never)).toThrow(expected)
  if (!('timeout' in given || 'total' in given || 'label' in given)) {
    await expect(feed.run(() => 1, named as never)).rejects.toThrow(expected)
  }
  const free = feed.wrap(() => 1, { name: 'load', ...cached })
  expect(free.operation).toBe('load')
}

describe('a bad value throws an OptionError that names its path, and the name is still free', () => {
  const table: [string, object][] = []
  const add = (paths: string[], values: unknown[], beside: object = {}): void => {
    for (const path of paths) for (const value of values) table.push([path, { ...beside, [path]: value }])
  }
  const noNumbers = [Number.NaN, -1, Infinity, '100', null, {}, [], true, false]
  add(['timeout', 'total'], [...noNumbers, 0, 2 ** 31])
  add(['freshFor', 'staleFor'], noNumbers, cached)
  add(['key', 'version', 'cacheIf', 'evictOn'], ['id', true, null, {}, 7], cached)
  add(['scope'], ['private', '', true, null, {}, 7], cached)
  add(['coalesce', 'freeze', 'counts'], [0, 1, 'yes', null], cached)
  add(['label'], ['', 7, null])
  add(['fallback'], ['instead', [], {}, null, 7], cached)
  add(['ttl', 'softTimeout', 'retry', 'toLowerCase'], [1])

  test.each(table)('%s in %o', async (path, given) => {
    await refuses(given, path)
  })

  test.each([[''], [7], [null]])('name: %o', (name) => {
    const feed = createRegistry().dependency('feed')
    expect(() => feed.wrap(() => 1, { name: name as string })).toThrow(
      expect.objectContaining({ path: 'name' }) as Error,
    )
  })

  test.each([[null], [5], ['fast'], [() => 1]])('%o in place of all options', (given) => {
    const feed = createRegistry().dependency('feed')
    expect(() => feed.wrap(() => 1, given as never)).toThrow(OptionError)
  })

  test.each([[undefined], [null], ['load'], [{}]])('%o in place of the operation', (operation) => {
    const feed = createRegistry().dependency('feed')
    expect(() => feed.wrap(operation as never, { name: 'load', ...cached })).toThrow(
      expect.objectContaining({ path: 'operation' }) as Error,
    )
    expect(feed.wrap(() => 1, { name: 'load', ...cached }).operation).toBe('load')
  })
})

describe('what does not go together throws an OptionError that names the path, and the name is still free', () => {
  test.each<[string, string, object]>([
    ['scope', 'key without scope', { key: () => 'k' }],
    ['scope', 'scope without key', { scope: 'public' }],
    ['freshFor', 'freshFor without key', { freshFor: 100 }],
    ['staleFor', 'staleFor without key', { staleFor: 100 }],
    ['coalesce', 'coalesce without key', { coalesce: false }],
    ['version', 'version without key', { version: () => 1 }],
    ['cacheIf', 'cacheIf without key', { cacheIf: () => true }],
    ['evictOn', 'evictOn without key', { evictOn: () => true }],
    ['freeze', 'freeze without key', { freeze: false }],
    ['staleFor', 'staleFor below freshFor', { ...cached, freshFor: 200, staleFor: 100 }],
    ['total', 'a total below the timeout', { timeout: 200, total: 100 }],
  ])('%s: %s', async (path, _, given) => {
    await refuses(given, path)
  })

  test('what just fits is accepted', () => {
    for (const given of [
      { ...cached, freshFor: 100, staleFor: 100 },
      { timeout: 100, total: 100 },
      { ...cached, freshFor: 0, staleFor: 0 },
    ])
      expect(() => settingsOf(given)).not.toThrow()
  })
})

describe('names', () => {
  test('a second cached operation of one name is refused: two never share a value', () => {
    const { dependency } = loads()
    expect(() => dependency.wrap(() => 1, { name: 'load', ...cached })).toThrow(
      expect.objectContaining({ path: 'name', code: 'ERR_OPTION' }) as Error,
    )
  })

  test('operations that are named by their functions, alike, are cached apart', async () => {
    const feed = createRegistry().dependency('feed')
    const make = (value: string) => {
      const load = (): string => value
      return feed.wrap(load, { ...cached, freshFor: 1_000 })
    }
    const [one, two] = [make('one'), make('two')]
    expect(one.operation).not.toBe(two.operation)
    expect([await one(), await two(), await one(), await two()]).toEqual(['one', 'two', 'one', 'two'])
  })

  test('operations that are not cached may share one', async () => {
    const feed = createRegistry().dependency('feed')
    const [one, two] = [feed.wrap(() => 1, { name: 'load' }), feed.wrap(() => 2, { name: 'load' })]
    expect([await one(), await two()]).toEqual([1, 2])
  })

  test('run() is cached only with a name', async () => {
    const feed = createRegistry().dependency('feed')
    await expect(feed.run(() => 1, cached)).rejects.toMatchObject({ path: 'name', code: 'ERR_OPTION' })
  })
})

describe('what is left out', () => {
  test('has the documented defaults', () => {
    expect(settingsOf({})).toMatchObject({
      name: undefined,
      cache: undefined,
      fallback: undefined,
      counts: true,
      label: undefined,
      timeout: undefined,
      total: undefined,
    })
    expect(settingsOf(cached).cache).toMatchObject({
      freshFor: 0,
      staleFor: 3_600_000,
      coalesce: false,
      freeze: false,
      version: undefined,
      cacheIf: undefined,
    })
  })

  test('freshFor and staleFor are the dependency’s, and the operation’s own go before them', () => {
    const of = { freshFor: 100, staleFor: 1_000 }
    expect(settingsOf(cached, of).cache).toMatchObject({ freshFor: 100, staleFor: 1_000, coalesce: true })
    expect(settingsOf({ ...cached, freshFor: 0 }, of).cache).toMatchObject({ freshFor: 0, coalesce: false })
    expect(settingsOf({ ...cached, staleFor: 500 }, of).cache).toMatchObject({ freshFor: 100, staleFor: 500 })
    expect(settingsOf({ ...cached, freshFor: undefined }, of).cache).toMatchObject({ freshFor: 100 })
  })

  test.each([
    ['staleFor below the freshFor of the dependency lowers it', { staleFor: 10 }, { freshFor: 10, staleFor: 10 }],
    [
      'freshFor above the staleFor of the dependency raises it',
      { freshFor: 9_000 },
      { freshFor: 9_000, staleFor: 9_000 },
    ],
  ])('is clamped to what is given: %s', (_, given, settings) => {
    expect(settingsOf({ ...cached, ...given }, { freshFor: 100, staleFor: 1_000 }).cache).toMatchObject(settings)
  })

  test('by default 404 and 410 evict, nothing else does', () => {
    const evictOn = settingsOf(cached).cache!.evictOn
    const gone = [{ status: 404 }, { statusCode: 410 }]
    const others = [{ status: 400 }, { status: 500 }, { status: '404' }, new Error('x'), null, undefined, 'gone', 404]
    expect([gone.map(evictOn), others.map(evictOn)]).toEqual([gone.map(() => true), others.map(() => false)])
  })

  test('the timeout and total of the dependency hold, and the operation’s own go before them, longer or shorter', async () => {
    const clock = new ManualClock()
    const feed = createRegistry({ clock }).dependency('feed', { timeout: 100, total: 200 })
    const never = (): Promise<string> => new Promise(() => undefined)
    const results = [{}, { timeout: 50 }, { timeout: 150 }, { timeout: 300, total: 400 }].map((given) =>
      watch(feed.wrap(never, given)()),
    )
    const ended: number[] = []
    for (let i = 0; i < 8; i++) {
      await clock.advance(50)
      results.forEach(({ state }, which) => {
        if (state === 'rejected') ended[which] ??= clock.now()
      })
    }
    expect(ended).toEqual([100, 50, 150, 300])
  })

  test('counts: false keeps its attempts from judging the dependency', async () => {
    const feed = createRegistry({ clock: new ManualClock() }).dependency('feed', {
      circuit: { consecutiveFailures: 1 },
    })
    const down = (): Promise<string> => Promise.reject(new Error('down'))
    await expect(feed.wrap(down, { counts: false })()).rejects.toThrow('down')
    expect(feed.mode).toBe('available')
    await expect(feed.wrap(down)()).rejects.toThrow('down')
    expect(feed.mode).toBe('unavailable')
  })
})

describe('the object that was given', () => {
  test('is not changed, and may be frozen', () => {
    const given = Object.freeze({ ...cached, name: 'load', freshFor: 10, fallback: Object.freeze([{ value: 1 }]) })
    const feed = createRegistry().dependency('feed')
    expect(() => feed.wrap(() => 1, given)).not.toThrow()
    expect(given).toMatchObject({ name: 'load', freshFor: 10, fallback: [{ value: 1 }] })
  })

  test('may be changed afterwards without any effect', async () => {
    const feed = createRegistry({ clock: new ManualClock() }).dependency('feed')
    const given = { name: 'load', key: (): string | undefined => 'k', scope: 'public' as const, freshFor: 1_000 }
    const load = feed.wrap(() => 1, given)
    given.freshFor = 0
    given.key = () => undefined
    await load()
    expect((await load.outcome()).source).toBe('fresh')
  })
})
