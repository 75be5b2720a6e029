import { describe, expect, it } from 'vitest'
import { Warnings } from '../../src/health/warnings.js'

function warnings() {
  const told: [string, boolean, string][] = []
  const made = new Warnings(({ warning, text }, raised) => told.push([warning, raised, text]))
  return { warnings: made, told }
}

describe('a warning', () => {
  it('is told when it begins and when it ends, once each, and stands in between', () => {
    const { warnings: it, told } = warnings()
    it.raise('probe', 'broken', 1)
    it.raise('probe', 'broken', 2)
    expect([it.has('probe'), it.list]).toEqual([true, [{ warning: 'probe', text: 'broken', since: 1 }]])
    it.clear('probe')
    it.clear('probe')
    expect([it.has('probe'), it.list]).toEqual([false, []])
    expect(told).toEqual([
      ['probe', true, 'broken'],
      ['probe', false, 'broken'],
    ])
  })

  it('that stands is put into other words without being told anew, and is as old as it was', () => {
    const { warnings: it, told } = warnings()
    it.raise('invariant', 'a could not be read', 1)
    it.raise('invariant', 'a, b could not be read', 2)
    expect(it.list).toEqual([{ warning: 'invariant', text: 'a, b could not be read', since: 1 }])
    expect(told).toHaveLength(1)
  })

  it('of each kind stands by itself', () => {
    const { warnings: it } = warnings()
    it.raise('probe', 'one', 1)
    it.raise('disabled', 'other', 2)
    it.clear('probe')
    expect(it.list.map(({ warning }) => warning)).toEqual(['disabled'])
  })

  it('is frozen', () => {
    const { warnings: it } = warnings()
    it.raise('probe', 'one', 1)
    expect(Object.isFrozen(it.list[0])).toBe(true)
  })
})
