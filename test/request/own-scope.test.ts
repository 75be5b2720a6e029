import { describe, expect, it } from 'vitest'
import { createRegistry } from '../../src/index.js'
import { Scope } from '../../src/request/scope.js'
import { ManualClock, settle } from '../../src/testing.js'
import { watch, type Watched } from '../support/calls.js'
import { gate } from '../support/gate.js'

const never = (): Promise<string> => new Promise(() => undefined)

function world() {
  const clock = new ManualClock()
  const registry = createRegistry({ clock })
  const feed = registry.dependency('feed', { timeout: 1_000, bulkhead: { slots: 1 } })
  const backup = registry.dependency('backup', { timeout: 5_000 })
  const request = (name: string, within = Infinity): Scope => {
    const scope = new Scope(clock, within, 0)
    scope.class = name
    return scope
  }
  return { clock, registry, feed, backup, request }
}

/** Where a fallback finds itself. */
function noting() {
  const seen: (Scope | undefined)[] = []
  const note = (): string => {
    seen.push(Scope.current())
    return 'instead'
  }
  return { seen, note }
}

describe('a fallback runs in the course of its own request', () => {
  it('when the timer that ended its call was armed by another', async () => {
    const { clock, feed, request } = world()
    const { seen, note } = noting()
    const wide = createRegistry({ clock }).dependency('wide', { timeout: 1_000 })
    const load = wide.wrap(never, { name: 'load', fallback: note })
    const [one, two] = [request('one'), request('two')]
    one.run(() => watch(feed.run(never)))
    const calls = [one, two].map((each) => each.run(() => watch(load())))
    const outside = watch(load())
    // As it does on a real clock, where the timer has the scope of the one that armed it.
    await one.run(() => clock.advance(1_000))
    expect([...calls, outside].map(({ value }) => value)).toEqual(['instead', 'instead', 'instead'])
    expect(seen).toEqual([one, two, undefined])
  })

  it('and its calls have that one’s class, and end with its client and no other', async () => {
    const { clock, feed, backup, request } = world()
    const load = feed.wrap(never, { name: 'load', fallback: () => backup.run(never) })
    const [other, own] = [request('other'), request('own')]
    const call = own.run(() => watch(load()))
    await other.run(() => clock.advance(1_000))
    expect(backup.inFlight().map((work) => work.class)).toEqual(['own'])
    other.abort(new Error('another client'))
    await settle()
    expect(call.state).toBe('pending')
    const gone = new Error('its own client')
    own.abort(gone)
    await settle()
    expect(call.error).toBe(gone)
    expect(backup.inFlight()[0]!.callerGone).toBe(true)
  })

  it('when its call never had a slot, or was refused after a wait', async () => {
    const { clock, feed, request } = world()
    const { seen, note } = noting()
    const load = feed.wrap(never, { name: 'load', fallback: note })
    watch(feed.run(never))
    const waiting = request('waiting')
    waiting.run(() => watch(load()))
    await request('other').run(() => clock.advance(500))
    expect(seen).toEqual([waiting])
  })
})

describe('an operation', () => {
  it('that begins after a wait for a slot begins in its own request, whoever gave the slot back', async () => {
    const { feed, request } = world()
    const { seen, note } = noting()
    const first = gate<string>()
    const [one, two] = [request('one'), request('two')]
    one.run(() => watch(feed.run(() => first.promise)))
    const call = two.run(() => watch(feed.run(note)))
    one.run(() => first.open('done'))
    await settle()
    expect(call.value).toBe('instead')
    expect(seen).toEqual([two])
  })

  it('learns that it is aborted in its own request, whoever aborts it', async () => {
    const { clock, backup, request } = world()
    const seen: [string, Scope | undefined][] = []
    const listen = (how: string) => {
      return ({ signal }: { signal: AbortSignal }): Promise<string> => {
        signal.addEventListener('abort', () => seen.push([how, Scope.current()]))
        return never()
      }
    }
    const [own, other] = [request('own'), request('other')]
    const signal = new AbortController()
    own.run(() => {
      watch(backup.run(listen('timeout'), { timeout: 100 }))
      watch(backup.run(listen('signal'), { signal: signal.signal }))
      watch(backup.run(listen('gone')))
    })
    const late = request('late', 100)
    late.run(() => watch(backup.run(listen('deadline'))))
    await other.run(() => clock.advance(100))
    other.run(() => {
      signal.abort()
    })
    other.run(() => {
      late.expire()
      own.abort(new Error('gone'))
    })
    expect(seen).toEqual([
      ['timeout', own],
      ['signal', own],
      ['deadline', late],
      ['gone', own],
    ])
  })
})

describe('a call inside an operation that several requests share', () => {
  function shared() {
    const made = world()
    const inner = gate<string>()
    const signals: AbortSignal[] = []
    const ask = made.backup.wrap(
      ({ signal }) => {
        signals.push(signal)
        return inner.promise
      },
      { name: 'ask' },
    )
    const load = made.feed.wrap(() => ask(), { name: 'load', key: () => 'k', scope: 'public', coalesce: true })
    return { ...made, inner, signals, load }
  }

  it('goes on when the first of their clients goes, and brings the others their answer', async () => {
    const { request, load, inner } = shared()
    const [one, two] = [request('one'), request('two')]
    const first = one.run(() => watch(load()))
    const second = two.run(() => watch(load()))
    one.abort(new Error('gone'))
    inner.open('shared')
    await settle()
    expect(first.error).toMatchObject({ message: 'gone' })
    expect(second.value).toBe('shared')
  })

  it('goes on past the first one’s deadline, in its class', async () => {
    const { clock, backup, request, load, inner } = shared()
    const [one, two] = [request('one', 100), request('two')]
    one.run(() => watch(load()))
    const second = two.run(() => watch(load()))
    expect(backup.inFlight().map((work) => work.class)).toEqual(['one'])
    await clock.advance(100)
    one.expire()
    inner.open('shared')
    await settle()
    expect(second.value).toBe('shared')
  })

  it('ends when all their clients have gone, and nothing begins for them any more', async () => {
    const { registry, request, load, signals } = shared()
    const [one, two] = [request('one'), request('two')]
    const between = gate()
    let begun = 0
    const late = registry.dependency('late').wrap(() => ++begun)
    const other = registry.dependency('other').wrap(() => between.promise.then(() => late()), {
      name: 'other',
      key: () => 'k',
      scope: 'public',
      coalesce: true,
    })
    for (const each of [one, two]) each.run(() => [watch(load()), watch(other())])
    one.abort(new Error('gone'))
    expect(signals.map(({ aborted }) => aborted)).toEqual([false])
    const last = new Error('the last has gone')
    two.abort(last)
    expect(signals.map(({ reason }) => reason as unknown)).toEqual([last])
    between.open()
    await settle()
    expect(begun).toBe(0)
  })
})

describe('a listener', () => {
  it('is in no request: the alert that it sends goes out when the client goes whose call told of it', async () => {
    const { registry, backup, request } = world()
    const sent = gate<string>()
    const alerts: Watched<string>[] = []
    registry.on('call', ({ dependency }) => {
      if (dependency === 'feed') alerts.push(watch(backup.run(() => sent.promise)))
    })
    const one = request('one')
    await one.run(() => registry.get('feed')!.run(() => 'x'))
    one.abort(new Error('gone'))
    sent.open('sent')
    await settle()
    expect(alerts).toMatchObject([{ value: 'sent' }])
  })
})

describe('a call inside detached work', () => {
  it('goes on when the client goes and when the deadline passes, in the class of the request', async () => {
    const { clock, feed, backup, request } = world()
    const inner = gate<string>()
    const write = feed.wrap(() => backup.run(() => inner.promise), { name: 'write', detached: true })
    const one = request('one', 100)
    const call = one.run(() => watch(write()))
    expect(backup.inFlight().map((work) => work.class)).toEqual(['one'])
    one.abort(new Error('gone'))
    await clock.advance(200)
    expect(call.error).toMatchObject({ message: 'gone' })
    inner.open('written')
    await settle()
    expect([feed, backup].map((each) => each.health().counts)).toMatchObject([
      { successes: 1, aborts: 0, cuts: 0 },
      { successes: 1, aborts: 0, cuts: 0 },
    ])
  })
})
