import { Keyv } from 'keyv'
import { describe, expect, test } from 'vitest'
import { compose } from '../../../src/core/compose.js'
import { OptionError } from '../../../src/core/errors.js'
import { staleCache } from '../../../src/policies/stale-cache.js'
import { createRegistry } from '../../../src/registry.js'
import { ManualClock, settle } from '../../../src/testing.js'
import { FakeKeyv } from '../../support/fake-keyv.js'
import { down } from '../../support/loads.js'
import { bring, process } from '../../support/second-level.js'

const cached = { key: (id: string) => id, scope: 'public' as const }

describe('18. second level: its options', () => {
  test.each([
    ['a string', 'redis://localhost'],
    ['null', null],
    ['an object without set', { get: () => undefined, delete: () => undefined }],
  ])('a store that is %s throws an OptionError that names stale.store', (_, store) => {
    const make = (): unknown => createRegistry().dependency('feed', { stale: { store: store as never } })
    expect(make).toThrow(OptionError)
    expect(make).toThrow(expect.objectContaining({ path: 'stale.store' }) as Error)
  })

  test('an operation that is cached needs a name of its own, and one that isn’t does not', () => {
    const feed = createRegistry().dependency('feed', { stale: { store: new FakeKeyv() } })
    const load = (_: unknown, id: string): string => id
    expect(() => feed.wrap(load, cached)).toThrow(expect.objectContaining({ path: 'name' }) as Error)
    feed.wrap(load, { name: 'plain' })
    feed.wrap(load, { ...cached, name: 'load' })
    expect(() => feed.wrap(load, { ...cached, name: 'load' })).toThrow(OptionError)
  })

  test('in compose each operation needs a name of its own as well', () => {
    const store = new FakeKeyv()
    const policy = staleCache({ ...cached, store })
    const load = (_: unknown, id: string): string => id
    const unnamed = (): unknown => compose([policy], [])(load)
    expect(unnamed).toThrow(expect.objectContaining({ path: 'compose.name' }) as Error)
    const guarded = compose([policy], [], { name: 'load' })
    guarded(load)
    expect(() => guarded(load)).toThrow(OptionError)
  })

  test('in compose it does the same', async () => {
    const store = new FakeKeyv()
    const make = (works: boolean) =>
      compose([staleCache({ ...cached, store })], [], { name: 'load', clock: new ManualClock() })((_, id: string) =>
        works ? Promise.resolve(id) : Promise.reject(down),
      )
    await make(true)('a')
    await settle()
    expect(await make(false).outcome('a')).toMatchObject({ value: 'a', source: 'stale' })
  })

  test('a store among the registry’s defaults is everybody’s, and none of them shares a value', async () => {
    const store = new FakeKeyv()
    const registry = createRegistry({ clock: new ManualClock(), defaults: { stale: { store } } })
    const operations = ['one', 'two'].map((name) =>
      registry.dependency(name).wrap(() => Promise.resolve(name), { name: 'load', key: () => 'a', scope: 'public' }),
    )
    for (const load of operations) await load()
    await settle()
    expect(store.data.size).toBe(2)
  })

  test('storePrivate alone, without key, is refused', () => {
    const feed = createRegistry().dependency('feed')
    expect(() => feed.wrap(() => 1, { storePrivate: true })).toThrow(
      expect.objectContaining({ path: 'storePrivate' }) as Error,
    )
  })

  test('without a store the counts of the second level stay 0, and nothing else changes', async () => {
    const feed = createRegistry({ clock: new ManualClock() }).dependency('feed')
    const load = feed.wrap((_, id: string) => Promise.resolve(id), { ...cached, freshFor: 10 })
    await load('a')
    expect(load.cache.counts()).toMatchObject({ secondHits: 0, secondMisses: 0, secondWritten: 0, secondSkipped: 0 })
  })
})

describe('a real Keyv', () => {
  test.each<[string, unknown]>([
    ['null', null],
    ['undefined', undefined],
    ['a number', 1.5],
    ['a string that begins with a colon', ':base64:x'],
    ['nested JSON', { a: [1, 'x', null, { b: true }] }],
    ['a Buffer', Buffer.from([0, 255])],
    ['a Buffer in an object', { image: Buffer.from('x') }],
  ])('brings back %s as it was', async (_, value) => {
    const store = new Keyv()
    await bring(process(store), 'a', value)
    expect(await process(store).failing('a')).toEqual(value)
  })

  test.each<[string, unknown, unknown]>([
    ['a Date as its text', new Date(0), '1970-01-01T00:00:00.000Z'],
    ['NaN as null', Number.NaN, null],
    ['undefined among properties not at all', { a: undefined, b: 1 }, { b: 1 }],
  ])('brings back %s, as JSON has it', async (_, value, back) => {
    const store = new Keyv()
    await bring(process(store), 'a', value)
    expect(await process(store).failing('a')).toEqual(back)
  })

  test('with a serializer of its own brings back what that can', async () => {
    const store = new Keyv({ serialize: undefined, deserialize: undefined } as never)
    await bring(process(store), 'a', new Map([[1, 2]]))
    expect(await process(store).failing('a')).toEqual(new Map([[1, 2]]))
  })
})
