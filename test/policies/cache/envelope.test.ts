import { describe, expect, test } from 'vitest'
import { tombstone, unwrap, wrap } from '../../../src/policies/cache/envelope.js'
import { SecondKeys } from '../../../src/policies/cache/second-key.js'
import type { Version } from '../../../src/policies/cache/version.js'

const whole = { start: 5, value: { a: 1 }, version: undefined, expired: false }
const throughJson = (envelope: unknown): unknown => JSON.parse(JSON.stringify(envelope)) as unknown
const read = (kept: Parameters<typeof wrap>[1]) => unwrap(throughJson(wrap('me', kept)), 5)

describe('the envelope of a value in the second level', () => {
  test.each<[string, unknown]>([
    ['an object', { a: [1, null, 'x'] }],
    ['null', null],
    ['undefined', undefined],
    ['false', false],
    ['an empty string', ''],
  ])('brings back %s', (_, value) => {
    expect(read({ ...whole, value })).toMatchObject({ value, start: 5, gone: false, writer: 'me', expired: false })
  })

  test.each<[string, Version]>([
    ['number', 7],
    ['bigint', 2n ** 70n],
    ['string', 'v7'],
    ['date', new Date(7)],
  ])('brings back a version that is a %s', (_, version) => {
    expect(read({ ...whole, version })?.version).toEqual(version)
  })

  test('brings back how often it is kept warm, and that it has expired', () => {
    expect(read({ ...whole, every: 60_000, expired: true })).toMatchObject({ every: 60_000, expired: true })
  })

  test('of what is deleted says so, and has no value', () => {
    expect(unwrap(throughJson(tombstone('me', 5)), 5)).toMatchObject({ gone: true, value: undefined, start: 5 })
  })

  test.each<[string, unknown]>([
    ['nothing', undefined],
    ['a string', 'value'],
    ['an array', [1]],
    ['somebody else’s object', { value: 1 }],
    ['one of another format', { ...wrap('me', whole), v: 2 }],
    ['one without a writer', { ...wrap('me', whole), writer: undefined }],
    ['one without a start', { ...wrap('me', whole), start: undefined }],
    ['one whose start is no number', { ...wrap('me', whole), start: '5' }],
    ['one whose start is NaN', { ...wrap('me', whole), start: Number.NaN }],
    ['one from a clock that is far ahead', { ...wrap('me', whole), start: 10_006 }],
    ['one that has lost its value', { ...wrap('me', whole), value: undefined }],
    ['one with a version that is none', { ...wrap('me', whole), version: { b: 'x' } }],
  ])('is not read from %s', (_, raw) => {
    expect(unwrap(raw === undefined ? raw : throughJson(raw), 5)).toBeUndefined()
  })
})

describe('keys of the second level', () => {
  const of = (dependency: string, operation: string, own: string): string =>
    new SecondKeys(dependency, operation).of(`${operation.length}:${operation}${own}`)

  test('carry a namespace, the dependency and the operation, to be recognised and removed by', () => {
    expect(of('feed', 'load', 'p:art')).toBe('cofferdam:1:feed:load:p:art')
  })

  test.each([
    ['a space', 'p:a b'],
    ['a control character', 'p:a\u0000b'],
    ['a line break', 'p:a\r\nb'],
    ['another alphabet', 'p:ключ'],
    ['half a pair', 'p:\ud800'],
    ['a great length', `p:${'a'.repeat(300)}`],
  ])('with %s are hashed, to printable ASCII of at most 200 bytes', (_, own) => {
    for (const key of [of('feed', 'load', own), of(`feed ${own}`, `load ${own}`, own)]) {
      expect(key).toMatch(/^cofferdam:1:[!-~]+$/)
      expect(key.length).toBeLessThanOrEqual(200)
    }
  })

  test('of different dependencies, operations, scopes and keys never meet', () => {
    const parts = ['a', 'a:b', 'b', ':', '#', 'ä', 'x'.repeat(60), 'x'.repeat(300), '@cleared']
    const keys = new Set<string>()
    for (const dependency of parts)
      for (const operation of parts) {
        keys.add(new SecondKeys(dependency, operation).cleared)
        for (const key of parts)
          keys.add(of(dependency, operation, `p:${key}`)).add(of(dependency, operation, `s1:u${key}`))
      }
    expect(keys.size).toBe(parts.length ** 2 * (1 + 2 * parts.length))
  })
})
