import { describe, expect, it } from 'vitest'
import { InFlight, type Listed } from '../../src/core/in-flight.js'
import { settle } from '../../src/testing.js'
import { watch } from '../support/calls.js'

class Work implements Listed<Work> {
  older: Work | undefined
  newer: Work | undefined
  readonly name: string

  constructor(name: string) {
    this.name = name
  }
}

function list(...names: string[]) {
  const inFlight = new InFlight<Work>()
  const works = names.map((name) => new Work(name))
  for (const work of works) inFlight.add(work)
  return { inFlight, works, names: () => [...inFlight].map(({ name }) => name) }
}

describe('work in flight', () => {
  it('is listed oldest first', () => {
    const { inFlight, names } = list('a', 'b', 'c')
    expect([names(), inFlight.size]).toEqual([['a', 'b', 'c'], 3])
  })

  it.each([
    [0, ['b', 'c', 'new']],
    [1, ['a', 'c', 'new']],
    [2, ['a', 'b', 'new']],
  ])('is taken out at any place, here %i, once', (place, left) => {
    const { inFlight, works, names } = list('a', 'b', 'c')
    inFlight.remove(works[place]!)
    inFlight.remove(works[place]!)
    inFlight.add(new Work('new'))
    expect([names(), inFlight.size]).toEqual([left, 3])
  })

  it('that was never listed is none of its business', () => {
    const { inFlight, names } = list('a')
    inFlight.remove(new Work('other'))
    expect([names(), inFlight.size]).toEqual([['a'], 1])
  })

  it('can end while it is being looked at', () => {
    const { inFlight, works } = list('a', 'b', 'c')
    const seen: string[] = []
    for (const work of inFlight) {
      seen.push(work.name)
      inFlight.remove(work)
    }
    expect([seen, inFlight.size]).toEqual([['a', 'b', 'c'], 0])
    expect(works.every(({ older, newer }) => older === undefined && newer === undefined)).toBe(true)
  })

  it.each([
    ['the next', ['b']],
    ['all that come after', ['b', 'c', 'd']],
    ['all', ['a', 'b', 'c', 'd']],
  ])('is looked at as it was: what is done with the first may end %s, and begin more', (_what, ended) => {
    const { inFlight, works } = list('a', 'b', 'c', 'd')
    const seen: string[] = []
    for (const work of inFlight) {
      seen.push(work.name)
      if (work !== works[0]) continue
      for (const each of works) if (ended.includes(each.name)) inFlight.remove(each)
      inFlight.add(new Work('new'))
    }
    expect(seen).toEqual(['a', 'b', 'c', 'd'])
    expect(inFlight.size).toBe(5 - ended.length)
  })

  it('tells all who wait for its end when the last has ended, and is waited for anew after that', async () => {
    const { inFlight, works } = list('a', 'b')
    const [first, second] = [watch(inFlight.empty()), watch(inFlight.empty())]
    inFlight.remove(works[0]!)
    await settle()
    expect([first.state, second.state]).toEqual(['pending', 'pending'])
    inFlight.remove(works[1]!)
    await settle()
    expect([first.state, second.state]).toEqual(['resolved', 'resolved'])
    inFlight.add(works[0]!)
    const third = watch(inFlight.empty())
    await settle()
    expect(third.state).toBe('pending')
    inFlight.remove(works[0]!)
    await settle()
    expect(third.state).toBe('resolved')
  })

  it('of which there is none is not waited for', async () => {
    await expect(new InFlight<Work>().empty()).resolves.toBeUndefined()
  })
})
