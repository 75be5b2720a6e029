import { describe, expect, it } from 'vitest'
import {
  createRegistry,
  drift,
  identity,
  invariant,
  InvariantError,
  monotonic,
  type DependencyOptions,
  type InvariantStore,
  type OperationOptions,
} from '../../src/index.js'
import { ManualClock, settle } from '../../src/testing.js'
import { watch } from '../support/calls.js'
import { gate } from '../support/gate.js'

const EVERY = 1_000

function made(options: DependencyOptions = {}, clock = new ManualClock()) {
  const registry = createRegistry({ clock })
  const circuit = { openFor: 5_000, rampFor: 0, ...options.circuit }
  const db = registry.dependency('db', { ...options, circuit })
  const flips: string[] = []
  const warnings: string[] = []
  const reported: unknown[] = []
  registry.on('flip', ({ dependency, mode, cause, enforced }) =>
    flips.push(`${dependency} ${mode}: ${cause.kind}${enforced ? '' : ' (watched)'}`),
  )
  registry.on('warning', ({ warning, raised, text }) => warnings.push(`${raised ? '+' : '-'}${warning} ${text}`))
  registry.on('error', ({ error }) => reported.push(error))
  return { clock, registry, db, flips, warnings, reported }
}

/** What a sequence gives next; it can be set back as if another server had taken over. */
function sequence(from = 100) {
  const state = { at: from }
  return { state, next: (): number => ++state.at, read: (): number => state.at }
}

function memoryStore(): InvariantStore & { held: Map<string, string>; broken: boolean } {
  const store = {
    held: new Map<string, string>(),
    broken: false,
    get: (key: string) => {
      if (store.broken) throw new Error('store down')
      return store.held.get(key)
    },
    set: (key: string, value: string) => {
      if (store.broken) throw new Error('store down')
      store.held.set(key, value)
    },
  }
  return store
}

describe('an invariant that is polled', () => {
  it('flips within one period when it breaks, without the values, and stays so although it holds again', async () => {
    const ids = sequence()
    const { clock, db, registry, flips } = made({ invariants: [monotonic('order ids', ids.read, { every: EVERY })] })
    await clock.advance(3 * EVERY)
    expect(db.mode).toBe('available')
    ids.state.at = 7
    await clock.advance(EVERY)
    expect(db.health()).toMatchObject({
      mode: 'unavailable',
      circuit: 'closed',
      reason: 'order ids: the value went back (number after number)',
    })
    await expect(db.run(() => 'called')).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE' })
    ids.state.at = 500
    await clock.advance(600_000)
    expect(flips).toEqual(['db unavailable: invariant'])
    expect(registry.snapshot().db).toMatchObject({ available: false })
  })

  it('is polled in the background: one timer for all, none that keeps the process alive but that of its bound', async () => {
    const asked: number[] = []
    const clock = new ManualClock()
    const checks = ['a', 'b', 'c'].map((name) =>
      invariant(name, () => (asked.push(clock.now()), true), { every: EVERY, timeout: 100 }),
    )
    made({ invariants: checks }, clock)
    expect([clock.pending(), clock.pending({ referenced: true })]).toEqual([1, 0])
    await clock.advance(10 * EVERY)
    expect([asked.length, clock.pending()]).toEqual([30, 1])
  })

  it('is opened by an operator, after what is read then holds, and by nobody else', async () => {
    const ids = sequence()
    const { clock, db, registry, flips } = made({ invariants: [monotonic('order ids', ids.read, { every: EVERY })] })
    await clock.advance(EVERY)
    ids.state.at = 7
    await clock.advance(EVERY)
    const broken = [{ invariant: 'order ids', reason: 'order ids: the value went back (number after number)' }]
    expect(await registry.acknowledge('db', { by: 'ann' })).toEqual({ holds: false, broken })
    registry.clearMode('db')
    registry.enable('db')
    ;(await db.drain({ reason: 'repair' })).release()
    await settle()
    expect(db.mode).toBe('unavailable')
    ids.state.at = 100
    expect(await registry.acknowledge('db', { by: 'ann' })).toEqual({ holds: true, broken: [] })
    expect(db.mode).toBe('available')
    expect(flips.at(-1)).toBe('db available: operator')
  })

  it('is opened by accepting what is read now as the new baseline: the server was replaced on purpose', async () => {
    const ids = sequence()
    const { clock, db, registry } = made({ invariants: [monotonic('order ids', ids.read, { every: EVERY })] })
    await clock.advance(EVERY)
    ids.state.at = 7
    await clock.advance(EVERY)
    expect(await registry.acknowledge('db', { accept: true })).toEqual({ holds: true, broken: [] })
    await clock.advance(5 * EVERY)
    expect(db.mode).toBe('available')
    ids.state.at = 6
    await clock.advance(EVERY)
    expect(db.mode).toBe('unavailable')
  })

  it('is not opened by an acknowledgement while it cannot be read', async () => {
    let answer = (): boolean => false
    const { clock, db, registry } = made({ invariants: [invariant('primary', () => answer(), { every: EVERY })] })
    await clock.advance(EVERY)
    answer = () => {
      throw new Error('no answer')
    }
    const broken = [{ invariant: 'primary', reason: 'primary: it could not be read' }]
    expect(await registry.acknowledge('db')).toEqual({ holds: false, broken })
    expect(db.mode).toBe('unavailable')
  })

  it('is not opened by an acknowledgement that read it before it broke anew', async () => {
    const answers = [gate<boolean>(), gate<boolean>(), gate<boolean>()]
    let asked = 0
    const check = invariant('primary', () => answers[asked++]!.promise, { every: EVERY, timeout: 10_000 })
    const { clock, db, registry } = made({ invariants: [check] })
    answers[0]!.open(false)
    await clock.advance(EVERY)
    const acknowledged = registry.acknowledge('db')
    await clock.advance(EVERY)
    answers[2]!.open(false)
    await settle()
    answers[1]!.open(true)
    expect(await acknowledged).toMatchObject({ holds: false })
    expect(db.mode).toBe('unavailable')
  })

  it('is one of several that may be broken at once: all must hold before it opens', async () => {
    let [server, primary, lag] = ['one', true, 0]
    const { clock, db, registry, flips } = made({
      invariants: [
        identity('server', () => server, { every: EVERY }),
        invariant('primary', () => primary, { every: EVERY }),
        drift(
          'lag',
          () => 1_000,
          () => 1_000 - lag,
          { atMost: 100, every: EVERY },
        ),
      ],
    })
    await clock.advance(EVERY)
    ;[server, primary, lag] = ['two', false, 101]
    await clock.advance(EVERY)
    expect(flips).toEqual(['db unavailable: invariant'])
    const names = async (): Promise<string[]> =>
      (await registry.acknowledge('db')).broken.map(({ invariant: name }) => name).sort()
    expect(await names()).toEqual(['lag', 'primary', 'server'])
    primary = true
    lag = 100
    expect(await names()).toEqual(['server'])
    expect(db.mode).toBe('unavailable')
    // What held when it was acknowledged is watched on.
    primary = false
    await clock.advance(EVERY)
    expect(await registry.acknowledge('db', { accept: true })).toMatchObject({ broken: [{ invariant: 'primary' }] })
    primary = true
    expect(await names()).toEqual([])
    expect(db.mode).toBe('available')
  })

  it('that cannot be read decides nothing, and a warning names all of those until each can be', async () => {
    const down = new Set(['a'])
    const checks = ['a', 'b'].map((name) =>
      invariant(name, () => (down.has(name) ? Promise.reject(new Error('secret')) : true), { every: EVERY }),
    )
    const { clock, db, warnings } = made({ invariants: checks })
    await clock.advance(EVERY)
    down.add('b')
    await clock.advance(EVERY)
    expect(db.health()).toMatchObject({ mode: 'available', warnings: [{ text: 'a, b could not be read' }] })
    down.delete('a')
    await clock.advance(EVERY)
    expect(db.health().warnings).toMatchObject([{ text: 'b could not be read' }])
    down.delete('b')
    await clock.advance(EVERY)
    expect(warnings).toEqual(['+invariant a could not be read', '-invariant b could not be read'])
  })

  it('that hangs is given up at its bound, with its signal aborted, and asked again', async () => {
    const signals: AbortSignal[] = []
    const check = invariant(
      'primary',
      ({ signal }) => {
        signals.push(signal)
        return new Promise(() => undefined)
      },
      { every: EVERY, timeout: 200 },
    )
    const { clock, warnings } = made({ invariants: [check] })
    await clock.advance(EVERY / 2 + 199)
    expect([signals.length, signals[0]!.aborted]).toEqual([1, false])
    await clock.advance(1)
    expect([signals[0]!.aborted, warnings]).toEqual([true, ['+invariant primary could not be read']])
    await clock.advance(EVERY)
    expect(signals).toHaveLength(2)
  })

  it('while one is being read when all ends is aborted, leaves no timer and says nothing', async () => {
    let aborted = false
    const check = invariant(
      'primary',
      ({ signal }) => {
        signal.addEventListener('abort', () => (aborted = true))
        return new Promise(() => undefined)
      },
      { every: EVERY },
    )
    const { clock, registry, warnings } = made({ invariants: [check] })
    await clock.advance(EVERY / 2)
    await registry.close()
    await settle()
    expect([aborted, clock.pending(), warnings]).toEqual([true, 0, []])
  })
})

describe('an acknowledgement that is being read when all ends', () => {
  it('is over at once, leaves no timer, and opens nothing', async () => {
    let hangs = false
    const check = invariant('primary', () => (hangs ? new Promise<never>(() => undefined) : false), { every: EVERY })
    const { clock, registry, db } = made({ invariants: [check] })
    await clock.advance(2 * EVERY)
    hangs = true
    const acknowledged = watch(registry.acknowledge('db'))
    await settle()
    await registry.close()
    await settle()
    expect([acknowledged.value?.holds, db.mode, clock.pending()]).toEqual([false, 'unavailable', 0])
  })
})

describe('invariants of a dependency that recovers', () => {
  const recovering = async (answer: () => boolean | Promise<boolean>) => {
    const state = { answer: (): boolean | Promise<boolean> => true }
    const all = made({ invariants: [invariant('primary', () => state.answer(), { every: 600_000 })] })
    for (let i = 0; i < 10; i++) await all.db.run(() => Promise.reject(new Error('down'))).catch(() => undefined)
    state.answer = answer
    await all.clock.advance(5_000)
    await all.db.run(() => 'well')
    return all
  }

  it('are read before it is trusted', async () => {
    const answer = gate<boolean>()
    const { clock, db } = await recovering(() => answer.promise)
    expect(db.health()).toMatchObject({
      mode: 'unavailable',
      available: false,
      circuit: 'half-open',
      reason: 'the trial passed; its invariants are being read',
    })
    await expect(db.run(() => 'too early')).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE' })
    answer.open(true)
    await clock.advance(0)
    expect(db.mode).toBe('available')
  })

  it('keep it away, latched, when they are broken', async () => {
    const { clock, db, registry } = await recovering(() => false)
    await clock.advance(600)
    expect(db.health()).toMatchObject({ mode: 'unavailable', reason: 'primary: the check said no' })
    expect(await registry.acknowledge('db')).toMatchObject({ holds: false })
  })

  it('make it a failed recovery when they cannot be read', async () => {
    const { db } = await recovering(() => Promise.reject(new Error('no answer')))
    await settle()
    expect(db.health()).toMatchObject({ mode: 'unavailable', circuit: 'open', retryAfter: 10_000 })
  })
})

describe('an invariant in band', () => {
  const orders = (options: DependencyOptions = {}, own: Partial<OperationOptions<[], number>> = {}) => {
    const ids = sequence()
    const all = made(options)
    const nextId = all.db.wrap(() => ids.next(), { name: 'next-id', invariant: monotonic('order ids'), ...own })
    return { ...all, ids, nextId }
  }

  it('withholds the first result that breaks it, and every later call is refused until an operator says so', async () => {
    const { db, registry, ids, nextId } = orders()
    registry.dependency('reads')
    const given = [await nextId(), await nextId()]
    ids.state.at = 50
    await expect(nextId()).rejects.toBeInstanceOf(InvariantError)
    await expect(nextId()).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE' })
    expect([given, ids.state.at]).toEqual([[101, 102], 51])
    expect(db.health().reason).toBe(
      'order ids: the result is not above what was handed out before (number after number)',
    )
    expect(await registry.get('reads')!.run(() => 'read')).toBe('read')
    // There is nothing to read: the operator has repaired it, and says so.
    ids.state.at = 102
    expect(await registry.acknowledge('db')).toEqual({ holds: true, broken: [] })
    expect(await nextId()).toBe(103)
  })

  it('after an accepted baseline takes the next result for it', async () => {
    const { registry, ids, nextId } = orders()
    await nextId()
    ids.state.at = 5
    await expect(nextId()).rejects.toMatchObject({ code: 'ERR_INVARIANT' })
    await registry.acknowledge('db', { accept: true })
    expect(await nextId()).toBe(7)
    ids.state.at = 6
    await expect(nextId()).rejects.toMatchObject({ code: 'ERR_INVARIANT' })
  })

  it('withholds also what a forced available or a disabled guard lets through', async () => {
    for (const letThrough of [
      ({ registry }: ReturnType<typeof orders>) => {
        registry.setMode('db', 'available', { reason: 'we must write' })
      },
      ({ registry }: ReturnType<typeof orders>) => {
        registry.disable('db')
      },
    ]) {
      const all = orders()
      await all.nextId()
      all.ids.state.at = 5
      letThrough(all)
      for (let i = 0; i < 3; i++) await expect(all.nextId()).rejects.toMatchObject({ code: 'ERR_INVARIANT' })
      expect(all.db.mode).toBe('available')
      all.ids.state.at = 200
      expect(await all.nextId()).toBe(201)
    }
  })

  it('lets the fallback serve in place of what is withheld, and of what is refused after it', async () => {
    const { ids, nextId } = orders({}, { fallback: { value: -1 } })
    await nextId()
    ids.state.at = 5
    expect(await nextId.outcome()).toMatchObject({ value: -1, source: 'fallback', error: { code: 'ERR_INVARIANT' } })
    expect(await nextId.outcome()).toMatchObject({ value: -1, error: { code: 'ERR_UNAVAILABLE' } })
  })

  it('that withholds many results at once opens no circuit: they are no failures of traffic', async () => {
    const { db, registry, ids } = orders()
    const works = Array.from({ length: 15 }, () => gate<number>())
    let begun = 0
    const nextId = db.wrap(() => works[begun++]?.promise ?? ids.next(), {
      name: 'slow-id',
      invariant: monotonic('slow ids'),
    })
    works[0]!.open(100)
    works.slice(1).forEach((work) => {
      work.open(50)
    })
    expect(await nextId()).toBe(100)
    const calls = works.slice(1).map(() => watch(nextId()))
    await settle()
    for (const { error } of calls) expect(error).toMatchObject({ code: 'ERR_INVARIANT' })
    expect(db.health()).toMatchObject({ circuit: 'closed', counts: { failures: 0 }, window: { failures: 0 } })
    expect(await registry.acknowledge('db')).toEqual({ holds: true, broken: [] })
    expect(await nextId()).toBe(101)
  })

  it('keeps what is withheld out of the cache', async () => {
    const { ids, nextId } = orders({}, { key: () => 'one', scope: 'public' })
    expect(await nextId.outcome()).toMatchObject({ value: 101, source: 'live' })
    ids.state.at = 5
    expect(await nextId.outcome()).toMatchObject({ value: 101, source: 'stale', error: { code: 'ERR_INVARIANT' } })
    expect(await nextId.outcome()).toMatchObject({ value: 101, source: 'stale', error: { code: 'ERR_UNAVAILABLE' } })
  })

  it('shares what it knows with the one of the same name that is polled, and with other operations', async () => {
    const ids = sequence()
    const { clock, db } = made({ invariants: [monotonic('order ids', ids.read, { every: EVERY })] })
    const one = db.wrap(() => ids.next(), { name: 'one', invariant: monotonic('order ids') })
    const other = db.wrap(() => ({ id: ids.next() }), {
      name: 'other',
      invariant: monotonic('order ids', { of: ({ id }: { id: number }) => id }),
    })
    await one()
    expect(await other()).toEqual({ id: 102 })
    ids.state.at = 101
    await clock.advance(EVERY)
    expect(db.mode).toBe('unavailable')
  })

  it('passes on what the operation throws, which is no violation', async () => {
    const { db } = made()
    const broken = new Error('down')
    const nextId = db.wrap(
      (): number => {
        throw broken
      },
      { invariant: monotonic('order ids') },
    )
    await expect(nextId()).rejects.toBe(broken)
    expect(db.mode).toBe('available')
  })
})

describe('an invariant where rules are only watched', () => {
  const watched = (own: Partial<OperationOptions<[], number>> = {}, store?: InvariantStore) => {
    const ids = sequence()
    const all = made({ enforce: false })
    let runs = 0
    const nextId = all.db.wrap(
      () => {
        runs++
        return ids.next()
      },
      { name: 'next-id', invariant: monotonic('order ids', store === undefined ? {} : { store }), ...own },
    )
    return { ...all, ids, nextId, runs: () => runs }
  }

  it('is told of, and what breaks it is handed on, once', async () => {
    const { db, flips, ids, nextId, runs, reported } = watched()
    await nextId()
    ids.state.at = 5
    expect([await nextId(), await nextId()]).toEqual([6, 7])
    expect([db.mode, db.health().wouldBe, runs()]).toEqual(['available', 'unavailable', 3])
    expect([flips, reported]).toEqual([['db unavailable: invariant (watched)'], []])
  })

  it('lets the operation run although the mark cannot be read or written, and says so', async () => {
    const store = memoryStore()
    const { nextId, runs, reported } = watched({}, store)
    store.broken = true
    expect([await nextId(), runs()]).toEqual([101, 1])
    expect(reported).toMatchObject([{ message: 'store down' }])
    store.broken = false
    expect(await nextId()).toBe(102)
    store.set = () => {
      throw new Error('read-only')
    }
    expect([await nextId(), runs()]).toEqual([103, 3])
    expect(reported.at(-1)).toMatchObject({ message: 'read-only' })
  })

  it('is obeyed from the moment that it is enforced', async () => {
    const { registry, ids, nextId } = watched()
    await nextId()
    ids.state.at = 5
    await nextId()
    registry.configure('db', { enforce: true })
    await expect(nextId()).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE' })
  })
})

describe('an invariant with a store', () => {
  it('polled, remembers across a restart', async () => {
    const store = memoryStore()
    const ids = sequence()
    const run = (): ReturnType<typeof made> =>
      made({ invariants: [monotonic('order ids', ids.read, { every: EVERY, store })] })
    const before = run()
    await before.clock.advance(EVERY)
    await before.registry.close()
    expect([...store.held.keys()]).toEqual(['db/order ids'])
    ids.state.at = 7
    const after = run()
    await after.clock.advance(EVERY)
    expect(after.db.mode).toBe('unavailable')
  })

  it('in band, remembers across a restart: the first id that was given before is withheld', async () => {
    const store = memoryStore()
    const ids = sequence()
    const run = () => {
      const all = made()
      const nextId = all.db.wrap(() => ids.next(), { name: 'next', invariant: monotonic('order ids', { store }) })
      return { ...all, nextId }
    }
    const before = run()
    expect([await before.nextId(), await before.nextId()]).toEqual([101, 102])
    ids.state.at = 101
    const after = run()
    await expect(after.nextId()).rejects.toMatchObject({ code: 'ERR_INVARIANT' })
    expect(after.db.mode).toBe('unavailable')
  })

  it('in band, that cannot be read starts no operation; that cannot be written withholds the result', async () => {
    const store = memoryStore()
    const { db } = made()
    let runs = 0
    const nextId = db.wrap(() => ++runs, { name: 'next', invariant: monotonic('order ids', { store }) })
    store.broken = true
    await expect(nextId()).rejects.toMatchObject({ code: 'ERR_INVARIANT', cause: { message: 'store down' } })
    expect(runs).toBe(0)
    store.broken = false
    store.set = () => {
      throw new Error('read-only')
    }
    await expect(nextId()).rejects.toMatchObject({ code: 'ERR_INVARIANT', cause: { message: 'read-only' } })
    expect([runs, db.mode]).toEqual([1, 'available'])
  })

  it('that hangs holds nobody up for longer than its bound', async () => {
    const { clock, db } = made({ timeout: 10_000 })
    const store: InvariantStore = { get: () => new Promise(() => undefined), set: () => undefined }
    const nextId = db.wrap(() => 1, { name: 'next', invariant: monotonic('order ids', { store, timeout: 250 }) })
    const call = watch(nextId())
    await clock.advance(249)
    expect(call.state).toBe('pending')
    await clock.advance(1)
    expect(call.error).toMatchObject({ code: 'ERR_INVARIANT' })
  })
})

describe('invariants that contradict each other', () => {
  it('are refused where they are given, naming the option', () => {
    const { db } = made({ invariants: [monotonic('ids', () => 1), invariant('primary', () => true)] })
    const refused = (options: OperationOptions<[], number>): void => {
      expect(() => db.wrap(() => 1, options)).toThrow(
        expect.objectContaining({ code: 'ERR_OPTION', path: 'invariant' }) as Error,
      )
    }
    refused({ invariant: monotonic('primary') })
    refused({ invariant: identity('ids', () => 1, { of: (id: number) => id }) })
    expect(() => db.wrap(() => 1, { invariant: invariant('x', () => true) as never })).toThrow(
      expect.objectContaining({ path: 'invariant' }) as Error,
    )
  })
})
