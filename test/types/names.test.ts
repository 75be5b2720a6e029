import { describe, expect, expectTypeOf, it } from 'vitest'
import { cofferdam } from '../../src/express/index.js'
import { createBudgets, createRegistry, gather } from '../../src/index.js'
import { ManualClock } from '../../src/testing.js'

const clock = new ManualClock()
const registry = createRegistry({ clock })
const budgets = createBudgets({ slots: 10, classes: { pages: {}, callbacks: { maxWait: 100 } }, clock })

// `npm run types` reads this file: a line that compiles although it should not is an error there.

describe('the name of a class', () => {
  it('is known to the compiler wherever it is given, and checked again when the code runs', () => {
    const guard = cofferdam({ registry, budgets })
    // @ts-expect-error misspelled
    expect(() => guard.budget('ajaxx')).toThrow('ajaxx')
    // @ts-expect-error misspelled
    expect(() => guard.budget({ slot: 5 })).toThrow('budget.slot')
    // @ts-expect-error misspelled
    expect(() => createBudgets({ slots: 9, classes: { a: {} }, otherwise: 'b' })).toThrow('otherwise')
    // @ts-expect-error misspelled
    expect(() => createBudgets({ slots: 9, classes: { a: { atmost: 2 } } })).toThrow('atmost')
    expect(() => {
      // @ts-expect-error misspelled
      budgets.pause('ajaxx', { reason: 'x' })
    }).toThrow('ajaxx')
    expect(() => {
      // @ts-expect-error misspelled
      budgets.resume('ajaxx')
    }).toThrow('ajaxx')
    expect(() => guard.budget('callbacks').wrap(() => undefined)).not.toThrow()
  })

  it('can’t be given where there are no budgets', () => {
    const guard = cofferdam({ registry })
    // @ts-expect-error there are none
    expect(() => guard.budget('pages')).toThrow('there are no budgets')
  })

  it('is narrowed by asking', () => {
    const name: string = 'pages'
    expect(budgets.has(name)).toBe(true)
    if (budgets.has(name)) expectTypeOf(name).toEqualTypeOf<'pages' | 'callbacks'>()
  })
})

describe('what gather gives', () => {
  it('has the types of its parts, each of which may be missing', async () => {
    const { values, missing } = await gather(
      ({ signal }) => {
        expectTypeOf(signal).toEqualTypeOf<AbortSignal>()
        return { feed: Promise.resolve([{ id: 1 }]), recs: Promise.resolve(Promise.resolve('deep')), plain: 5 as const }
      },
      { within: 300, clock },
    )
    expectTypeOf(values).toEqualTypeOf<{ feed?: { id: number }[]; recs?: string; plain?: 5 }>()
    expectTypeOf<keyof typeof missing>().toEqualTypeOf<'feed' | 'recs' | 'plain'>()
    expectTypeOf(missing.feed).toEqualTypeOf<unknown>()
    // @ts-expect-error it may be missing
    expect(values.feed.length).toBe(1)
    // @ts-expect-error there is no such part
    expect(missing.fed).toBeUndefined()
  })

  it('wants a time', async () => {
    // @ts-expect-error without one it would wait for ever
    await expect(gather(() => ({ a: 1 }), {})).rejects.toMatchObject({ path: 'gather.within' })
  })
})
