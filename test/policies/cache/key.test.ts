import fc from 'fast-check'
import { expect, test } from 'vitest'
import { KeyMaker } from '../../../src/policies/cache/key.js'

const part = fc.oneof(
  fc.string({ maxLength: 6 }),
  fc.constantFrom('p:', 's1:', '1:a', 'p:s1:a', '#'.repeat(256), 'x'.repeat(256), 'x'.repeat(257), 'x'.repeat(300)),
)
const triple = fc.record({ operation: part, scope: fc.option(part, { nil: 'public' as const }), key: part })

function made({ operation, scope, key }: { operation: string; scope: string; key: string }): string | undefined {
  return new KeyMaker(operation, () => key, scope === 'public' ? 'public' : () => scope).of([])
}

test('two keys are the same only when operation, scope and key are', () => {
  fc.assert(
    fc.property(triple, triple, (a, b) => {
      const [one, two] = [made(a), made(b)]
      if (one === undefined || two === undefined) expect([a.scope, b.scope]).toContain('')
      else expect(one === two).toBe(a.operation === b.operation && a.scope === b.scope && a.key === b.key)
    }),
    { numRuns: 2_000 },
  )
})

test('one text split into scope and key at two places gives two keys', () => {
  fc.assert(
    fc.property(fc.string({ minLength: 2, maxLength: 12 }), fc.nat(20), fc.nat(20), (text, at, elsewhere) => {
      const [i, j] = [1 + (at % (text.length - 1)), 1 + (elsewhere % (text.length - 1))]
      const split = (n: number) => made({ operation: 'load', scope: text.slice(0, n), key: text.slice(n) })
      expect(split(i) === split(j)).toBe(i === j)
    }),
  )
})

test('a key that was learned is the same as when it was new, also after so many that it was forgotten', () => {
  const keys = new KeyMaker('load', (id: string) => id, 'public')
  const first = keys.of(['a'])
  expect(keys.of(['a'])).toBe(first)
  for (let i = 0; i < 3_000; i++) keys.of([`key ${i}`])
  expect(keys.of(['a'])).toBe(first)
})
