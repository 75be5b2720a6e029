import { describe, expect, it } from 'vitest'
import type { Series } from './harness/conduct.js'
import { markdownOf } from './report/markdown.js'
import { resultOf, verdictOf } from './report/verdict.js'
import type { Target } from './targets.js'

const target: Target = {
  what: 'closed',
  of: 'closed',
  spot: { subject: 'cofferdam', point: 1 },
  by: { name: 'opossum', subject: 'opossum', point: 1 },
  atMost: 0.7,
}

const series = (own: number[], other: number[]): Series[] => [
  { subject: 'cofferdam', point: 1, figures: own },
  { subject: 'opossum', point: 1, figures: other },
]

describe('a target of the bench', () => {
  it('is kept at its limit, missed by up to a tenth above it, and missed beyond', () => {
    expect(resultOf(0.7, 0.7)).toBe('kept')
    expect(resultOf(0.71, 0.7)).toBe('within a tenth')
    expect(resultOf(0.769, 0.7)).toBe('within a tenth')
    expect(resultOf(0.771, 0.7)).toBe('missed')
  })

  it('of nothing at all is missed by anything', () => {
    expect(resultOf(0, 0)).toBe('kept')
    expect(resultOf(1, 0)).toBe('missed')
  })

  it('that could not be measured is missed', () => {
    expect(verdictOf(target, series([], []), 5)).toMatchObject({ measured: NaN, result: 'missed' })
  })

  it('is held to the median of its launches, and each launch to the median of its rounds', () => {
    // Five launches of three rounds: 0.5 in most of them, and one round or launch that went astray.
    const own = [5, 5, 50, 5, 5, 5, 90, 90, 90, 5, 6, 5, 7, 7, 7]
    const found = verdictOf(target, series(own, Array<number>(15).fill(10)), 5)
    expect(found.runs).toEqual([0.5, 0.5, 9, 0.5, 0.7])
    expect(found).toMatchObject({ what: 'closed', by: 'opossum', atMost: 0.7, measured: 0.5, result: 'kept' })
  })

  it('compares what was measured in the same round, so that a slower machine changes nothing', () => {
    const found = verdictOf(target, series([5, 50, 500], [10, 100, 1_000]), 1)
    expect(found.measured).toBe(0.5)
  })

  it('without anything to divide by takes the figure itself', () => {
    const { by: _by, ...alone } = target
    expect(verdictOf(alone, series([3, 3, 3], []), 1)).toMatchObject({ measured: 3, result: 'missed' })
  })

  it('is written down with a column for each Node, and said to be missed where it was', () => {
    const machine = { v8: '', cpu: '', processors: 2, date: '' }
    const other: Target = { ...target, by: { ...target.by!, name: 'cockatiel' }, atMost: 1 / 8 }
    const table = markdownOf(
      [target, other],
      [
        {
          ...machine,
          node: '20.1.0',
          verdicts: [verdictOf(target, series([5], [10]), 1), verdictOf(other, series([1], [10]), 1)],
        },
        { ...machine, node: '24.1.0', verdicts: [verdictOf(target, series([9], [10]), 1)] },
        { ...machine, node: '26.1.0', verdicts: [] },
      ],
    )
    expect(table.split('\n')).toEqual([
      '| what | divided by | at most | Node 20.1.0 | Node 24.1.0 | Node 26.1.0 |',
      '| --- | --- | --- | --- | --- | --- |',
      '| closed | opossum | 0.7 | 0.50 | 0.90, missed | – |',
      '| closed | cockatiel | 0.125 | 0.10 | – | – |',
    ])
  })
})
