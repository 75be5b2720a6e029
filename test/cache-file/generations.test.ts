import { describe, expect, test } from 'vitest'
import { placeOf, type Generation } from '../../src/cache-file/generations.js'

const NOW = 1_000
const of = (date: number, entries = 10, until = NOW + 1): Generation => ({ date, entries, until })

describe('the place of a dump among the generations', () => {
  test.each<[string, ReturnType<typeof placeOf>, Generation, (Generation | undefined)[]]>([
    ['the first is the newest', { at: 0, over: 0 }, of(5), [undefined, undefined]],
    ['a newer one goes first and moves the others on', { at: 0, over: 2 }, of(5), [of(4), of(3), of(2)]],
    ['into a gap no more are moved than must be', { at: 0, over: 1 }, of(5), [of(4), undefined, of(2)]],
    ['an empty one is not written', 'empty', of(-Infinity, 0), [undefined]],
    ['one that was emptied on purpose is', { at: 0, over: 1 }, of(5, 0), [of(4), undefined]],
    ['an older one goes behind', { at: 1, over: 2 }, of(3), [of(4), of(2), of(1)]],
    ['one that is older than all is not written', 'older', of(1), [of(4), of(3), of(2)]],
    ['what is there already is not written again', 'unchanged', of(4), [of(4)]],
    ['nor with fewer, when the others have only expired', 'unchanged', of(4, 9), [of(4)]],
    ['of the same date, the fuller stays', { at: 0, over: 0 }, of(4, 11), [of(4), of(3)]],
    ['a date that is still to come is no obstacle', { at: 0, over: 1 }, of(5), [of(NOW + 1), of(4)]],
    ['a much fuller one is not pushed out', { at: 0, over: 1 }, of(5), [of(4), of(3), of(2, 21)]],
    ['unless none of its values is of use any more', { at: 0, over: 2 }, of(5), [of(4), of(3), of(2, 21, NOW)]],
    ['or it isn’t that much fuller', { at: 0, over: 2 }, of(5), [of(4), of(3), of(2, 20)]],
    ['or one of the newer ones is as full', { at: 0, over: 2 }, of(5), [of(4, 15), of(3), of(2, 21)]],
    ['nor for an older one', 'older', of(3), [of(4), of(2, 21)]],
    ['a single file is always the newest', { at: 0, over: 0 }, of(5), [of(4, 100)]],
  ])('%s', (_, place, mine, there) => {
    expect(placeOf(mine, there, NOW)).toEqual(place)
  })
})
