import { describe, expect, it } from 'vitest'
import type { Comparable } from '../../src/core/comparable.js'
import { identity } from '../../src/health/identity.js'
import type { InvariantStore } from '../../src/health/invariant-store.js'
import { monotonic } from '../../src/health/monotonic.js'
import { settle } from '../../src/testing.js'
import { watch } from '../support/calls.js'
import { gate } from '../support/gate.js'
import { MemoryStore, watching } from '../support/watching.js'

const down = new Error('store down')

/** One process: a polled value, and operations that hand out values of the same name. */
function process(store: InvariantStore, timeout = 100) {
  const world = watching()
  const source: { value: Comparable } = { value: 0 }
  const state = world.invariants.polled(
    monotonic('ids', () => source.value, { store, timeout }),
    '',
  )
  const run = world.invariants.inBand<Comparable>(monotonic('ids', { store, timeout }), '')
  const poll = async (value: Comparable) => {
    source.value = value
    return state.poll()
  }
  const get = async (value: Comparable): Promise<string> => {
    const result = watch(run(() => value))
    await settle()
    return result.state
  }
  return { ...world, source, state, run, poll, get }
}

const BACK = { violation: expect.stringContaining('went back') as unknown }

describe('a mark in a store', () => {
  it.each<[string, Comparable, Comparable]>([
    ['number', 5.25, 5.125],
    ['a negative number', -5, -6],
    ['a small number', 1e-7, 1e-8],
    ['bigint', 2n ** 70n, 2n ** 70n - 1n],
    ['Date', new Date(1_767_225_600_001), new Date(1_767_225_600_000)],
    ['digits', '9223372036854775807', '9223372036854775806'],
    ['LSN', '16/B374D848', '16/B374D847'],
  ])('outlives the process, polled and in band: %s', async (_kind, first, lower) => {
    const store = new MemoryStore()
    expect(await process(store).poll(first)).toBe('holds')
    expect(await process(store).poll(lower)).toEqual(BACK)
    expect(await process(store).poll(first)).toBe('holds')
    expect([...store.data.keys()]).toEqual(['db/ids'])
    // It was only seen, so it may still be handed out, once.
    expect(await process(store).get(lower)).toBe('rejected')
    expect(await process(store).get(first)).toBe('resolved')
    expect(await process(store).get(first)).toBe('rejected')
    expect(await process(store).poll(first)).toBe('holds')
    expect(await process(store).get(first)).toBe('rejected')
  })

  it('keeps its kind', async () => {
    const store = new MemoryStore()
    await process(store).poll('5')
    expect(await process(store).poll(6n)).toEqual({ violation: "ids: the value's kind changed from digits to bigint" })
    expect(await process(store).get(6)).toBe('rejected')
  })

  it('is written when it has changed, and not otherwise', async () => {
    const store = new MemoryStore()
    const one = process(store)
    await one.poll(5)
    expect(store.log).toEqual(['get', 'get', 'set'])
    await one.poll(5)
    await process(store).poll(5)
    expect(store.log.slice(3)).toEqual(['get', 'get'])
    await one.poll(6)
    expect(store.log.slice(5)).toEqual(['get', 'get', 'set'])
    await one.poll(5)
    expect(store.log.slice(8)).toEqual(['get'])
  })

  it('may be one that answers at once, with null for nothing', async () => {
    const data = new Map<string, string>()
    const store: InvariantStore = { get: (key) => data.get(key) ?? null, set: (key, value) => data.set(key, value) }
    expect(await process(store).get(5)).toBe('resolved')
    expect(await process(store).get(5)).toBe('rejected')
  })

  it('belongs to one dependency', async () => {
    const store = new MemoryStore()
    await process(store).get(5)
    const other = watching(undefined, 'other').invariants.inBand<number>(monotonic('ids', { store }), '')
    expect(await other(() => 4)).toBe(4)
    expect([...store.data.keys()]).toEqual(['db/ids', 'other/ids'])
  })

  it('given with one definition holds for all of the name', async () => {
    const store = new MemoryStore()
    const { invariants } = watching()
    const state = invariants.polled(
      monotonic('ids', () => 9),
      '',
    )
    await state.poll()
    const run = invariants.inBand<number>(monotonic('ids', { store }), '')
    await process(store).get(20)
    await expect(run(() => 15)).rejects.toMatchObject({ code: 'ERR_INVARIANT' })
    expect(await state.poll()).toEqual(BACK)
  })
})

describe('a mark that processes share', () => {
  it('is read before each operation starts and written before its value is handed out', async () => {
    const store = new MemoryStore()
    const { run } = process(store)
    store.gates = []
    let begun = 0
    const result = watch(
      run(() => {
        begun++
        return 5
      }),
    )
    await settle()
    expect([store.log, begun]).toEqual([['get'], 0])
    store.gates[0]!.open()
    await settle()
    expect([begun, result.state, store.log]).toEqual([1, 'pending', ['get', 'get']])
    store.gates[1]!.open()
    await settle()
    expect([result.state, store.log]).toEqual(['pending', ['get', 'get', 'set']])
    store.gates[2]!.open()
    await settle()
    expect(result.value).toBe(5)
  })

  it('is that of all, for polls as well', async () => {
    const store = new MemoryStore()
    const [one, other] = [process(store), process(store)]
    await one.get(5)
    expect(await other.get(5)).toBe('rejected')
    expect(await other.get(6)).toBe('resolved')
    expect(await one.get(6)).toBe('rejected')
    expect(await one.poll(5)).toEqual(BACK)
  })

  it('shows a value that another has handed out while the call was running', async () => {
    const store = new MemoryStore()
    const [one, other] = [process(store), process(store)]
    const work = gate<number>()
    const result = watch(one.run(() => work.promise))
    await settle()
    await other.get(5)
    work.open(5)
    await settle()
    expect(result.state).toBe('rejected')
    expect(one.violations).toEqual(['ids: the result was handed out before, by another process (number)'])
  })

  it('is not taken for another’s when it is one’s own, though writes are shared and answers come late', async () => {
    const store = new MemoryStore()
    const { run, violations } = process(store)
    const works = [gate<number>(), gate<number>(), gate<number>(), gate<number>()]
    const results = works.map((work) => watch(run(() => work.promise)))
    await settle()
    store.log.length = 0
    store.gates = []
    works[0]!.open(5)
    await settle()
    for (const [index, value] of [7, 6, 8].entries()) works[index + 1]!.open(value)
    await settle()
    while (store.gates.length > 0) {
      store.gates.shift()!.open()
      await settle()
    }
    expect(results.map(({ value }) => value)).toEqual([5, 7, 6, 8])
    // The first write, and one for the three that came while it was under way.
    expect([store.log, violations]).toEqual([['get', 'set', 'get', 'set'], []])
    expect(store.data.get('db/ids')).toContain('"8"')
  })

  it('is not written again for a late result below it', async () => {
    const store = new MemoryStore()
    const { run, get } = process(store)
    const work = gate<number>()
    const late = watch(run(() => work.promise))
    await settle()
    await get(7)
    store.log.length = 0
    work.open(6)
    await settle()
    expect([late.value, store.log]).toEqual([6, ['get']])
  })

  it('of a baseline before the accepted one says nothing of who has handed out a value', async () => {
    const store = new MemoryStore()
    const { get, source, state } = process(store)
    await get(100)
    await get(105)
    store.error = down
    source.value = 104
    expect(await state.accept()).toBe('holds')
    store.error = undefined
    expect([await get(105), await get(105)]).toEqual(['resolved', 'rejected'])
  })

  it('that came back with older data is raised again, and never lowered', async () => {
    const store = new MemoryStore()
    const one = process(store)
    await one.get(5)
    const older = new Map(store.data)
    await one.get(9)
    const [[key, value]] = older as unknown as [[string, string]]
    store.data.set(key, value)
    expect(await one.get(7)).toBe('rejected')
    expect(await one.get(10)).toBe('resolved')
    expect(await process(store).get(9)).toBe('rejected')
    store.data.clear()
    expect(await one.get(9)).toBe('rejected')
    expect(await one.poll(10)).toBe('holds')
    expect(await process(store).get(9)).toBe('rejected')
  })

  it('is that of the baseline which was accepted last, in whichever process', async () => {
    const store = new MemoryStore()
    const [one, other] = [process(store), process(store)]
    await one.get(100)
    await other.get(101)
    const work = gate<number>()
    const running = watch(other.run(() => work.promise))
    await settle()
    one.source.value = 50
    expect(await one.state.accept()).toBe('holds')
    expect(await other.get(51)).toBe('resolved')
    expect(await one.get(51)).toBe('rejected')
    work.open(102)
    await settle()
    expect(running.error).toMatchObject({ message: expect.stringContaining('baseline changed') as unknown })
    expect(other.violations).toEqual([])
    expect(await process(store).get(52)).toBe('resolved')
  })

  it('that changed its baseline while a value was written withholds that value', async () => {
    const store = new MemoryStore()
    const [one, other] = [process(store), process(store)]
    const work = gate<number>()
    const running = watch(one.run(() => work.promise))
    await settle()
    await other.poll(50)
    other.source.value = 20
    await other.state.accept()
    work.open(102)
    await settle()
    expect(running.error).toMatchObject({ message: expect.stringContaining('baseline changed') as unknown })
    expect([await one.get(20), await one.get(20)]).toEqual(['resolved', 'rejected'])
  })
})

describe('a store that fails', () => {
  it('leaves a first poll an open question, and nothing is written in its place', async () => {
    const store = new MemoryStore()
    await process(store).poll(100)
    const restarted = process(store)
    store.error = down
    await expect(restarted.poll(50)).rejects.toBe(down)
    await expect(restarted.state.accept()).rejects.toBe(down)
    store.error = undefined
    expect(await restarted.poll(50)).toEqual(BACK)
    expect(restarted.reported).toEqual([])
  })

  it('is reported, once a poll has been able to read it, and decides nothing', async () => {
    const store = new MemoryStore()
    const { poll, state, source, reported, violations } = process(store)
    await poll(100)
    store.error = down
    expect(await poll(100)).toBe('holds')
    expect(reported).toEqual([down])
    expect(await poll(101)).toBe('holds')
    expect(reported).toEqual([down, down, down])
    expect(await poll(100)).toEqual(BACK)
    expect(reported.length).toBe(4)
    source.value = 10
    expect(await state.accept()).toBe('holds')
    store.error = undefined
    // What could not be written is written by the next poll.
    expect(await poll(10)).toBe('holds')
    expect(await process(store).poll(9)).toEqual(BACK)
    expect(await process(store).poll(10)).toBe('holds')
    expect(violations).toEqual([])
  })

  it('when it is read keeps the operation from starting', async () => {
    const store = new MemoryStore()
    const { run, violations } = process(store)
    await run(() => 5)
    store.error = down
    let begun = false
    const result = run(() => {
      begun = true
      return 6
    })
    await expect(result).rejects.toMatchObject({
      code: 'ERR_INVARIANT',
      dependency: 'db',
      message: 'db: ids: the mark could not be read; the operation was not started',
      cause: down,
    })
    expect([begun, violations]).toEqual([false, []])
    store.error = undefined
    expect(await run(() => 6)).toBe(6)
  })

  it('to answer before the caller has left keeps the operation from starting', async () => {
    const store = new MemoryStore()
    const { invariants } = watching()
    const of = (): string => 'a'
    const runs = [
      invariants.inBand<number>(monotonic('ids', { store }), ''),
      invariants.inBand<number>(
        identity('run', () => 'a', { store, of }),
        '',
      ),
    ]
    store.gates = []
    const controller = new AbortController()
    let begun = 0
    const results = runs.map((run) => watch(run(() => ++begun, controller)))
    controller.abort('left')
    for (const access of store.gates) access.open()
    await settle()
    expect([begun, results.map(({ error }) => error)]).toEqual([0, ['left', 'left']])
  })

  it('when it is written withholds the value, for good', async () => {
    const store = new MemoryStore()
    const { run, violations, get } = process(store)
    const result = run(() => {
      store.error = down
      return 6
    })
    await expect(result).rejects.toMatchObject({
      code: 'ERR_INVARIANT',
      message: 'db: ids: the mark could not be written; the result was withheld',
      cause: down,
    })
    store.error = undefined
    expect(violations).toEqual([])
    expect([await get(6), await get(7)]).toEqual(['rejected', 'resolved'])
  })

  it.each(['get', 'set'] as const)('by a throw in %s is no different', async (which) => {
    const store = new MemoryStore()
    store[which] = () => {
      throw down
    }
    const { run, poll, reported } = process(store)
    await expect(run(() => 6)).rejects.toMatchObject({ code: 'ERR_INVARIANT', cause: down })
    if (which === 'get') await expect(poll(7)).rejects.toBe(down)
    else expect([await poll(7), reported]).toEqual(['holds', [down]])
  })

  it('by hanging is bounded, at each access', async () => {
    const store = new MemoryStore()
    const { run, state, clock, reported } = process(store, 100)
    store.gates = []
    const [inBand, polled] = [watch(run(() => 6)), watch(state.poll())]
    await clock.advance(99)
    expect([inBand.state, polled.state]).toEqual(['pending', 'pending'])
    await clock.advance(1)
    const late = { code: 'ERR_CALL_TIMEOUT', message: 'db (ids): no answer from the store within 100 ms' }
    expect(inBand.error).toMatchObject({ code: 'ERR_INVARIANT', cause: late })
    expect(polled.error).toMatchObject(late)
    store.gates = undefined
    const writing = watch(
      run(() => {
        store.gates = []
        return 6
      }),
    )
    await clock.advance(100)
    expect(writing.error).toMatchObject({ code: 'ERR_INVARIANT', cause: late })
    store.gates = undefined
    expect(await run(() => 7)).toBe(7)
    expect([clock.pending(), reported]).toEqual([0, []])
  })

  it.each([
    ['no JSON', 'secret'],
    ['JSON of something else', '{"secret":1}'],
    ['a value that is none', '{"epoch":1,"given":true,"token":{"kind":"bigint","at":"secret"}}'],
    ['an empty number', '{"epoch":1,"given":true,"token":{"kind":"number","at":""}}'],
    ['an unknown kind', '{"epoch":1,"given":true,"token":{"kind":"secret","at":"1"}}'],
    ['an identity', '{"epoch":1,"given":false,"token":{"kind":"string","at":"secret"}}'],
    ['no text', Buffer.from('secret') as unknown as string],
  ])('by holding what it can’t have been given (%s) is like one that can’t be read', async (_what, text) => {
    const store = new MemoryStore()
    store.data.set('db/ids', text)
    const { poll, run } = process(store)
    const cause = { message: 'the store holds something that is no value of this invariant' }
    await expect(poll(5)).rejects.toMatchObject(cause)
    await expect(run(() => 5)).rejects.toMatchObject({ code: 'ERR_INVARIANT', cause })
    expect(store.data.get('db/ids')).toBe(text)
  })

  it('by holding a mark of another kind than is known here decides nothing, until a baseline is accepted', async () => {
    const store = new MemoryStore()
    const { invariants, reported } = watching()
    let value: Comparable = 5
    const state = invariants.polled(
      monotonic('ids', () => value),
      '',
    )
    await state.poll()
    await process(store).poll(7n)
    const run = invariants.inBand<Comparable>(monotonic('ids', { store }), '')
    const cause = { message: 'the store has a value of another kind' }
    await expect(run(() => 8)).rejects.toMatchObject({ code: 'ERR_INVARIANT', cause })
    expect(await state.poll()).toBe('holds')
    expect(reported).toMatchObject([cause, cause])
    value = 8n
    expect(await state.accept()).toBe('holds')
    expect(await run(() => 8n)).toBe(8n)
    expect(await process(store).poll(7n)).toEqual(BACK)
  })
})

describe('an identity in a store', () => {
  const of = (row: { run: Comparable }): unknown => row.run

  function server(store: MemoryStore, first: string | number | bigint) {
    const world = watching()
    const source = { run: first }
    const state = world.invariants.polled(
      identity('run', () => source.run, { store }),
      '',
    )
    const run = world.invariants.inBand(
      identity('run', () => '', { of, store }),
      '',
    )
    return { ...world, source, state, get: (value: Comparable) => run(() => ({ run: value })) }
  }

  it.each<[string | number | bigint, string | number | bigint]>([
    ['a"b\n', 'ab'],
    ['', 'x'],
    [5, 6],
    [2n ** 64n, 2n ** 64n + 1n],
  ])('outlives the process: %s', async (first, other) => {
    const store = new MemoryStore()
    expect(await server(store, first).state.poll()).toBe('holds')
    expect(await server(store, other).state.poll()).toMatchObject({ violation: expect.any(String) as unknown })
    await expect(server(store, other).get(other as Comparable)).rejects.toMatchObject({ code: 'ERR_INVARIANT' })
    expect(await server(store, first).get(first as Comparable)).toEqual({ run: first })
    const another = server(store, other)
    await another.state.accept()
    expect(await server(store, other).state.poll()).toBe('holds')
    expect(await server(store, first).state.poll()).not.toBe('holds')
  })

  it('is read once for results, which don’t wait for it to be written', async () => {
    const store = new MemoryStore()
    const one = server(store, 'a')
    await one.get('a')
    await one.get('a')
    await settle()
    expect(store.log).toEqual(['get', 'get', 'set'])
    await expect(server(store, 'b').get('b')).rejects.toMatchObject({ code: 'ERR_INVARIANT' })
  })

  it('that can’t be read keeps the operation from starting; one that can’t be written is reported', async () => {
    const store = new MemoryStore()
    const one = server(store, 'a')
    store.error = down
    await expect(one.get('a')).rejects.toMatchObject({ code: 'ERR_INVARIANT', cause: down })
    await expect(one.state.poll()).rejects.toBe(down)
    expect(store.log).toEqual(['get', 'get'])
    store.error = undefined
    const write = store.set.bind(store)
    store.set = () => Promise.reject(down)
    await one.get('a')
    await settle()
    expect(one.reported).toEqual([down])
    store.set = write
    await one.state.poll()
    expect(store.data.size).toBe(1)
  })

  it('of the one that wrote first counts, when two processes start in the same instant', async () => {
    const store = new MemoryStore()
    const [one, other] = [server(store, 'a'), server(store, 'b')]
    store.gates = []
    const open = async (which: number): Promise<void> => {
      store.gates!.splice(which, 1)[0]!.open()
      await settle()
    }
    const polls = [one, other].map(({ state }) => watch(state.poll()))
    await settle()
    // Both find nothing; then one looks again and writes before the other looks.
    for (const access of [0, 0, 0, 1, 0]) await open(access)
    expect([store.log, store.gates.length, polls.map(({ value }) => value)]).toEqual([
      ['get', 'get', 'get', 'get', 'set'],
      0,
      ['holds', 'holds'],
    ])
    store.gates = undefined
    const findings = [await one.state.poll(), await other.state.poll()]
    expect(findings).toEqual(['holds', { violation: 'run: another one answers (string after string)' }])
  })

  it('is not a mark', async () => {
    const store = new MemoryStore()
    store.data.set('db/run', '{"epoch":1,"given":false,"token":{"kind":"LSN","at":"5"}}')
    await expect(server(store, 'a').state.poll()).rejects.toThrow('no value of this invariant')
  })
})
